"""Extents: where in the bytes of an archive a described tensor lies, and whether it may."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from vitscope.checkpoint.outline import ITEM_SIZES, TensorOutline
from vitscope.checkpoint.signature import printable
from vitscope.errors import CheckpointError

__all__ = ["part_of_storage", "whole_storage"]

_DIMENSIONS = 64


@dataclass(frozen=True)
class _Claim:
    """What a tensor's description says of its bytes: a storage's key, and where in it the tensor lies."""

    key: str
    item_size: int
    count: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def _claim(tensor: TensorOutline) -> _Claim:
    try:
        storage, offset, shape, stride, requires_grad, hooks = tensor.arguments
        word, kind, key, _, count = storage.identity
        item_size = ITEM_SIZES[kind.path]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError("damaged: it describes a tensor that makes no sense") from error
    sound = word == "storage" and type(key) is str and requires_grad is False and hooks == {}
    if not sound or not _are_sizes(shape) or not _are_sizes(stride) or not _are_sizes((offset, count)):
        raise CheckpointError("damaged: it describes a tensor that makes no sense")
    return _Claim(str(key), item_size, count, offset, shape, stride)


def part_of_storage(tensor: TensorOutline, sizes: dict[str, int]) -> int:
    """Hold a tensor to its bytes in the archive, and return how many bytes it has when it stands alone."""
    claim = _claim(tensor)
    elements = math.prod(claim.shape)
    steps = zip(claim.shape, claim.stride, strict=False)
    last = claim.offset + sum((size - 1) * step for size, step in steps) + 1 if elements else 0
    if len(claim.shape) != len(claim.stride) or elements > claim.count or last > claim.count:
        raise CheckpointError("damaged: it describes a tensor that is larger than its storage")
    _check_storage(claim, sizes)
    return elements * claim.item_size


def whole_storage(tensor: TensorOutline, sizes: dict[str, int]) -> str:
    """Hold a tensor to its bytes in the archive: the whole of one storage, in order, and nothing beyond."""
    claim = _claim(tensor)
    shape, stride, offset, count = claim.shape, claim.stride, claim.offset, claim.count
    if offset or math.prod(shape) != count or not _in_order(shape, stride):
        shown = printable("x".join(map(str, shape)))
        raise CheckpointError(
            f"damaged: it describes a tensor ({shown}) that is not the whole of its storage",
            hint="such a tensor can be larger than the memory: get the original",
        )
    _check_storage(claim, sizes)
    return claim.key


def _check_storage(claim: _Claim, sizes: dict[str, int]) -> None:
    needed, there = claim.count * claim.item_size, sizes.get(claim.key)
    if needed != there:
        raise CheckpointError(f"damaged: a tensor needs {needed} bytes where its storage has {there or 0}")


def _are_sizes(numbers: Any) -> bool:  # noqa: ANN401 - whatever the pickle describes
    if not isinstance(numbers, tuple) or len(numbers) > _DIMENSIONS:
        return False
    return all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)


def _in_order(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether the last dimension runs fastest; the stride of a dimension of size one says nothing."""
    if len(shape) != len(stride):
        return False
    step = 1
    for size, stepped in zip(reversed(shape), reversed(stride), strict=True):
        if size > 1 and stepped != step and step:
            return False
        step *= size
    return True
