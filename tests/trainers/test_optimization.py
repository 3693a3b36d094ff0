"""The learning rate against hand-worked steps and torch's schedulers; what is decayed."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vitscope.models.registry import build_model
from vitscope.trainers.optimization import build_optimizer, learning_rate
from vitscope.trainers.sections import OptimizerSettings, ScheduleSettings

SMALL = {"classes": 3, "image_size": 8, "channels": 1}


def curve(peak, schedule, steps, epochs):
    return [
        learning_rate(peak, schedule, step=step, steps_per_epoch=steps, epochs=epochs)
        for step in range(steps * epochs)
    ]


def test_steps_by_hand():
    found = curve(1.0, ScheduleSettings(warmup_epochs=2, final_lr=0.1), 2, 6)
    half = 0.1 + 0.9 * 0.5
    assert found[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert found[8] == pytest.approx(half)
    assert found[6] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert found[11] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi * 7 / 8)) / 2)


@pytest.mark.parametrize(("warmup", "epochs", "steps"), [(1, 5, 7), (3, 10, 4), (0.5, 3, 10)])
def test_equals_torchs_schedulers(warmup, epochs, steps):
    peak, final, first = 0.3, 0.02, round(warmup * steps)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    rise = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (step + 1) / first)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(
        torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak), epochs * steps - first, eta_min=final * peak
    )
    expected = []
    for step in range(epochs * steps):
        scheduler = rise if step < first else fall
        expected.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    found = curve(peak, ScheduleSettings(warmup_epochs=warmup, final_lr=final), steps, epochs)
    assert found == pytest.approx(expected, rel=1e-9)


@given(st.floats(0, 30), st.floats(0, 1), st.integers(1, 30), st.integers(1, 12))
def test_rises_then_falls_between_its_bounds(warmup, final, steps, epochs):
    found = curve(2.0, ScheduleSettings(warmup_epochs=warmup, final_lr=final), steps, epochs)
    first = min(round(warmup * steps), steps * epochs)
    assert all(0 < lr <= 2.0 or (final < 1e-300 and lr >= 0) for lr in found)
    assert found[:first] == sorted(found[:first])
    assert found[first:] == sorted(found[first:], reverse=True)
    assert min(found[first:], default=2.0) >= 2.0 * final - 1e-12


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
@pytest.mark.parametrize("name", ["vit-tiny", "vit-micro", "hybrid", "resnet18"])
@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_norms_biases_and_tokens_are_never_decayed_and_weights_always(name, kind, pool):
    options = {"width": 12, "depth": 2, "heads": 2, "pool": pool} if name != "resnet18" else {}
    network = build_model(name, SMALL | options)
    optimizer = build_optimizer(network, OptimizerSettings(name=kind, weight_decay=0.3))
    decayed = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    norms = (nn.LayerNorm, nn.BatchNorm2d)
    inside_norms = {
        id(item) for module in network.modules() if isinstance(module, norms) for item in module.parameters()
    }
    for key, parameter in network.named_parameters():
        spared = id(parameter) in inside_norms or key.endswith(".bias") or key in ("pos_embed", "cls_token")
        assert decayed.pop(id(parameter)) == (0.0 if spared else 0.3), key
    assert not decayed


def test_the_optimizers_settings():
    network = nn.Linear(2, 2)
    adamw = build_optimizer(network, OptimizerSettings(lr=0.25, beta1=0.8, beta2=0.95))
    assert isinstance(adamw, torch.optim.AdamW)
    assert {(group["lr"], group["betas"]) for group in adamw.param_groups} == {(0.25, (0.8, 0.95))}
    for momentum in (0.0, 0.9):
        sgd = build_optimizer(network, OptimizerSettings(name="sgd", momentum=momentum))
        assert isinstance(sgd, torch.optim.SGD)
        assert {(group["momentum"], group["nesterov"]) for group in sgd.param_groups} == {
            (momentum, momentum > 0)
        }
