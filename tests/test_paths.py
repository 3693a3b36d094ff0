"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.oracles.faults import failing_calls
from vitscope.errors import EnvironmentFault, OutputError
from vitscope.paths import (
    MANIFEST,
    check_output,
    explained,
    fresh_path,
    staged_folder,
    utc_stamp,
    write_atomically,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from pathlib import Path


def listed(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def fill(stage: Path, text: str) -> None:
    write_text(stage / "table.csv", text)
    (stage / "deep").mkdir()
    write_text(stage / "deep" / "figure.svg", text)
    write_text(stage / MANIFEST, '{"format": "vitscope.test"}')


# files


def test_write_and_replace(tmp_path: Path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "one")
    write_text(path, "zwei ü 模\udcff")
    assert path.read_bytes() == "zwei ü 模".encode() + b"\xff"
    assert listed(path.parent) == ["a.txt"]


def test_json_is_indented_and_finite(tmp_path: Path):
    write_json(tmp_path / "a.json", {"ü": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"ü": [1, None]}
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", math.nan)
    assert json.loads((tmp_path / "a.json").read_text()) == {"ü": [1, None]}


def test_an_exception_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a"
    write_text(path, "old")
    for error in (KeyboardInterrupt, ValueError, MemoryError):
        with pytest.raises(error), write_atomically(path) as temporary:  # noqa: PT012 - the body is the test
            temporary.write_text("half")
            raise error
        assert path.read_text() == "old"
        assert listed(tmp_path) == ["a"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT, errno.EFBIG])
def test_whichever_call_fails_the_file_is_whole(code: int, tmp_path: Path):
    path = tmp_path / "a"
    with failing_calls(None) as counted, write_atomically(path) as temporary, temporary.open("wb") as stream:
        stream.write(b"new")
    for fatal in range(1, counted.count):
        path.write_text("old")
        calls = failing_calls(fatal, code=code)
        with (
            calls,
            pytest.raises(EnvironmentFault, match="cannot write") as caught,
            write_atomically(path) as temporary,
            temporary.open("wb") as stream,
        ):
            stream.write(b"new")
        assert caught.value.exit_code == 4
        assert path.read_text() == ("new" if "replace" in calls.passed else "old")
        assert listed(tmp_path) == ["a"]


def test_places_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for path in ("file/a", "file/deep/er", "folder", "x" * 256):
        with pytest.raises(EnvironmentFault, match="cannot write") as caught:
            write_text(tmp_path / path, "new")
        assert "\n" not in str(caught.value)
    assert listed(tmp_path) == ["file", "folder"]


def test_the_longest_names_fit(tmp_path: Path):
    name = "ü" * 127
    write_text(tmp_path / name, "x")
    with staged_folder(tmp_path / ("y" * 255)) as stage:
        fill(stage, "x")
    assert listed(tmp_path) == ["y" * 255, name]


def test_a_planted_link_is_not_followed(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".a.partial").symlink_to(victim)
    write_text(tmp_path / "a", "new")
    assert victim.read_text() == "mine"
    assert listed(tmp_path) == ["a", "victim"]


def test_errors_of_other_files_pass(tmp_path: Path):
    with pytest.raises(FileNotFoundError), explained(tmp_path / "out"):
        (tmp_path / "input.png").read_bytes()
    with pytest.raises(PermissionError), explained(tmp_path / "out"):
        raise PermissionError(errno.EACCES, "denied", str(tmp_path / "input.png"))
    with pytest.raises(EnvironmentFault, match=r"cannot write .*out: denied"), explained(tmp_path / "out"):
        raise PermissionError(errno.EACCES, "Denied", str(tmp_path / "out" / "a.pdf"))
    with pytest.raises(OSError, match="not an image"), explained(tmp_path / "out"):
        raise OSError("not an image")


def test_names_that_are_free(tmp_path: Path):
    assert fresh_path(tmp_path / "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").mkdir()
    assert fresh_path(tmp_path / "run") == tmp_path / "run-3"
    assert time.strptime(utc_stamp(), "%Y%m%dT%H%M%SZ")


# folders


def test_a_folder_appears_whole(tmp_path: Path):
    path = tmp_path / "a" / "results"
    with staged_folder(path) as stage:
        fill(stage, "x")
        assert not path.exists()
    assert listed(path) == ["deep", MANIFEST, "table.csv"]
    assert listed(path.parent) == ["results"]


def test_a_folder_that_failed_vanishes(tmp_path: Path):
    for error in (ValueError, KeyboardInterrupt, OutputError):
        with pytest.raises(error), staged_folder(tmp_path / "results") as stage:  # noqa: PT012 - the body is the test
            fill(stage, "x")
            raise error("x")
        assert listed(tmp_path) == []


def test_what_exists_is_refused_or_replaced(tmp_path: Path):
    path = tmp_path / "results"
    path.mkdir()
    with staged_folder(path) as stage:
        fill(stage, "one")
    with pytest.raises(OutputError, match="exists") as caught, staged_folder(path):
        pass
    assert caught.value.exit_code == 5
    with pytest.raises(ValueError, match="x"), staged_folder(path, overwrite=True) as stage:
        raise ValueError("x")
    assert (path / "table.csv").read_text() == "one"
    with staged_folder(path, overwrite=True) as stage:
        fill(stage, "two")
    assert (path / "table.csv").read_text() == "two"
    assert listed(tmp_path) == ["results"]


def test_what_others_made_is_never_replaced(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("folder", "file", "link"):
        with pytest.raises(OutputError, match="exists"):
            check_output(tmp_path / name, overwrite=False)
        with pytest.raises(OutputError, match="not made by vitscope"):
            check_output(tmp_path / name, overwrite=True)


def test_whichever_call_fails_the_old_folder_stays(tmp_path: Path):
    path = tmp_path / "results"
    with failing_calls(None) as counted, staged_folder(path) as stage:
        fill(stage, "one")
    failed = set()
    for fatal in range(counted.count + 4):
        calls = failing_calls(fatal)
        try:
            with calls, staged_folder(path, overwrite=True) as stage:
                fill(stage, "two")
        except EnvironmentFault:
            failed.add(calls.failed)
        text = (path / "table.csv").read_text()
        assert (path / "deep" / "figure.svg").read_text() == text
        assert (path / MANIFEST).exists()
        assert text in ("one", "two")
        with staged_folder(path, overwrite=True) as stage:
            fill(stage, "one")
        assert listed(tmp_path) == ["results"]
    assert {"open", "fsync", "replace", "rename", "mkdir"} <= failed


def test_a_killed_exchange_is_undone(tmp_path: Path):
    """A kill between the two renames leaves the old folder aside: the next run puts it back first."""
    path = tmp_path / "results"
    with staged_folder(path) as stage:
        fill(stage, "one")
    path.rename(tmp_path / ".results.old")
    with pytest.raises(OutputError, match="exists"), staged_folder(path):
        pass
    assert (path / "table.csv").read_text() == "one"
    assert listed(tmp_path) == ["results"]


RACE = """
import sys, time
from pathlib import Path
from vitscope.errors import OutputError
from vitscope.paths import MANIFEST, staged_folder, write_text
path, name, start = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
while time.time() < start:
    pass
try:
    with staged_folder(path) as stage:
        for index in range(5):
            write_text(stage / f"{index}.txt", name)
        write_text(stage / MANIFEST, '{"format": "vitscope.test"}')
except OutputError as error:
    print("lost", error)
else:
    print("won")
"""


def race(path: Path, count: int) -> list[str]:
    start = str(time.time() + 1.0 + 0.1 * count)
    commands = [[sys.executable, "-c", RACE, str(path), str(index), start] for index in range(count)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    return [process.communicate()[0].strip() for process in running]


@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_of_many_writers_one_wins(count: int, tmp_path: Path):
    path = tmp_path / "results"
    answers = race(path, count)
    assert answers.count("won") == 1
    assert all(answer == "won" or str(path) in answer for answer in answers)
    assert listed(tmp_path) == ["results"]
    assert len({(path / f"{index}.txt").read_text() for index in range(5)}) == 1
    assert listed(path) == ["0.txt", "1.txt", "2.txt", "3.txt", "4.txt", MANIFEST]


def test_a_second_writer_is_told(tmp_path: Path):
    path = tmp_path / "results"
    with staged_folder(path) as stage:
        with pytest.raises(OutputError, match="another process is writing"), staged_folder(path):
            pass
        fill(stage, "one")
    assert (path / "table.csv").read_text() == "one"


def replace_until_killed(path: Path, delay: float) -> None:
    child = os.fork()
    if child == 0:
        try:
            while True:
                with staged_folder(path, overwrite=True) as stage:
                    fill(stage, "new")
        finally:
            os._exit(1)
    signal.sigtimedwait([], delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_any_moment_a_folder_is_whole(tmp_path: Path):
    path = tmp_path / "results"
    with staged_folder(path) as stage:
        fill(stage, "old")
    for index in range(100):
        replace_until_killed(path, 0.003 + 0.0009 * (index % 13))
        kept = path if path.exists() else tmp_path / ".results.old"
        assert listed(kept)[-3:] == ["deep", MANIFEST, "table.csv"]
    with staged_folder(path, overwrite=True) as stage:
        fill(stage, "last")
    assert listed(tmp_path) == ["results"]
    assert listed(path) == ["deep", MANIFEST, "table.csv"]
