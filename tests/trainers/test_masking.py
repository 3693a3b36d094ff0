"""Masked images: the masks, the loss, a run from its first step to the run that starts from it."""

from __future__ import annotations

import os
import signal
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.oracles.forked import shared
from tests.oracles.masked import plain_forward, plain_losses
from tests.trainers.runs import STEPS, Journal, assert_same_run, history, small
from vitscope.checkpoint.files import load_checkpoint
from vitscope.cli.main import app
from vitscope.errors import CheckpointError, InputError, Interrupted, UsageError
from vitscope.inference.classifier import load
from vitscope.models.registry import build_model
from vitscope.trainers.masking import (
    MaskedImageModel,
    hidden_patches,
    patches_of,
    reconstruction_losses,
)
from vitscope.trainers.training import resume, train

MASKED = {"objective": "masked-images", "model": {"dropout": 0.0, "drop_path": 0.0}}
OF_DIGITS = {"classes": 10, "image_size": 8, "channels": 1}


def network(**options):
    torch.manual_seed(0)
    small_one = {"width": 12, "depth": 2, "heads": 2}
    return MaskedImageModel(build_model("vit-micro", OF_DIGITS | small_one | options))


@given(
    st.integers(2, 60),
    st.floats(0.01, 0.99),
    st.integers(0, 2**31 - 1),
    st.integers(-1, 1000),
    st.lists(st.integers(0, 2**31), min_size=1, max_size=8),
)
def test_masks_hide_so_many_patches_of_each_image_and_depend_on_it_alone(
    patches, ratio, seed, epoch, samples
):
    samples = torch.tensor(samples)
    hidden = hidden_patches(samples, patches, ratio, key=(seed, epoch))
    assert hidden.dtype == torch.bool
    assert hidden.sum(dim=1).tolist() == [min(int(np.ceil(ratio * patches)), patches - 1)] * len(samples)
    backwards = hidden_patches(samples.flip(0), patches, ratio, key=(seed, epoch))
    assert torch.equal(backwards.flip(0), hidden)
    assert torch.equal(hidden_patches(samples[:1], patches, ratio, key=(seed, epoch)), hidden[:1])


def test_masks_differ_between_images_epochs_and_seeds_and_are_fair():
    samples = torch.arange(4000)
    one = hidden_patches(samples, 16, 0.6, key=(0, 0))
    assert len({tuple(row.tolist()) for row in one}) > 2000  # of 8008 masks
    for key in ((0, 1), (1, 0), (0, -1)):
        other = hidden_patches(samples, 16, 0.6, key=key)
        same = (one == other).all(dim=1).double().mean()
        assert same < 0.01, key
        assert abs((one == other).double().mean() - (0.625**2 + 0.375**2)) < 0.01
    assert (one.double().mean(dim=0) - 0.625).abs().max() < 0.04  # 5 standard deviations
    pairs = one[:, 0].double() @ one[:, 1].double() / 4000
    assert pairs == pytest.approx(10 * 9 / (16 * 15), abs=0.04)
    masks = Counter(tuple(row.tolist()) for row in hidden_patches(samples, 4, 0.5, key=(0, 0)))
    assert len(masks) == 6
    assert max(abs(count - 4000 / 6) for count in masks.values()) < 5 * (4000 / 6) ** 0.5


def test_the_loss_equals_the_plain_loops():
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(3, 2, 6, 6, generator=draw)
    predicted = torch.randn(3, 9, 8, generator=draw)
    hidden = hidden_patches(torch.arange(3), 9, 0.6, key=(0, 0))
    found = reconstruction_losses(predicted, images, hidden)
    torch.testing.assert_close(found, torch.tensor(plain_losses(predicted, images, hidden)))
    assert not reconstruction_losses(patches_of(images, 9), images, hidden).any()


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_the_model_hides_what_it_is_told_and_sees_nothing_of_it(pool):
    model = network(pool=pool).eval()
    torch.nn.init.normal_(model.mask_token)
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    hidden = hidden_patches(torch.arange(2), model.patches, 0.6, key=(0, 0))
    predicted = model(images, hidden)
    torch.testing.assert_close(predicted, plain_forward(model, images, hidden))
    (slope,) = torch.autograd.grad(predicted.sum(), images)
    seen = patches_of(slope, model.patches).abs().sum(dim=2)
    assert not seen[hidden].any()
    assert (seen[~hidden] > 0).all()


def test_visible_patches_are_no_targets_and_every_weight_but_the_head_learns():
    model = network()
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    hidden = hidden_patches(torch.arange(4), model.patches, 0.6, key=(0, 0))
    predicted = model(images, hidden)
    predicted.retain_grad()
    reconstruction_losses(predicted, images, hidden).mean().backward()
    assert not predicted.grad[~hidden].any()
    assert (predicted.grad[hidden] != 0).all()
    silent = {
        name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()
    }
    assert silent == {"encoder.head.weight", "encoder.head.bias"}


@pytest.fixture(scope="module")
def masked_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("masked") / "run"
    return train(small(**MASKED, epochs=4), out=out, device="cpu")


@pytest.mark.slow
def test_training_lowers_the_loss(masked_run):
    rows = history(masked_run.folder)
    assert set(rows[0]) == {"epoch", "learning_rate", "train_loss", "validation_loss"}
    for name in ("train_loss", "validation_loss"):
        assert float(rows[-1][name]) < 0.95 * float(rows[0][name])
    assert masked_run.validation_accuracy is None
    losses = [float(row["validation_loss"]) for row in rows]
    assert masked_run.best_epoch == losses.index(min(losses)) + 1
    assert masked_run.validation_loss == min(losses)
    assert (masked_run.folder / "figures" / "history.pdf").is_file()


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_bits(tmp_path):
    changes = MASKED | {"model": {"dropout": 0.1}, "accumulate": 3, "ema": 0.9}
    settings = small(**changes)
    train(settings, out=tmp_path / "whole", device="cpu")
    stop = Journal(STEPS + 3, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted):
        train(settings, out=tmp_path / "run", device="cpu", observer=stop)
    resume(tmp_path / "run", device="cpu")
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def whole(rank, folder):
    return train(small(**MASKED), out=folder, device="cpu").validation_loss


@pytest.mark.slow
def test_two_processes_are_as_one(tmp_path):
    alone = train(small(**MASKED), out=tmp_path / "one", device="cpu")
    answers = shared(2, whole, tmp_path / "two")
    assert answers == pytest.approx([alone.validation_loss] * 2, abs=1e-5), answers


class Listener(Journal):
    def notice(self, message):
        self.told.append(message)


@pytest.mark.slow
def test_a_run_starts_from_every_weight_but_the_head(masked_run, tmp_path):
    best = load_checkpoint(masked_run.folder / "best.pth")
    listener = Listener()
    settings = small(
        start={"weights": str(masked_run.folder / "best.pth")}, epochs=1, optimizer={"lr": 1e-12}
    )
    run = train(settings, out=tmp_path / "run", device="cpu", observer=listener)
    begun = load_checkpoint(run.folder / "last.pth")
    taken = {name for name in begun.state if not name.startswith("head.")}
    assert taken == {
        name.removeprefix("encoder.")
        for name in best.state
        if name.startswith("encoder.") and not name.startswith("encoder.head.")
    }
    for name in taken:
        torch.testing.assert_close(begun.state[name], best.state[f"encoder.{name}"], rtol=0, atol=1e-8)
    assert [text for text in listener.told if isinstance(text, str)] == [
        "the head begins anew: the weights were learned from masked images, without classes"
    ]
    assert begun.preprocessing == best.preprocessing
    assert load(run.folder / "best.pth").classes == begun.classes


def test_weights_of_masked_images_are_no_classifier(masked_run, tmp_path):
    for name in ("best.pth", "last.pth"):
        with pytest.raises(CheckpointError, match="knows no classes yet") as caught:
            load(masked_run.folder / name)
        assert "--weights" in caught.value.hint
    answer = CliRunner().invoke(app, ["evaluate", str(masked_run.folder / "best.pth")])
    assert answer.exit_code == 3
    assert answer.stdout == ""
    assert answer.stderr.count("error:") == 1


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        (
            {"model": {"name": "hybrid", "width": 12, "depth": 1}},
            InputError,
            "cannot learn from masked images",
        ),
        ({"model": {"name": "resnet18", "width": None, "depth": None, "heads": None}}, InputError, "ResNet"),
        ({"augment": {"mixup": 0.2}}, UsageError, "augment.mixup does not go with"),
        ({"augment": {"erasing": 0.2}}, UsageError, "augment.erasing does not go with"),
        ({"optimizer": {"name": "muon"}}, UsageError, "optimizer.name does not go with"),
        ({"optimizer": {"layer_decay": 0.5}}, UsageError, "optimizer.layer_decay does not go with"),
        ({"start": {"weights": "run"}}, UsageError, "start.weights does not go with"),
    ],
)
def test_what_does_not_go_together(masked_run, tmp_path, changes, kind, words):
    if "start" in changes:
        begun = train(small(epochs=1), out=tmp_path / "begun", device="cpu").folder / "best.pth"
        changes = {"start": {"weights": str(begun)}}
    plain = {"model": {"dropout": None, "drop_path": None}}
    with pytest.raises(kind, match=words):
        train(small(**{"objective": "masked-images"} | plain | changes), out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ratio", [0, 1, 1.5, "most"])
def test_a_share_that_makes_no_sense(ratio):
    with pytest.raises(UsageError, match=r"masking\.ratio"):
        small(**MASKED, masking={"ratio": ratio})


def test_an_unknown_objective():
    with pytest.raises(UsageError, match="objective: "):
        small(objective="words")
