"""The loop, beside one that is written as one would at first."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch

from tests.oracles.plain_training import plain_training
from tests.trainers.runs import Journal, assert_same_run, history, pictures, small
from vitscope.checkpoint.files import load_checkpoint, save_checkpoint
from vitscope.errors import InputError, Interrupted
from vitscope.inference.classifier import load
from vitscope.trainers.settings import parse_settings
from vitscope.trainers.training import resume, train

PLAIN = {"model": {"dropout": 0.0, "drop_path": 0.0}, "epochs": 2}
MIXED = {"augment": {"mixup": 0.8, "cutmix": 1.0, "mix_off": 0.5, "flip": False}}


def check_against(oracle, folder):
    losses, last, average = oracle
    sizes = [16] * 6 + [3]
    for epoch, row in enumerate(history(folder)):
        mean = np.average(losses[7 * epoch : 7 * epoch + 7], weights=sizes)
        assert float(row["train_loss"]) == pytest.approx(mean, abs=1e-5)
    saved = load_checkpoint(folder / "last.pth")
    for name, tensor in saved.state.items():
        torch.testing.assert_close(tensor, last[name], rtol=0, atol=2e-4, msg=name)
    averaged = saved.resume.get("ema", {})
    for name, tensor in averaged.items():
        torch.testing.assert_close(tensor, average[name], rtol=0, atol=2e-4, msg=name)
    return averaged


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, MIXED | {"ema": 0.6}, MIXED | {"accumulate": 3}])
def test_equals_the_plain_loop(tmp_path, changes):
    settings = small(**PLAIN | changes)
    train(settings, out=tmp_path / "run", device="cpu")
    averaged = check_against(plain_training(settings), tmp_path / "run")
    assert bool(averaged) == ("ema" in changes)


@pytest.mark.slow
def test_the_averaged_weights_are_judged_and_kept(tmp_path):
    folder = train(small(ema=0.8, select_by="last"), out=tmp_path / "run", device="cpu").folder
    best, last = (load_checkpoint(folder / name) for name in ("best.pth", "last.pth"))
    assert best.training["epoch"]["epoch"] == 3
    assert all(torch.equal(tensor, last.resume["ema"][name]) for name, tensor in best.state.items())
    assert not torch.equal(best.state["head.weight"], last.state["head.weight"])


@pytest.mark.slow
def test_mixed_images_count_by_the_shares_of_their_labels(tmp_path):
    """With mixup of half and half for ever, no answer is more than half right but where both labels agree."""
    settings = small(augment={"mixup": 1e6}, epochs=1)
    row = history(train(settings, out=tmp_path / "run", device="cpu").folder)[0]
    right = 2 * 99 * float(row["train_accuracy"])
    assert right == pytest.approx(round(right), abs=0.05)
    assert 0 < float(row["train_accuracy"]) < 0.6


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    settings = small(model={"width": 8, "depth": 1}, epochs=1, seed=3)
    return train(settings, out=tmp_path_factory.mktemp("teacher") / "run", device="cpu").folder / "best.pth"


@pytest.mark.slow
def test_distillation_equals_the_plain_loop(tmp_path, teacher):
    settings = small(**PLAIN | MIXED, distill={"teacher": str(teacher), "share": 0.7, "temperature": 3})
    folder = train(settings, out=tmp_path / "run", device="cpu").folder
    check_against(plain_training(settings, load(teacher)), folder)


def test_a_teacher_that_does_not_fit(tmp_path, teacher):
    checkpoint = load_checkpoint(teacher)
    names = ("zero", *checkpoint.classes[1:])
    other = tmp_path / "other.pth"
    save_checkpoint(type(checkpoint)(**checkpoint.to_dict() | {"classes": names}), other)
    settings = small(distill={"teacher": str(other)})
    with pytest.raises(InputError, match="does not know 1 of 10 classes, first '0'") as caught:
        train(settings, out=tmp_path / "run", device="cpu")
    assert caught.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        MIXED | {"ema": 0.9, "accumulate": 2, "schedule": {"name": "onecycle"}},
        {"optimizer": {"name": "muon"}, "augment": {"policy": "trivialaugment", "erasing": 0.5}},
    ],
)
def test_every_part_resumes_bit_for_bit(tmp_path, changes):
    train(small(**changes), out=tmp_path / "whole", device="cpu")
    for at in (3, 16):
        folder = tmp_path / f"run{at}"
        with pytest.raises(Interrupted):
            train(small(**changes), out=folder, device="cpu", observer=Journal(at, _stop))
        resume(folder, device="cpu")
        assert_same_run(folder, tmp_path / "whole")


def _stop():

    signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_workers_change_nothing(tmp_path):
    source = pictures(tmp_path / "data", [(70, 80), (90, 66)], each=6)
    for workers in (0, 2):
        settings = small(
            data={"source": source, "limit": None, "image_size": 66, "workers": workers},
            model={"patch_size": 22},
            augment={"resized_crop": 0.3},
            epochs=2,
            batch_size=4,
        )
        train(settings, out=tmp_path / f"{workers}", device="cpu")
    assert_same_run(tmp_path / "0", tmp_path / "2")


@pytest.mark.slow
def test_what_is_not_as_it_was_is_said(tmp_path):
    with pytest.raises(Interrupted):
        train(small(), out=tmp_path / "run", device="cpu", observer=Journal(2, _stop))
    told = []

    class Listener(Journal):
        def notice(self, message):
            told.append(message)

    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        resume(tmp_path / "run", device="cpu", observer=Listener())
    finally:
        torch.set_num_threads(before)
    assert len(told) == 1
    assert f"threads {before} → {before + 1}" in told[0]


@pytest.mark.slow
def test_channels_last_and_bfloat16_are_near(tmp_path):
    plain = parse_settings(
        {"model": {"name": "resnet18"}, "data": {"limit": 20}, "epochs": 1, "channels_last": False}
    )
    rows = []
    for name, change in (("a", {}), ("b", {"channels_last": True}), ("c", {"precision": "bfloat16"})):
        settings = plain.model_copy(update=change)
        rows.append(history(train(settings, out=tmp_path / name, device="cpu").folder)[0])
    losses = [float(row["train_loss"]) for row in rows]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert losses[2] == pytest.approx(losses[0], abs=0.1)
    assert losses[2] != losses[0]
