"""The learning rate against hand-worked steps and torch's schedulers; what is decayed."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vitscope.errors import UsageError
from vitscope.models.registry import build_model
from vitscope.trainers.optimization import build_optimizer, learning_rate, set_learning_rate
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


@pytest.mark.parametrize(("warmup", "epochs", "steps"), [(3, 10, 4), (0, 4, 5), (1, 3, 2)])
def test_one_cycle_equals_torchs(warmup, epochs, steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.3, total_steps=epochs * steps, pct_start=warmup / epochs, final_div_factor=50,
        cycle_momentum=False,
    )  # fmt: skip
    expected = []
    for _ in range(epochs * steps):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step() if len(expected) < epochs * steps else None
    schedule = ScheduleSettings(name="onecycle", warmup_epochs=warmup, final_lr=1 / 25 / 50)
    assert curve(0.3, schedule, steps, epochs) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("first", "factor"), [(2, 1), (1, 2), (3, 3)])
def test_restarts_equal_torchs(first, factor):
    steps, epochs, peak, final = 4, 15, 0.3, 0.1
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, first * steps, factor, eta_min=final * peak
    )
    expected = []
    for _ in range(epochs * steps):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    schedule = ScheduleSettings(
        name="restarts", final_lr=final, period_epochs=first, period_factor=factor, warmup_epochs=0
    )
    assert curve(peak, schedule, steps, epochs) == pytest.approx(expected, rel=1e-9)
    late = schedule.model_copy(update={"warmup_epochs": 1.0})
    warmed = curve(peak, late, steps, epochs + 1)
    assert warmed[:steps] == pytest.approx([peak * part / steps for part in range(1, steps + 1)])
    assert warmed[steps:] == pytest.approx(expected, rel=1e-9)


@given(st.floats(1e-3, 8), st.floats(1, 4), st.integers(1, 9), st.floats(0, 12))
def test_other_schedules_stay_between_their_bounds(period, factor, epochs, warmup):
    for name in ("onecycle", "restarts"):
        schedule = ScheduleSettings(
            name=name, warmup_epochs=warmup, period_epochs=period, period_factor=factor, final_lr=0.01
        )
        found = curve(2.0, schedule, 5, epochs)
        assert all(0.02 - 1e-12 <= lr <= 2.0 + 1e-12 for lr in found)


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


def test_layers_learn_at_falling_rates():
    """By hand for stem and tokens, block 0, block 1 with the last norm, and head."""
    options = {"width": 12, "depth": 2, "heads": 2}
    network = build_model("vit-micro", SMALL | options)
    optimizer = build_optimizer(network, OptimizerSettings(lr=1.0, layer_decay=0.5, weight_decay=0.3))
    set_learning_rate(optimizer, 0.8)
    found = {id(each): group for group in optimizer.param_groups for each in group["params"]}
    depth = {"blocks.0": 2, "blocks.1": 1, "norm": 1, "head": 0}
    for key, parameter in network.named_parameters():
        place = next((layer for name, layer in depth.items() if key.startswith(name)), 3)
        group = found.pop(id(parameter))
        assert group["lr"] == pytest.approx(0.8 * 0.5**place), key
        spared = parameter.ndim < 2 or key in ("pos_embed", "cls_token")
        assert group["weight_decay"] == (0.0 if spared else 0.3), key
    assert not found


@pytest.mark.parametrize("name", ["hybrid", "cct-7-3x1"])
def test_muon_decays_what_adamw_decays(name):
    network = build_model(name, SMALL | {"width": 12, "depth": 2, "heads": 2})
    counts = []
    for kind in ("adamw", "muon"):
        groups = build_optimizer(network, OptimizerSettings(name=kind, weight_decay=0.3)).param_groups
        decayed = [each for group in groups if group["weight_decay"] == 0.3 for each in group["params"]]
        counts.append(sorted(each.numel() for each in decayed))
    assert counts[0] == counts[1]


def test_no_order_of_layers():
    with pytest.raises(UsageError, match=r"optimizer\.layer_decay: Linear does not tell"):
        build_optimizer(nn.Linear(2, 2), OptimizerSettings(layer_decay=0.9))


@pytest.mark.parametrize("kind", ["adamw", "sgd", "muon"])
def test_what_is_frozen_is_left_out(kind):
    network = build_model("vit-micro", SMALL | {"width": 12, "depth": 2, "heads": 2})
    for parameter in network.blocks[0].parameters():
        parameter.requires_grad_(False)
    groups = build_optimizer(network, OptimizerSettings(name=kind)).param_groups
    moved = sum(parameter.numel() for group in groups for parameter in group["params"])
    assert moved == sum(each.numel() for each in network.parameters() if each.requires_grad)


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
