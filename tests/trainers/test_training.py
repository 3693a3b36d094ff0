"""A whole run: what it writes, what it chooses, what it refuses."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
import torch
import yaml

from tests.trainers.runs import STEPS, Journal, assert_same_run, history, small
from vitscope.checkpoint.files import load_checkpoint
from vitscope.data import sources
from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import EnvironmentFault, InputError, NotFiniteError, OutputError
from vitscope.inference.classifier import load
from vitscope.inference.prediction import predict
from vitscope.trainers import engine, preparation
from vitscope.trainers.batches import batch_bounds
from vitscope.trainers.preparation import prepare
from vitscope.trainers.training import train

COLUMNS = [
    "epoch",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "seconds",
    "images_per_second",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    journal = Journal()
    result = train(small(), out=tmp_path_factory.mktemp("one") / "run", device="cpu", observer=journal)
    return result, journal


@pytest.mark.slow
def test_the_run_folder(finished):
    result, _ = finished
    folder = result.folder
    assert (folder / "metrics.csv").read_text().splitlines()[0].split(",") == COLUMNS
    assert len(history(folder)) == result.epochs == 3
    assert yaml.safe_load((folder / "config.yaml").read_text()) == small().model_dump()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["format"] == "vitscope.run"
    assert manifest["result"]["digest"] == result.digest == load_checkpoint(folder / "best.pth").digest
    assert manifest["result"]["folder"] == "run"
    assert manifest["provenance"]["data_digest"] == prepare(small()).train.digest
    assert manifest["provenance"]["config"] == {
        "threads": torch.get_num_threads(),
        "device": "cpu",
        "processes": 1,
    }
    newest = max(
        (path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns
    )
    assert newest.name == "manifest.json"
    assert not list(folder.rglob(".*"))


def test_the_observer_is_told(finished):
    result, journal = finished
    assert journal.told[:2] == [("prepared", 99, "cpu"), ("begin", 3, 99, 0)]
    assert journal.told[-1] == ("end",)
    assert [told[1] for told in journal.told if told[0] == "epoch"] == [1, 2, 3]
    assert max(told[1] for told in journal.told if told[0] == "epoch" and told[2]) == result.best_epoch
    assert journal.steps == 3 * STEPS


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(finished, tmp_path):
    again = train(small(), out=tmp_path / "run", device="cpu")
    assert_same_run(finished[0].folder, again.folder)
    other = train(small(seed=1, epochs=1), out=tmp_path / "other", device="cpu")
    first = load_checkpoint(again.folder / "last.pth").state
    second = load_checkpoint(other.folder / "last.pth").state
    assert not torch.equal(first["head.weight"], second["head.weight"])


def test_the_best_is_the_epoch_of_highest_accuracy_and_has_its_weights(finished, tiny_run):
    for folder in (finished[0].folder, tiny_run):
        rows = history(folder)
        ranks = [(float(row["validation_accuracy"]), -float(row["validation_loss"])) for row in rows]
        result = json.loads((folder / "manifest.json").read_text())["result"]
        assert result["best_epoch"] == ranks.index(max(ranks)) + 1
        best = load(folder / "best.pth")
        row = best.training_record["epoch"]
        assert row["epoch"] == result["best_epoch"]
        settings = best.training_record["settings"]
        images = prepare(small(data=settings["data"])).validation
        predictions = predict(best, images)
        accuracy = float((predictions.logits.argmax(axis=1) == predictions.labels).mean())
        assert accuracy == pytest.approx(row["validation_accuracy"], abs=1e-9)
        loss = torch.nn.functional.cross_entropy(
            torch.from_numpy(np.array(predictions.logits)), torch.from_numpy(np.array(predictions.labels))
        )
        assert float(loss) == pytest.approx(row["validation_loss"], abs=1e-5)


@pytest.mark.slow
def test_ties_go_to_the_lower_loss_and_then_to_the_earlier_epoch(monkeypatch, tmp_path):
    scores = iter([(0.9, 0.5), (0.8, 0.5), (0.8, 0.5), (0.7, 0.4)])
    monkeypatch.setattr(engine.Engine, "validate", lambda *_: next(scores))
    result = train(small(epochs=4), out=tmp_path / "run", device="cpu")
    assert result.best_epoch == 2
    assert result.validation_accuracy == 0.5


@pytest.mark.slow
def test_the_loss_can_choose_the_epoch(monkeypatch, tmp_path):
    scores = iter([(0.9, 0.5), (0.7, 0.8), (0.6, 0.7), (0.6, 0.75)])
    monkeypatch.setattr(engine.Engine, "validate", lambda *_: next(scores))
    result = train(small(epochs=4, select_by="loss"), out=tmp_path / "run", device="cpu")
    assert result.best_epoch == 4  # the lowest loss, and of equals the higher accuracy
    assert result.validation_accuracy == 0.75


@pytest.mark.slow
def test_the_test_split_is_never_loaded(monkeypatch, tmp_path):
    asked = []

    def spy(spec, split):
        asked.append(split)
        return sources.load_split(spec, split)

    monkeypatch.setattr(preparation, "load_split", spy)
    train(small(epochs=1), out=tmp_path / "run", device="cpu")
    assert asked == ["train", "validation"]
    spec = prepare(small()).spec
    everything = {split: set(load_split(spec, split).names) for split in ("train", "validation", "test")}
    assert sum(map(len, everything.values())) == len(set.union(*everything.values()))


@pytest.mark.slow
def test_the_callers_random_numbers_and_signals_are_left_alone(tmp_path):
    torch.manual_seed(5)
    state, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    train(small(epochs=1), out=tmp_path / "run", device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numbers).all()  # noqa: NPY002
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, gradients)


@pytest.mark.slow
def test_a_loss_that_is_not_finite(tmp_path):
    result = train(small(), out=tmp_path / "good", device="cpu")
    kept = {name: (result.folder / name).read_bytes() for name in ("best.pth", "last.pth")}
    journal = Journal()
    with pytest.raises(NotFiniteError, match=r"batch \d+ of epoch 1") as caught:
        train(
            small(optimizer={"lr": 1e30}, schedule={"warmup_epochs": 0}),
            out=tmp_path / "bad",
            observer=journal,
        )
    assert caught.value.exit_code == 6
    assert "optimizer.lr" in caught.value.hint
    assert journal.told[-1] == ("end",)
    assert not (tmp_path / "bad" / "best.pth").exists()
    assert not (tmp_path / "bad" / "manifest.json").exists()
    load_checkpoint(tmp_path / "bad" / "last.pth")  # finite: that of the beginning
    assert {name: (result.folder / name).read_bytes() for name in kept} == kept


def test_weights_that_are_not_finite_never_replace_the_last_good_ones(tmp_path):
    ready = {}

    class Spoiler(Journal):
        def prepared(self, prepared, network, device):
            ready["network"] = network

    def spoil():
        ready["kept"] = {name: (tmp_path / "run" / name).read_bytes() for name in ("best.pth", "last.pth")}
        with torch.no_grad():
            ready["network"].head.weight[0, 0] = torch.nan
        signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vitscope.trainers.run._SECONDS_BETWEEN_SAVES", 0.0)
        patch.setattr("vitscope.trainers.run._LEAST_RATIO", 0)
        with pytest.raises(NotFiniteError, match=r"head\.weight is not finite after batch 2 of epoch 2"):
            train(small(), out=tmp_path / "run", observer=Spoiler(STEPS + 2, spoil))
    assert {name: (tmp_path / "run" / name).read_bytes() for name in ready["kept"]} == ready["kept"]


class Failing(Journal):
    """Lets the network fail in training or in validation."""

    def __init__(self, error, *, training):
        super().__init__()
        self.error, self.training = error, training

    def prepared(self, prepared, network, device):
        def fail(module, _):
            if module.training is self.training:
                raise self.error

        network.register_forward_pre_hook(fail)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), MemoryError(), RuntimeError("can't allocate memory")]
)
def test_out_of_memory_names_a_batch_size_to_try(tmp_path, error, training):
    journal = Failing(error, training=training)
    with pytest.raises(EnvironmentFault) as caught:
        train(small(), out=tmp_path / "run", observer=journal, device="cpu")
    count = 16 if training else 11
    assert f"a batch of {count} images" in str(caught.value)
    assert f"batch_size={count // 2}" in caught.value.hint
    assert journal.told[-1] == ("end",)


def test_no_smaller_batch_to_try(tmp_path):
    with pytest.raises(EnvironmentFault) as caught:
        train(small(batch_size=2), out=tmp_path / "run", observer=Failing(MemoryError(), training=True))
    assert "smaller model" in caught.value.hint


def test_other_errors_pass(tmp_path):
    with pytest.raises(RuntimeError, match="of another kind"):
        train(
            small(),
            out=tmp_path / "run",
            observer=Failing(RuntimeError("of another kind"), training=True),
        )


def test_a_model_that_does_not_fit_into_memory(monkeypatch, tmp_path):
    def fail(*_):
        return torch.empty(1 << 60)

    monkeypatch.setattr("vitscope.trainers.training.build_model", fail)
    with pytest.raises(EnvironmentFault, match="the model does not fit"):
        train(small(), out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("images", "size", "expected"),
    [
        (5, 10, [(0, 5)]),
        (5, 2, [(0, 2), (2, 4)]),
        (6, 4, [(0, 4), (4, 6)]),
        (2, 2, [(0, 2)]),
        (4, 2, [(0, 2), (2, 4)]),
    ],
)
def test_batches(images, size, expected):
    assert batch_bounds(images, size) == expected


@pytest.mark.slow
@pytest.mark.parametrize("size", [1000, 49, 98])
def test_batches_larger_than_the_data_and_a_last_one_of_one_image(tmp_path, size):
    result = train(small(epochs=1, batch_size=size), out=tmp_path / "run", device="cpu")
    assert np.isfinite(result.validation_accuracy)


def test_an_output_that_exists(finished, tmp_path):
    with pytest.raises(OutputError, match="exists") as caught:
        train(small(epochs=1), out=finished[0].folder)
    assert "--overwrite" in caught.value.hint


def test_a_bad_model_leaves_no_folder(tmp_path):
    with pytest.raises(InputError, match="divide the width"):
        train(small(model={"heads": 5}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_bfloat16_on_a_cpu(tmp_path):
    result = train(small(precision="bfloat16", epochs=1), out=tmp_path / "run", device="cpu")
    state = load_checkpoint(result.folder / "best.pth").state
    assert all(tensor.dtype == torch.float32 for tensor in state.values() if tensor.is_floating_point())


def test_the_data_is_found_again(finished):
    assert DataSpec.from_dict(load_checkpoint(finished[0].folder / "best.pth").data).source == "digits"


@pytest.mark.slow
def test_threads_are_as_asked_in_the_run_and_as_before_after_it(tmp_path):
    seen = []
    journal = Journal(at=1, act=lambda: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    train(small(epochs=1, threads=2), out=tmp_path / "run", device="cpu", observer=journal)
    assert seen == [2]
    assert torch.get_num_threads() == before == 1
