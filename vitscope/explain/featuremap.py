"""The grid in a module's output: a convolution's features, features with the channels last, or tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from vitscope.capture.layout import find_layout
from vitscope.errors import CaptureError

if TYPE_CHECKING:
    from torch import Tensor

    from vitscope.capture.layout import Layout

__all__ = ["FeatureMap", "find_feature_map", "first_tensor", "replaced"]

_CONVOLUTIONS = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True)
class FeatureMap:
    """Where rows, columns and channels are in a module's output.

    Attributes:
        order: `channels first` is `[image, channel, row, column]`, `channels last` `[image, row, column,
            channel]`, `tokens` `[image, token, channel]` with the patches in reading order after the prefix.
        grid: Rows and columns.
        prefix: How many tokens stand before the patches.
    """

    order: Literal["channels first", "channels last", "tokens"]
    grid: tuple[int, int]
    prefix: int = 0

    def read(self, output: Tensor) -> Tensor:
        """Return the output as `[image, channel, row, column]`, without the prefix."""
        if self.order == "channels first":
            return output
        if self.order == "channels last":
            return output.permute(0, 3, 1, 2)
        patches = output[:, self.prefix :].transpose(1, 2)
        return patches.reshape(*patches.shape[:2], *self.grid)


def find_feature_map(
    model: nn.Module, module: nn.Module, output: Tensor, *, size: tuple[int, int], told: Layout
) -> FeatureMap | None:
    """Return how a module's output lies on a grid over the image; None where it does not, or cannot be told.

    Four axes are a grid where two neighbours have the image's shape. Where both readings have it, or none,
    a module with convolutions in it has its channels first; any other is not told. Three axes are tokens,
    laid out as `vitscope.capture` finds them, or patches alone, where the prefix joins them in a later layer.

    Args:
        model: The model, which may tell the layout of its tokens.
        module: The module that gave the output.
        output: Its output, one row an image.
        size: Height and width of the images in pixels.
        told: What the caller knows of the tokens.
    """
    if output.ndim == 3:
        return _tokens(model, output.shape[1], size=size, told=told)
    if output.ndim != 4:
        return None
    _, one, two, three = output.shape
    first, last = _shaped_as(size, (two, three)), _shaped_as(size, (one, two))
    if first == last:
        if not any(isinstance(part, _CONVOLUTIONS) for part in module.modules()):
            return None
        first = True
    return FeatureMap("channels first", (two, three)) if first else FeatureMap("channels last", (one, two))


def _tokens(model: nn.Module, count: int, *, size: tuple[int, int], told: Layout) -> FeatureMap | None:
    for known in (told, replace(told, prefix=0)) if told.prefix is None else (told,):
        try:
            grid, prefix, _ = find_layout(model, count, size=size, told=known)
        except CaptureError:
            continue
        return FeatureMap("tokens", grid, prefix)
    return None


def first_tensor(output: object) -> Tensor | None:
    """Return a module's output, or the first of several, where it is a tensor."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, torch.Tensor) else None


def replaced(output: object, tensor: Tensor) -> object:
    """Return a module's output with `tensor` in the place of what `first_tensor` finds."""
    if isinstance(output, tuple | list):
        return type(output)((tensor, *output[1:]))
    return tensor


def _shaped_as(size: tuple[int, int], grid: tuple[int, int]) -> bool:
    """Whether a grid has the image's shape, up to a row or a column that rounding took or gave."""
    height, width = size
    if height == width:
        return grid[0] == grid[1]
    return abs(grid[0] * width - grid[1] * height) <= max(height, width)
