"""What a function of torch does with what is in the tensors that it is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Effect", "dropout_rate", "effect_of"]

# What may happen to weights without making other weights of them.
_SAME = frozenset(
    {
        torch.Tensor.to,
        torch.Tensor.type,
        torch.Tensor.type_as,
        torch.Tensor.float,
        torch.Tensor.half,
        torch.Tensor.bfloat16,
        torch.Tensor.contiguous,
    },
)
_DROPOUT = frozenset({F.dropout, torch.dropout})
# These take a tensor's shape, type or place, and nothing of what is in it.
_SHAPES = ("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "new_")
_SHAPES_OF_OTHERS = ("type_as", "expand_as", "view_as", "reshape_as")


@dataclass(frozen=True, slots=True)
class Effect:
    """What a function does with the content of a tensor.

    Attributes:
        forgets: It takes nothing of it.
        keeps_first: It takes that of its first argument alone.
        keeps: It makes no other weights of weights.
        drops: It may set some to 0 at random.
        writes: It changes its first argument.
    """

    forgets: bool
    keeps_first: bool
    keeps: bool
    drops: bool
    writes: bool


@cache
def effect_of(func: Callable[..., Any]) -> Effect:
    """Return what a function does."""
    name = getattr(func, "__name__", "")
    return Effect(
        forgets=name.startswith(_SHAPES),
        keeps_first=name in _SHAPES_OF_OTHERS,
        keeps=func in _SAME or func in _DROPOUT,
        drops=func in _DROPOUT,
        writes=_is_in_place(name),
    )


def dropout_rate(args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """Return the rate at which a call of dropout drops; 0 outside of training."""
    rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
    training = kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else True))
    return float(rate) if training else 0.0


def _is_in_place(name: str) -> bool:
    if name in ("__setitem__", "requires_grad_"):
        return name == "__setitem__"
    return (name.endswith("_") and not name.endswith("__")) or (
        name.startswith("__i") and name not in ("__index__", "__int__", "__invert__", "__iter__")
    )
