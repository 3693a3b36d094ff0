"""Calls that move what attention has put out between tokens, and are no attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["MOVES", "moves_tokens"]

_CONVOLUTIONS = frozenset({F.conv1d, F.conv2d, F.conv3d})
_POOLS = frozenset(
    {F.avg_pool1d, F.avg_pool2d, F.max_pool1d, F.max_pool2d, torch.max_pool1d, torch.max_pool2d}
)
# Where the axis stands among the arguments.
_ALONG = {
    torch.roll: 2,
    torch.Tensor.roll: 2,
    torch.flip: 1,
    torch.Tensor.flip: 1,
    torch.cumsum: 1,
    torch.Tensor.cumsum: 1,
    torch.index_select: 1,
    torch.Tensor.index_select: 1,
    torch.gather: 1,
    torch.Tensor.gather: 1,
    torch.take_along_dim: 2,
}
_FOURIER = frozenset(
    {torch.fft.fft, torch.fft.rfft, torch.fft.fft2, torch.fft.rfft2, torch.fft.fftn, torch.fft.rfftn}
)
MOVES = _CONVOLUTIONS | _POOLS | _FOURIER | frozenset(_ALONG) | {F.linear, torch.Tensor.__getitem__}


def moves_tokens(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, tokens: int
) -> bool:
    """Return whether a call of `MOVES` gives tokens what others held, of a tensor that holds so many tokens.

    Convolutions larger than 1×1, pooling that keeps the places, Fourier transforms; rolling, turning, picking
    and summing up along the tokens' axis; a linear layer over that axis.
    """
    given = args[0] if args else kwargs.get("input")
    if not isinstance(given, torch.Tensor) or given.ndim < 2:
        return False
    second = args[1] if len(args) > 1 else kwargs.get("weight")
    if func in _CONVOLUTIONS:
        return max(second.shape[2:]) > 1 if isinstance(second, torch.Tensor) else False
    if func in _POOLS:
        stride = kwargs.get("stride", args[2] if len(args) > 2 else None)
        return stride in (1, (1,), (1, 1), [1], [1, 1])
    if func is F.linear:
        return given.ndim > 2 and given.shape[-1] == tokens and given.shape[-2] not in (1, tokens)
    if func is torch.Tensor.__getitem__:
        return _picks(given, second, tokens)
    if func in _FOURIER:
        return given.ndim > 2
    place = _ALONG[func]
    axes = kwargs.get("dim", kwargs.get("dims", args[place:] if len(args) > place else ()))
    flat = (axes,) if isinstance(axes, int) else [each for item in axes for each in _listed(item)]
    return any(_is_tokens(given, axis, tokens) for axis in flat)


def _picks(given: Tensor, index: object, tokens: int) -> bool:
    """Whether an index chooses tokens one by one, in an order of its own."""
    places = index if isinstance(index, tuple) else (index,)
    if Ellipsis in [each for each in places if each is Ellipsis]:
        return False
    return any(
        isinstance(each, torch.Tensor | list)
        and len(each) > 1
        and axis < given.ndim
        and _is_tokens(given, axis, tokens)
        for axis, each in enumerate(places)
    )


def _is_tokens(given: Tensor, axis: int, tokens: int) -> bool:
    """Whether an axis counts the tokens, or the patches among them, and no other can be meant by that."""
    axis %= given.ndim
    if axis == 0 or not tokens < 2 * given.shape[axis] <= 2 * tokens:
        return False
    return axis < given.ndim - 1 or not tokens < 2 * given.shape[-2] <= 2 * tokens


def _listed(item: object) -> list[int]:
    if isinstance(item, int):
        return [item]
    return list(item) if isinstance(item, tuple | list) else []
