"""Logs: what TensorBoard reads of its files, and what Weights & Biases is told."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys

import pytest

from tests.trainers.runs import STEPS, Journal, small
from vitscope.errors import EnvironmentFault, Interrupted, UsageError
from vitscope.trainers.loggers import WandbLog, flat, open_log
from vitscope.trainers.observer import Observer, Observers, Plan
from vitscope.trainers.training import resume, train

TAGS = {
    "loss/train": "train_loss",
    "loss/validation": "validation_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/validation": "validation_accuracy",
    "learning_rate": "learning_rate",
    "images_per_second": "images_per_second",
}


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """A run of three epochs that was stopped in the fifth step of the second, with both logs; its plans."""
    folder = tmp_path_factory.mktemp("logged") / "run"
    stop, client, keeper = Journal(at=STEPS + 5, act=interrupt), Client(), Keeper()
    first = Observers(stop, keeper, open_log("tensorboard"), WandbLog(client))
    with pytest.raises(Interrupted):
        train(small(), out=folder, device="cpu", observer=first)
    second = Observers(keeper, open_log("tensorboard"), WandbLog(client))
    resume(folder, device="cpu", observer=second)
    return folder, client, keeper.plans


class Keeper(Observer):
    """Keeps the plans that it is told."""

    def __init__(self):
        self.plans = []

    def begin(self, folder, plan):
        self.plans.append(plan)


class Client:
    """Takes the place of the module `wandb`: keeps what it is told."""

    def __init__(self):
        self.runs = []

    def init(self, **arguments):
        run = Run(arguments, arguments.get("id", f"made-{len(self.runs)}"))
        self.runs.append(run)
        return run


class Run:
    def __init__(self, arguments, identity):
        self.arguments, self.id, self.logged, self.summary, self.finished = arguments, identity, [], {}, 0

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.finished += 1


def metrics(folder):
    with (folder / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_a_resumed_run_tells_what_was_done(resumed):
    first, second = resumed[2]
    assert (first.done, first.begun, first.history, first.best_epoch) == (0, 0, (), 0)
    assert (second.done, second.begun, second.best_epoch) == (1, 5 * 16, 1)
    assert [row["epoch"] for row in second.history] == [1]
    assert second.settings["optimizer"]["lr"] == 3e-3


@pytest.mark.slow
def test_tensorboard_reads_every_epoch_once(resumed):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, _, _ = resumed
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0, "images": 0})
    events.Reload()
    for tag, column in TAGS.items():
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        expected = [(int(row["epoch"]), float(row[column])) for row in metrics(folder)]
        assert [step for step, _ in found] == [step for step, _ in expected] == [1, 2, 3]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected])
    assert [event.step for event in events.Images("history")] == [1, 3]
    text = events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "optimizer.lr: 0.003" in text
    best = max(
        metrics(folder), key=lambda row: (float(row["validation_accuracy"]), -float(row["validation_loss"]))
    )
    assert events.Scalars("best/accuracy")[-1].value == pytest.approx(float(best["validation_accuracy"]))


def test_wandb_is_told_every_epoch_and_goes_on_in_the_same_run(resumed):
    folder, client, _ = resumed
    first, second = client.runs
    assert [step for step, _ in (*first.logged, *second.logged)] == [1, 2, 3]
    for row, (_, values) in zip(metrics(folder), (*first.logged, *second.logged), strict=True):
        assert values == {tag: pytest.approx(float(row[column])) for tag, column in TAGS.items()}
    assert (first.finished, second.finished) == (1, 1)
    assert first.arguments["name"] == "run"
    assert first.arguments["config"]["model.name"] == "vit-micro"
    assert "id" not in first.arguments
    assert (second.arguments["id"], second.arguments["resume"]) == ("made-0", "allow")
    assert json.loads((folder / "wandb.json").read_text()) == {"id": "made-0"}
    best = {**first.summary, **second.summary}
    assert best["best/accuracy"] == max(float(row["validation_accuracy"]) for row in metrics(folder))


def test_a_new_run_does_not_go_on_in_an_old_one(tmp_path):
    (tmp_path / "wandb.json").write_text('{"id": "old"}')
    client = Client()
    WandbLog(client).begin(tmp_path, Plan(epochs=1, done=0, steps=1, images=4))
    assert "id" not in client.runs[0].arguments


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_an_identity_that_cannot_be_read(text, tmp_path):
    (tmp_path / "wandb.json").write_text(text)
    client = Client()
    WandbLog(client).begin(tmp_path, Plan(epochs=2, done=1, steps=1, images=4))
    assert "id" not in client.runs[0].arguments


def test_weights_and_biases_that_cannot_be_reached(tmp_path):
    class Unreachable:
        def init(self, **_):
            raise RuntimeError("no\nkey")

    with pytest.raises(EnvironmentFault, match="cannot be reached: no key"):
        WandbLog(Unreachable()).begin(tmp_path, Plan(epochs=1, done=0, steps=1, images=4))


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_without_the_package(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EnvironmentFault, match=f"{name} is not installed") as caught:
        open_log(name)
    assert caught.value.hint == f"pip install 'vitscope[{name}]'"


def test_no_such_log():
    with pytest.raises(UsageError, match="tensorboard or wandb"):
        open_log("mlflow")


def test_flat_settings():
    nested = {"a": 1, "b": {"c": None, "d": {"e": True}}, "f": [1, 2]}
    assert flat(nested) == {"a": 1, "b.c": "none", "b.d.e": True, "f": "[1, 2]"}
