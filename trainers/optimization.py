"""Optimizer and learning rate."""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING, Any

import torch
from timm.optim._param_groups import param_groups_layer_decay, param_groups_weight_decay

from vitscope.errors import UsageError
from vitscope.trainers.muon import MuonWithAdamW, hidden_weights

if TYPE_CHECKING:
    from torch import nn

    from vitscope.trainers.sections import OptimizerSettings, ScheduleSettings

__all__ = ["Optimizer", "build_optimizer", "learning_rate", "parameter_groups", "set_learning_rate"]

Optimizer = torch.optim.Optimizer | MuonWithAdamW

# One cycle begins at this share of its peak, as torch's does by default.
_CYCLE_START = 1 / 25


def build_optimizer(network: nn.Module, settings: OptimizerSettings) -> Optimizer:
    """Build AdamW, Nesterov SGD, or Muon with AdamW, over what is not frozen.

    Raises:
        UsageError: The learning rate is to differ by layer, and the network does not tell their order.
    """
    groups = parameter_groups(network, settings)
    adamw: dict[str, Any] = {"lr": settings.lr, "betas": (settings.beta1, settings.beta2), "fused": True}
    if settings.name == "sgd":
        nesterov = settings.momentum > 0
        return torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=nesterov, fused=True
        )
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, **adamw)
    hidden = {id(weight) for weight in hidden_weights(network)}
    matrices, rest = _divided(groups, hidden, scale=settings.muon_lr / settings.lr)
    if not matrices or not rest:  # a head alone that learns, or a network of one layer
        return torch.optim.AdamW(groups, **adamw)
    return MuonWithAdamW(
        matrices, rest, muon={"lr": settings.muon_lr, "momentum": settings.momentum}, adamw=adamw
    )


def parameter_groups(network: nn.Module, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Return what is not frozen in groups, each with its `weight_decay` and, by layers, its `lr_scale`.

    Norms, biases, position, class and register tokens are not decayed. With L layers, the l-th of which
    counts from 0, layer l learns at the rate of the head times `layer_decay` to the power L − 1 − l.

    *Source*: Clark et al. 2020, arXiv 2003.10555; Bao et al. 2022, arXiv 2106.08254; timm's groups.

    Raises:
        UsageError: The learning rate is to differ by layer, and the network does not tell their order.
    """
    named = getattr(network, "no_weight_decay", None)
    never: set[str] = named() if callable(named) else set()
    if settings.layer_decay == 1:
        plain: list[dict[str, Any]] = param_groups_weight_decay(
            network, settings.weight_decay, no_weight_decay_list=never
        )
        return plain
    if not hasattr(network, "group_matcher"):
        raise UsageError(
            f"optimizer.layer_decay: {type(network).__name__} does not tell the order of its layers",
            hint="set optimizer.layer_decay=1; models of timm and the transformers of vitscope tell it",
        )
    layered: list[dict[str, Any]] = param_groups_layer_decay(
        network, settings.weight_decay, no_weight_decay_list=never, layer_decay=settings.layer_decay
    )
    return layered


def _divided(
    groups: list[dict[str, Any]], hidden: set[int], *, scale: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the groups of Muon, which learns at `scale` times the rate of the rest, and those of AdamW."""
    matrices: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for group in groups:
        mine = [each for each in group["params"] if id(each) in hidden]
        others = [each for each in group["params"] if id(each) not in hidden]
        if mine:
            matrices.append(group | {"params": mine, "lr_scale": scale * group.get("lr_scale", 1.0)})
        if others:
            rest.append(group | {"params": others})
    return matrices, rest


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of every group: `lr` times the group's `lr_scale`, where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def learning_rate(
    peak: float, schedule: ScheduleSettings, *, step: int, steps_per_epoch: int, epochs: int
) -> float:
    """Return the learning rate of a step s of T in all, of which W are warm-up; f is `final_lr`.

    - cosine: peak · (s + 1)/W for s < W, else peak · (f + (1 − f) · c((s − W)/(T − W))), with the falling
      half wave c(x) = (1 + cos(πx))/2.
    - restarts: the same, but the cosine falls within periods, of which the first lasts `period_epochs` and
      each next one `period_factor` times as long: peak · (f + (1 − f) · c(t/P)) at step t of a period of P.
    - onecycle: from peak/25 along a rising half wave to the peak at step W − 1, then along a falling one to
      peak · f at step T − 1.

    *Source*: Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5; Smith & Topin 2018, arXiv 1708.07120, in the
    form of torch's `OneCycleLR`.
    *Differs*: a linear warm-up comes before the restarts; momentum does not follow the cycle.
    """
    total = epochs * steps_per_epoch
    warmup = min(round(schedule.warmup_epochs * steps_per_epoch), total)
    final = schedule.final_lr
    if schedule.name == "onecycle":
        return peak * _one_cycle(step, warmup=warmup, total=total, final=final)
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule.name == "restarts":
        first = max(schedule.period_epochs * steps_per_epoch, 1.0)
        share = _share_of_period(step - warmup, first=first, factor=schedule.period_factor)
    else:
        share = (step - warmup) / max(total - warmup, 1)
    return peak * (final + (1 - final) * _fall(share))


def _fall(share: float) -> float:
    return (1 + cos(pi * share)) / 2


def _one_cycle(step: int, *, warmup: int, total: int, final: float) -> float:
    top = warmup - 1
    if step < top:
        return 1 + (_CYCLE_START - 1) * _fall(step / top)
    return final + (1 - final) * _fall((step - top) / max(total - 1 - top, 1))


def _share_of_period(step: int, *, first: float, factor: float) -> float:
    """Return how far into its period a step is, from 0 to below 1."""
    if factor == 1:
        return step % first / first
    start, length = 0.0, first
    while step >= start + length:
        start, length = start + length, length * factor
    return (step - start) / length
