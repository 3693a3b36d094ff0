"""A run that is stopped anywhere and resumed ends in the same weights, bit for bit."""

from __future__ import annotations

import dataclasses
import shutil
import signal

import pytest

from tests.oracles.faults import failing_calls
from tests.trainers.runs import STEPS, Journal, assert_same_run, pictures, small
from vitscope.checkpoint.files import load_checkpoint, save_checkpoint
from vitscope.errors import (
    CheckpointError,
    EnvironmentFault,
    InputError,
    Interrupted,
    VitscopeError,
)
from vitscope.trainers import run as running
from vitscope.trainers.training import resume, train


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return train(small(), out=tmp_path_factory.mktemp("unbroken") / "run", device="cpu").folder


def stop(number=signal.SIGINT):
    return lambda: signal.raise_signal(number)


def interrupted(folder, at, number=signal.SIGINT, settings=None):
    with pytest.raises(Interrupted) as caught:
        train(settings or small(), out=folder, device="cpu", observer=Journal(at, stop(number)))
    assert caught.value.exit_code == 128 + number
    assert not (folder / "manifest.json").exists()
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, STEPS, STEPS + 1, 3 * STEPS])
def test_stopped_at_any_step(unbroken, tmp_path, at):
    folder = tmp_path / "a run"
    error = interrupted(folder, at)
    assert str(error) == f"stopped by Ctrl-C in epoch {(at - 1) // STEPS + 1} of 3; all of it is saved"
    assert error.hint == f"go on with: vitscope train --resume '{folder}'"
    journal = Journal()
    resume(folder, device="cpu", observer=journal)
    assert journal.steps == 3 * STEPS - at
    assert journal.told[1] == ("begin", 3, 99, (at - 1) // STEPS)
    assert_same_run(folder, unbroken)


@pytest.mark.slow
def test_stopped_again_and_again(unbroken, tmp_path):
    interrupted(tmp_path / "run", 2, signal.SIGTERM)
    for _ in range(3 * STEPS // 2):
        with pytest.raises(Interrupted, match="SIGTERM") as caught:
            resume(tmp_path / "run", device="cpu", observer=Journal(2, stop(signal.SIGTERM)))
        assert caught.value.exit_code == 143
        if load_checkpoint(tmp_path / "run" / "last.pth").resume["state"]["epoch"] == 2:
            break
    resume(tmp_path / "run", device="cpu")
    assert_same_run(tmp_path / "run", unbroken)


@pytest.mark.slow
def test_best_is_of_the_epoch_that_it_names_after_a_kill_between_the_files(tmp_path):
    folder = tmp_path / "run"
    interrupted(folder, STEPS + 1)
    best, last = load_checkpoint(folder / "best.pth"), load_checkpoint(folder / "last.pth")
    row = best.training["epoch"] | {"epoch": 2}
    save_checkpoint(dataclasses.replace(best, training=best.training | {"epoch": row}), folder / "best.pth")
    # As on a GPU, where the second epoch need not come out as well again.
    last.resume["state"]["history"][0] |= {"validation_accuracy": 2.0, "validation_loss": -1.0}
    save_checkpoint(dataclasses.replace(last, resume=last.resume), folder / "last.pth")
    result = resume(folder, device="cpu")
    kept = load_checkpoint(folder / "best.pth")
    assert result.best_epoch > 1
    assert kept.training["epoch"]["epoch"] == result.best_epoch
    assert kept.training["epoch"]["validation_loss"] == result.validation_loss
    assert kept.digest == result.digest


class StopAtEpoch(Journal):
    def epoch(self, row, *, best):
        if row["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_stopped_between_epochs(unbroken, tmp_path):
    with pytest.raises(Interrupted, match="after epoch 2 of 3"):
        train(small(), out=tmp_path / "run", device="cpu", observer=StopAtEpoch())
    resume(tmp_path / "run", device="cpu")
    assert_same_run(tmp_path / "run", unbroken)


@pytest.mark.slow
def test_batch_norm_momentum_and_files_resume_as_well(tmp_path):
    source = pictures(tmp_path / "data", [(70, 70)], each=12)
    settings = small(
        model={"name": "hybrid", "depth": 1},
        data={"source": source, "limit": None, "image_size": 66},
        optimizer={"name": "sgd"},
        epochs=2,
        batch_size=4,
    )
    train(settings, out=tmp_path / "whole", device="cpu")
    for at in (2, 4):
        interrupted(tmp_path / f"run{at}", at, settings=settings)
        resume(tmp_path / f"run{at}", device="cpu")
        assert_same_run(tmp_path / f"run{at}", tmp_path / "whole")


@pytest.mark.slow
def test_saving_at_every_step_changes_nothing(monkeypatch, unbroken, tmp_path):
    monkeypatch.setattr(running, "_SECONDS_BETWEEN_SAVES", -1.0)
    monkeypatch.setattr(running, "_LEAST_RATIO", -1)
    seen = []

    def look():
        seen.append(load_checkpoint(tmp_path / "run" / "last.pth").resume["state"])

    train(small(), out=tmp_path / "run", device="cpu", observer=Journal(STEPS + 3, look))
    assert (seen[0]["epoch"], seen[0]["step"]) == (1, 2)
    assert len(seen[0]["losses"]) == 2
    assert_same_run(tmp_path / "run", unbroken)


@pytest.mark.slow
def test_a_kill_between_the_two_files(unbroken, tmp_path):
    """`best.pth` is newer than `last.pth` then."""
    folder = tmp_path / "run"
    interrupted(folder, STEPS + 2)
    shutil.copy(unbroken / "best.pth", folder / "best.pth")
    resume(folder, device="cpu")
    assert_same_run(folder, unbroken)


def test_a_finished_run_is_finished_again(unbroken, tmp_path):
    shutil.copytree(unbroken, tmp_path / "run")
    journal = Journal()
    result = resume(tmp_path / "run", device="cpu", observer=journal)
    assert journal.steps == 0
    assert result.digest == load_checkpoint(unbroken / "best.pth").digest
    assert_same_run(tmp_path / "run", unbroken)


@pytest.mark.slow
def test_resumed_through_a_link(unbroken, tmp_path):
    interrupted(tmp_path / "run", 3)
    (tmp_path / "latest").symlink_to("run")
    resume(tmp_path / "latest", device="cpu")
    assert '"folder": "run"' in (tmp_path / "run" / "manifest.json").read_text()


@pytest.mark.parametrize("name", ["none", "empty", "file"])
def test_no_run_to_resume(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"holds no last\.pth") as caught:
        resume(tmp_path / name)
    assert caught.value.hint
    assert not list((tmp_path / "empty").iterdir())


def test_other_images_than_the_run_began_with(tmp_path):
    source = pictures(tmp_path / "data", [(8, 8)])
    settings = small(data={"source": source, "limit": None}, batch_size=2)
    interrupted(tmp_path / "run", 2, settings=settings)
    (tmp_path / "data" / "cat" / "0.png").rename(tmp_path / "data" / "cat" / "other.png")
    with pytest.raises(InputError, match="are not those that"):
        resume(tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / ".lock").exists()


def changed(path, **changes):
    save_checkpoint(dataclasses.replace(load_checkpoint(path), **changes), path)


@pytest.mark.parametrize(
    "changes",
    [
        {"resume": None},
        {"resume": {}},
        {"resume": {"state": {"strange": 1}, "optimizer": {}}},
        {"resume": {"state": {}, "optimizer": {"state": {}, "param_groups": []}}},
        {"training": {}},
        {"training": {"settings": 3}},
    ],
    ids=str,
)
def test_a_last_checkpoint_that_no_run_wrote(unbroken, tmp_path, changes):
    shutil.copytree(unbroken, tmp_path / "run")
    changed(tmp_path / "run" / "last.pth", **changes)
    with pytest.raises(VitscopeError) as caught:
        resume(tmp_path / "run", device="cpu")
    assert caught.value.exit_code in (2, 3)


def test_a_damaged_last_checkpoint(unbroken, tmp_path):
    shutil.copytree(unbroken, tmp_path / "run")
    data = (tmp_path / "run" / "last.pth").read_bytes()
    (tmp_path / "run" / "last.pth").write_bytes(data[:-1000])
    with pytest.raises(CheckpointError):
        resume(tmp_path / "run", device="cpu")


@pytest.mark.slow
def test_the_kth_call_of_the_system_fails(tmp_path):
    """A run ends in one clear error, and what it had saved before is whole."""
    settings = small(epochs=1)
    with failing_calls(None) as calls:
        train(settings, out=tmp_path / "counted", device="cpu")
    assert calls.count > 20
    step = max(1, calls.count // 25)
    for fatal in range(0, calls.count, step):
        folder = tmp_path / f"run{fatal}"
        with failing_calls(fatal) as fault, pytest.raises(EnvironmentFault):
            train(settings, out=folder, device="cpu")
        assert fault.failed
        # Only flushing the folder comes after the manifest's own rename.
        assert not (folder / "manifest.json").exists() or fatal > calls.count - 4
        for name in ("best.pth", "last.pth"):
            if (folder / name).exists():
                load_checkpoint(folder / name)
        assert not list(folder.glob(".*"))
