"""Optimizer and learning rate."""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING

import torch
from timm.optim._param_groups import param_groups_weight_decay

if TYPE_CHECKING:
    from torch import nn

    from vitscope.trainers.settings import OptimizerSettings, ScheduleSettings

__all__ = ["build_optimizer", "learning_rate"]


def build_optimizer(network: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Build AdamW or Nesterov SGD; norms, biases, position, class and register tokens are not decayed."""
    named = getattr(network, "no_weight_decay", None)
    never: set[str] = named() if callable(named) else set()
    groups = param_groups_weight_decay(network, settings.weight_decay, no_weight_decay_list=never)
    if settings.name == "sgd":
        nesterov = settings.momentum > 0
        return torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=nesterov, fused=True
        )
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.beta1, settings.beta2), fused=True)


def learning_rate(
    peak: float, schedule: ScheduleSettings, *, step: int, steps_per_epoch: int, epochs: int
) -> float:
    """Return the learning rate of a step: linear warm-up to `peak`, then a cosine to `final_lr · peak`.

    With W warm-up steps of T in all: peak · (s + 1)/W for s < W, else
    peak · (f + (1 − f) · (1 + cos(π (s − W)/(T − W)))/2).

    *Source*: Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5, without restarts.
    """
    total = epochs * steps_per_epoch
    warmup = min(round(schedule.warmup_epochs * steps_per_epoch), total)
    if step < warmup:
        return peak * (step + 1) / warmup
    share = (step - warmup) / max(total - warmup, 1)
    return peak * (schedule.final_lr + (1 - schedule.final_lr) * (1 + cos(pi * share)) / 2)
