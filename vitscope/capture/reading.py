"""What a head reads of the tokens, seen where they are sliced or averaged after the last attention."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LAYER_BITS", "READS", "Read", "read_by"]

_MEANS = frozenset({torch.mean, torch.Tensor.mean})
READS = _MEANS | {torch.Tensor.__getitem__}

# As many class and register tokens as stand before the patches at most.
_PREFIX = 16
# A mark's lower bits tell what was read, those above it which layers were passed.
LAYER_BITS = 4


class Read(IntFlag):
    """What an output was made from: one of the first tokens, a mean over some or all, another token."""

    FIRST = 1
    SOME = 2
    ALL = 4
    OTHER = 8


def read_by(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, tokens: int) -> Read:
    """Return what a call reads of `[image, token, channel]`; nothing where it is none of `READS`' ways."""
    given = args[0] if args else kwargs.get("input")
    if not isinstance(given, torch.Tensor) or given.ndim != 3:
        return Read(0)
    count = given.shape[1]
    if not tokens - _PREFIX <= count <= tokens:
        return Read(0)
    if func in _MEANS:
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if dim in (1, -2, (1,), [1]):
            return Read.ALL if count == tokens else Read.SOME
        return Read(0)
    index = args[1]
    if not isinstance(index, tuple) or len(index) < 2 or type(index[1]) is not int or count != tokens:
        return Read(0)
    return Read.FIRST if 0 <= index[1] < _PREFIX else Read.OTHER
