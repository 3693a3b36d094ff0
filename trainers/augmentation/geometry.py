"""Where pixels come from: crops, flips and affine changes of a batch, each image by its own.

Places are computed operation by operation, each rounded once: the same image gives the same pixels in any
batch, which a matrix product does not promise.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vitscope.trainers.augmentation.transfer import moved

__all__ = ["affine_bilinear", "affine_nearest", "mirrored", "padded", "resized", "windows"]


def padded(pixels: Tensor, padding: int, fill: str) -> Tensor:
    """Add pixels on every side: black ones (`zeros`), or the image mirrored in its border (`reflect`)."""
    if fill == "zeros":
        return F.pad(pixels, (padding, padding, padding, padding))
    for axis in (2, 3):
        side = pixels.shape[axis]
        place = torch.arange(-padding, side + padding, device=pixels.device).abs()
        pixels = pixels.index_select(axis, (side - 1) - (side - 1 - place).abs())
    return pixels


def windows(pixels: Tensor, places: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut one window out of each image.

    Args:
        pixels: `[image, channel, row, column]`.
        places: First row and column of each window, int64 `[image, 2]`.
        size: Rows and columns of the windows.
    """
    every = pixels.unfold(2, size[0], 1).unfold(3, size[1], 1)
    row, column = moved(places, pixels.device).unbind(1)
    image = torch.arange(len(pixels), device=pixels.device)
    return every[image, :, row, column]


def mirrored(pixels: Tensor, which: Tensor) -> Tensor:
    """Mirror left and right the images that `which` (bool, `[image]`) names."""
    chosen = torch.arange(len(which)) + len(which) * which
    return torch.cat([pixels, pixels.flip(3)]).index_select(0, moved(chosen, pixels.device))


def resized(pixels: Tensor, boxes: Tensor) -> Tensor:
    """Bring each image's box to the image's size, bilinear; nothing outside of the box is seen.

    Args:
        pixels: uint8 `[image, channel, row, column]`.
        boxes: Left, top, right, bottom, int64 `[image, 4]`.
    """
    height, width = pixels.shape[2:]
    box = moved(boxes, pixels.device, torch.float32)[:, :, None, None]
    left, top, right, bottom = box.unbind(1)
    column, row = _from_centre(pixels)
    columns = (column + width / 2) * ((right - left) / width) + (left - 0.5)
    rows = (row + height / 2) * ((bottom - top) / height) + (top - 0.5)
    columns, rows = columns.clamp(min=left, max=right - 1), rows.clamp(min=top, max=bottom - 1)
    return _bilinear(pixels, columns - (width - 1) / 2, rows - (height - 1) / 2)


def affine_bilinear(pixels: Tensor, matrices: Tensor) -> Tensor:
    """Change each image by its matrix; what comes from outside is black.

    Args:
        pixels: uint8 `[image, channel, row, column]`.
        matrices: `[image, 6]`: a, b, c, d, e, f, where a pixel x to the right of the centre and y below it
            comes from (ax + by + c, dx + ey + f).
    """
    return _bilinear(pixels, *_sources(pixels, matrices))


def affine_nearest(pixels: Tensor, matrices: Tensor) -> Tensor:
    """Change each image by its matrix as `affine_bilinear`, but take the nearest pixel as it is."""
    height, width = pixels.shape[2:]
    columns, rows = _sources(pixels, matrices)
    columns, rows = (columns + (width - 1) / 2).round_(), (rows + (height - 1) / 2).round_()
    within = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    place = rows.clamp_(0, height - 1).mul_(width).add_(columns.clamp_(0, width - 1)).long()
    place = place.flatten(1)[:, None].expand(-1, pixels.shape[1], -1)
    return pixels.flatten(2).gather(2, place).view_as(pixels).mul_(within[:, None])


def _from_centre(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the places of columns `[column]` and rows `[row, 1]`, in pixels from the centre."""
    height, width = pixels.shape[2:]
    column = torch.arange(width, device=pixels.device, dtype=torch.float32) - (width - 1) / 2
    row = torch.arange(height, device=pixels.device, dtype=torch.float32) - (height - 1) / 2
    return column, row[:, None]


def _sources(pixels: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return where pixels come from: columns and rows from the centre, `[image, row, column]` each."""
    entries = moved(matrices, pixels.device, torch.float32)[:, :, None, None]
    a, b, c, d, e, f = entries.unbind(1)
    column, row = _from_centre(pixels)
    return a * column + (b * row + c), d * column + (e * row + f)


def _bilinear(pixels: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    height, width = pixels.shape[2:]
    # The grid of `grid_sample` runs from −1 to 1, border to border.
    shape = (len(pixels), height, width)
    grid = torch.stack([(columns * (2 / width)).expand(shape), (rows * (2 / height)).expand(shape)], dim=3)
    found = F.grid_sample(pixels.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return found.round_().to(torch.uint8)
