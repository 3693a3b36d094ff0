"""Several processes that share a run end where one alone does."""

from __future__ import annotations

import io
import os
import signal
import sys

import pytest
import torch

from tests.oracles.forked import shared
from tests.trainers.runs import STEPS, Journal, assert_same_run, history, small
from vitscope.checkpoint.files import load_checkpoint
from vitscope.cli.main import app
from vitscope.errors import Interrupted, VitscopeError
from vitscope.trainers.settings import settings_text
from vitscope.trainers.training import resume, train

# Dropout differs between processes, and is off.
PLAIN = {"model": {"dropout": 0.0, "drop_path": 0.0}, "ema": 0.9}


def whole(rank, folder, changes):
    result = train(small(**PLAIN | changes), out=folder, device="cpu")
    return result.digest, result.validation_accuracy


def losses(folder):
    return torch.tensor(load_checkpoint(folder / "last.pth").resume["state"]["losses"])


def assert_close_runs(one, other):
    columns = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    first, second = (
        torch.tensor([[float(row[name]) for name in columns] for row in history(folder)])
        for folder in (one, other)
    )
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, {"augment": {"mixup": 0.8, "cutmix": 1.0}, "accumulate": 2, "batch_size": 15}]
)
def test_two_processes_are_as_one(tmp_path, changes):
    settings = small(**PLAIN | changes)
    train(settings, out=tmp_path / "one", device="cpu")
    answers = shared(2, whole, tmp_path / "two", changes)
    assert answers[0][1] == answers[1][1], answers
    assert_close_runs(tmp_path / "one", tmp_path / "two")
    first, second = (load_checkpoint(tmp_path / name / "last.pth").state for name in ("one", "two"))
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=0, atol=1e-3, msg=name)


@pytest.mark.slow
def test_a_last_batch_of_fewer_images_than_processes(tmp_path):
    changes = {"batch_size": 97, "epochs": 2}  # 97 and 2 of 99 images, the two among three processes
    train(small(**PLAIN | changes), out=tmp_path / "one", device="cpu")
    shared(3, whole, tmp_path / "three", changes)
    assert_close_runs(tmp_path / "one", tmp_path / "three")


def stopped(rank, folder):
    def act():
        for _ in range(2):  # from the terminal, and again from torchrun
            os.kill(os.getpid(), signal.SIGINT)

    try:
        train(small(**PLAIN), out=folder, device="cpu", observer=Journal(STEPS + 2, act))
    except Interrupted as error:
        return error.exit_code
    return None


def resumed(rank, folder):
    return resume(folder, device="cpu").epochs


@pytest.mark.slow
def test_a_signal_to_one_stops_all_and_they_go_on_together(tmp_path):
    shared(2, whole, tmp_path / "whole", {})
    codes = shared(2, stopped, tmp_path / "run")
    assert codes[0] == 130
    assert codes[1] in (130, 143), codes  # it was told by the first
    state = load_checkpoint(tmp_path / "run" / "last.pth").resume["state"]
    assert (state["epoch"], state["step"]) == (1, 2)
    assert shared(2, resumed, tmp_path / "run") == [3, 3]
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert not list((tmp_path / "run").rglob(".*"))


def commanded(rank, config, folder):
    sys.stderr = io.StringIO()
    with pytest.raises(SystemExit) as left:
        app(["train", "--config", str(config), "--out", str(folder), "--device", "cpu", "--quiet"])
    return left.value.code, sys.stderr.getvalue().splitlines()


@pytest.mark.slow
def test_what_stops_all_is_told_once(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(settings_text(small(**PLAIN | {"optimizer": {"lr": 1e30}, "schedule": {}})))
    first, second = shared(2, commanded, config, tmp_path / "run")
    assert (first[0], second[0]) == (6, 6)
    assert first[1][0].startswith("error: ")
    assert len(first[1]) == 2
    assert second[1] == []


def told_of(rank, folder):
    try:
        train(small(**PLAIN), out=folder, device="cpu")
    except VitscopeError as error:
        return type(error).__name__, str(error), error.exit_code
    return None


def test_a_fault_of_one_is_no_bug_of_the_others(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    first, second = shared(2, told_of, tmp_path / "kept")
    assert first[0] == "OutputError", first
    assert second == ("EnvironmentFault", "another of the 2 processes has ended, or does not answer", 4)


class Listener(Journal):
    def notice(self, message):
        self.told.append(message)


def listened(rank, folder):
    listener = Listener()
    settings = small(**PLAIN, data={"limit": 30}, epochs=1)
    model = settings.model.model_copy(update={"name": "hybrid", "depth": 1})
    train(settings.model_copy(update={"model": model}), out=folder, device="cpu", observer=listener)
    return [message for message in listener.told if isinstance(message, str)]


@pytest.mark.slow
def test_batch_norm_in_parts_is_said(tmp_path):
    told = shared(2, listened, tmp_path / "run")
    assert [len(each) for each in told] == [1, 0], told
    assert "batch norm" in told[0][0]
