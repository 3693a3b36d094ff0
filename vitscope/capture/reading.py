"""What a head reads of the tokens, seen where they are sliced or averaged after the last attention."""

from __future__ import annotations

import math
from enum import IntFlag
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["LAYER_BITS", "READS", "Read", "read_by"]

_MEANS = frozenset({torch.mean, torch.Tensor.mean})
READS = _MEANS | {torch.Tensor.__getitem__}

# As many class and register tokens as stand before the patches at most.
_PREFIX = 16
# A mark's lower bits tell what was read, those above it which layers were passed.
LAYER_BITS = 5


class Read(IntFlag):
    """What an output was made from: the first token, one soon after it, a mean over some or all, another."""

    FIRST = 1
    SOME = 2
    ALL = 4
    OTHER = 8
    SECOND = 16


def read_by(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, tokens: int) -> Read:
    """Return what a call reads of tokens or of a map of them; nothing where it is none of `READS`' ways."""
    given = args[0] if args else kwargs.get("input")
    if not isinstance(given, torch.Tensor):
        return Read(0)
    if func in _MEANS:
        dim = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else None))
        count = _averaged(given, (dim,) if isinstance(dim, int) else tuple(dim or ()))
        if not tokens - _PREFIX <= count <= tokens:
            return Read(0)
        return Read.ALL if count == tokens else Read.SOME
    index = args[1]
    if given.ndim != 3 or given.shape[1] != tokens or not isinstance(index, tuple) or len(index) < 2:
        return Read(0)
    if type(index[1]) is not int:
        return Read(0)
    if index[1] == 0:
        return Read.FIRST
    return Read.SECOND if 0 < index[1] < _PREFIX else Read.OTHER


def _averaged(given: Tensor, dims: tuple[int, ...]) -> int:
    """Return over how many tokens, or places of a map, a mean goes; 0 where it is over something else."""
    axes = {dim % given.ndim for dim in dims} if given.ndim else set()
    if (given.ndim, axes) == (3, {1}):
        return given.shape[1]
    if given.ndim == 4 and axes in ({1, 2}, {2, 3}):
        return math.prod(given.shape[axis] for axis in axes)
    return 0
