"""The run folder: one owner, no foreign file touched, `latest`."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from filelock import FileLock

from tests.trainers.runs import history, small
from vitscope.errors import EnvironmentFault, OutputError
from vitscope.trainers.folder import RunFolder
from vitscope.trainers.settings import settings_text
from vitscope.trainers.training import resume, train


def create(out, *, overwrite=False):
    folder = RunFolder.create(out, preset="p", data="d", overwrite=overwrite)
    folder.release()
    return folder


def fill(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(text)
    return folder


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_new_folder_below_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = RunFolder.create(None, preset="vit-tiny", data="a/b c/d$e", overwrite=False)
    assert first.path.parent == Path("runs")
    assert first.path.name.endswith("_vit-tiny_d-e")
    assert Path("runs/latest").resolve() == first.path.resolve()
    second = RunFolder.create(None, preset="vit-tiny", data="a/b c/d$e", overwrite=False)
    assert second.path != first.path
    assert Path("runs/latest").resolve() == second.path.resolve()
    assert Path("runs/latest").readlink() == Path(second.path.name)


def test_many_runs_at_the_same_moment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vitscope.trainers.folder.utc_stamp", lambda: "now")
    found, barrier = [], threading.Barrier(8)

    def begin():
        barrier.wait()
        found.append(RunFolder.create(None, preset="p", data="d", overwrite=False).path)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8
    assert Path("runs/latest").resolve().parent == (tmp_path / "runs").resolve()
    assert not list(Path("runs").glob(".*"))


def test_a_latest_that_is_no_link_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "runs" / "latest", notes="mine")
    RunFolder.create(None, preset="", data="d", overwrite=False)
    assert (tmp_path / "runs" / "latest" / "notes").read_text() == "mine"


def test_a_dangling_latest_is_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "latest").symlink_to("gone")
    made = RunFolder.create(None, preset="", data="d", overwrite=False)
    assert (tmp_path / "runs" / "latest").resolve() == made.path.resolve()


def test_an_empty_folder_or_one_killed_at_once_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    create(tmp_path / "empty")
    fill(tmp_path / "killed", __lock="")
    create(tmp_path / "killed")
    assert names(tmp_path / "killed") == []


def test_a_finished_run_is_replaced_only_when_told(tmp_path):
    run = fill(
        tmp_path / "run",
        manifest__json='{"format": "vitscope.run"}',
        best__pth="x",
        metrics__csv="x",
        notes="mine",
    )
    (run / "figures").mkdir()
    with pytest.raises(OutputError, match="exists"):
        create(run)
    assert len(names(run)) == 5
    create(run, overwrite=True)
    assert names(run) == ["notes"]


def test_an_unfinished_run_can_be_resumed_or_replaced(tmp_path):
    run = fill(tmp_path / "run", config__yaml=settings_text(small()))
    with pytest.raises(OutputError) as caught:
        create(run)
    assert "--resume" not in caught.value.hint
    fill(run, last__pth="x")
    with pytest.raises(OutputError) as caught:
        create(run)
    assert f"--resume {run}" in caught.value.hint
    create(run, overwrite=True)
    assert names(run) == []


@pytest.mark.parametrize(
    "files",
    [
        {"notes": "mine"},
        {"best__pth": "mine"},
        {"config__yaml": "optimizer: {lr: 1}", "metrics__csv": "mine"},
        {"config__yaml": "[", "figures": ""},
        {"config__yaml": "some: other program", "last__pth": "x"},
    ],
)
def test_a_folder_that_is_not_ours_is_never_overwritten(tmp_path, files):
    folder = fill(tmp_path / "theirs", **files)
    before = names(folder)
    for overwrite in (False, True):
        with pytest.raises(OutputError):
            create(folder, overwrite=overwrite)
    assert names(folder) == before


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        create(tmp_path / "file")
    with pytest.raises(EnvironmentFault):
        create(tmp_path / "file" / "below")


def test_one_owner(tmp_path):
    first = RunFolder(tmp_path / "run")
    with pytest.raises(OutputError, match="another process is writing"):
        RunFolder(tmp_path / "run")
    first.release()
    RunFolder(tmp_path / "run").release()
    assert names(tmp_path / "run") == []


def test_a_folder_that_was_made_while_waiting_for_the_lock(tmp_path, monkeypatch):
    """Another process makes a whole run between the first look and the lock."""
    run, acquire = tmp_path / "run", FileLock.acquire

    def late(self, *arguments, **options):
        fill(run, manifest__json='{"format": "vitscope.run"}', best__pth="theirs")
        return acquire(self, *arguments, **options)

    monkeypatch.setattr(FileLock, "acquire", late)
    with pytest.raises(OutputError, match="exists"):
        create(run)
    assert names(run) == ["best.pth", "manifest.json"]


def test_stale_files_go_and_folders_of_other_commands_stay(tmp_path):
    run = fill(tmp_path / "run", **{"__last.pth__partial": "half"})
    (run / ".evaluation.partial").mkdir()
    RunFolder(run).release()
    assert names(run) == [".evaluation.partial"]


@pytest.mark.slow
def test_a_run_in_use_is_neither_resumed_nor_replaced(tmp_path):
    train(small(epochs=1), out=tmp_path / "run", device="cpu")
    held = RunFolder(tmp_path / "run")
    before = (tmp_path / "run" / "last.pth").read_bytes()
    with pytest.raises(OutputError, match="another process"):
        resume(tmp_path / "run", device="cpu")
    with pytest.raises(OutputError, match="another process"):
        train(small(), out=tmp_path / "run", device="cpu", overwrite=True)
    assert (tmp_path / "run" / "last.pth").read_bytes() == before
    held.release()
    train(small(epochs=2), out=tmp_path / "run", device="cpu", overwrite=True)
    assert len(history(tmp_path / "run")) == 2
