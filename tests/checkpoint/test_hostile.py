"""Files that are no checkpoints: each is refused in one line, and none of them runs."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.checkpoint.impostors import HOSTILE
from tests.checkpoint.payloads import payloads
from tests.checkpoint.specimens import rezip, saved, small_checkpoint
from vitscope.checkpoint.files import load_checkpoint, save_checkpoint
from vitscope.errors import CheckpointError


def refusal(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    error = caught.value
    assert error.exit_code == 3
    assert str(error).startswith(f"{path}: ")
    assert "\n" not in str(error) + error.hint
    assert str(error).isprintable()
    assert len(str(error)) - len(str(path)) < 220
    return error


@pytest.mark.parametrize("name", HOSTILE)
def test_names_what_a_hostile_file_looks_like(name: str, tmp_path: Path):
    make, expected = HOSTILE[name]
    path = tmp_path / "model.pth"
    make(path)
    assert expected in str(refusal(path))


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 80
    assert len(payloads(Path("x"))) >= 20


@pytest.mark.parametrize("form", ["zip", "bare", "compressed", "renamed"])
@pytest.mark.parametrize("name", payloads(Path("x")))
def test_runs_no_payload(name: str, form: str, tmp_path: Path):
    canary = tmp_path / "canary"
    payload = payloads(canary)[name]
    path = tmp_path / ("model.safetensors" if form == "renamed" else "model.pth")
    if form == "bare":
        path.write_bytes(payload)
    else:
        rezip(path, payload, compress=form == "compressed")
    refusal(path)
    assert not canary.exists()


def test_payloads_would_run_elsewhere(tmp_path: Path):
    """The canary works: an ordinary unpickler makes the file."""
    import pickle

    canary = tmp_path / "canary"
    pickle.loads(payloads(canary)["posix.system"])
    assert canary.exists()


def test_names_the_payload_and_says_that_it_did_not_run(tmp_path: Path):
    path = tmp_path / "model.pth"
    rezip(path, payloads(tmp_path / "canary")["os.system"])
    assert "names os.system" in str(refusal(path))
    assert "nothing of it was run" in str(refusal(path))
    path.write_bytes(payloads(tmp_path / "canary")["stack-global"])
    assert "names posix.system" in str(refusal(path))


def test_allow_list_of_others_does_not_count(tmp_path: Path):
    """A class that another library marked as safe is refused, and is still marked afterwards."""
    path = tmp_path / "model.pth"
    torch.save({"format": "vitscope.checkpoint", "path": Path("x")}, path)
    with torch.serialization.safe_globals([type(Path("x"))]):
        before = set(torch.serialization.get_safe_globals())
        refusal(path)
        load_checkpoint(saved(tmp_path))
        assert set(torch.serialization.get_safe_globals()) == before


def test_torch_sees_an_empty_allow_list_and_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, calls = saved(tmp_path), []

    def spy(*arguments: Any, **options: Any) -> Any:
        calls.append((options, torch.serialization.get_safe_globals()))
        raise MemoryError("three\nlines\nhere")

    monkeypatch.setattr(torch, "load", spy)
    with torch.serialization.safe_globals([Path]):
        assert "MemoryError: three" in str(refusal(path))
        assert Path in torch.serialization.get_safe_globals()
    assert calls == [({"map_location": "cpu", "weights_only": True, "mmap": False}, [])]


def test_environment_cannot_switch_safety_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    canary = tmp_path / "canary"
    rezip(tmp_path / "model.pth", payloads(canary)["os.system"])
    refusal(tmp_path / "model.pth")
    load_checkpoint(saved(tmp_path))
    assert not canary.exists()


def test_one_call_site_of_torch_load():
    root = Path(__file__).parents[2]
    folders = [root / "vitscope", root / "trainers", root / "cli"]
    files = {path.resolve() for folder in folders for path in folder.rglob("*.py")}
    calls = [path.name for path in files for line in path.read_text().splitlines() if "torch.load(" in line]
    assert calls == ["files.py"]
    forbidden = ("pickle.load", "Unpickler(", "jit.load(", "export.load(", "weights_only=False)", "hub.load(")
    texts = {path: path.read_text() for path in files}
    assert not [(path.name, word) for path, text in texts.items() for word in forbidden if f" {word}" in text]


def test_cut_anywhere(tmp_path: Path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    for length in sorted({*range(64), *range(0, len(whole), 41), *range(len(whole) - 120, len(whole))}):
        path.write_bytes(whole[:length])
        refusal(path)


def test_odd_paths(tmp_path: Path):
    for name in ("ünïcode 模型.pth", "[/red]$\\frac.pth", "-rf.pth"):
        save_checkpoint(small_checkpoint(), tmp_path / name)
        load_checkpoint(tmp_path / name)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "nul\0byte.pth")
    with pytest.raises(CheckpointError, match="cannot be read: file name too long"):
        load_checkpoint(tmp_path / ("x" * 300))
    with pytest.raises(CheckpointError, match="cannot be read: not a directory"):
        load_checkpoint(saved(tmp_path) / "below")


LOAD = """
import resource, sys
from pathlib import Path
from vitscope.checkpoint.files import load_checkpoint
from vitscope.errors import CheckpointError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        load_checkpoint(Path(name))
    except CheckpointError as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""

BOMBS = ["deflated", "stride 0", "overflowing", "larger than its storage", "huge memo", "billion laughs"]


@pytest.mark.slow
def test_bombs_stay_small(tmp_path: Path):
    """512 MiB of zeros in half a megabyte, tensors of terabytes: 300 MiB is enough to refuse them all."""
    names = []
    for name in [*BOMBS, "deep nesting", "tuple as key", "many instructions"]:
        HOSTILE[name][0](tmp_path / name)
        names.append(str(tmp_path / name))
    for name in ("bytearray", "tensor-of-a-size"):
        rezip(tmp_path / name, payloads(tmp_path / "canary")[name])
        names.append(str(tmp_path / name))
    rezip(tmp_path / "zeros", b"\x80\x02}.", storages=(bytes(512 << 20),), compress=True)
    assert (tmp_path / "zeros").stat().st_size < 1 << 20
    answer = subprocess.run(
        [sys.executable, "-c", LOAD, *names, str(tmp_path / "zeros")],
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, grown = answer.stdout.splitlines()
    assert len(lines) == len(names) + 1
    assert int(grown) < 300, f"{grown} MiB"


def test_many_files_leave_nothing_open(tmp_path: Path):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    HOSTILE["folder"][0](tmp_path / "folder")
    path = saved(tmp_path)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        load_checkpoint(path)
        refusal(tmp_path / "folder")
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limit
