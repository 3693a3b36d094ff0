"""Boxes drawn in images: what is cut out, erased or exchanged.

A box is left, top, right, bottom in pixels, the last two outside of it. Boxes are computed on the CPU, where
the draws are: nothing waits for a GPU.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BOX_DRAWS", "areas", "crop_boxes", "erasing_boxes", "inside", "squares"]

_TRIES = 10
BOX_DRAWS = 2 * _TRIES + 2  # an area and a ratio each try, and the place of the first box that fits
_CROP_RATIOS = (3 / 4, 4 / 3)
_ERASED_AREAS, _ERASED_RATIOS = (0.02, 0.33), (0.3, 3.3)


def crop_boxes(draws: Tensor, smallest: float, width: int, height: int) -> Tensor:
    """Return the windows of RandomResizedCrop.

    The area is uniform in `smallest`…1 of the image's, the logarithm of width over height uniform between
    those of 3/4 and 4/3. Where none of ten tries fits, it is the largest centred box of such a ratio.

    *Source*: Szegedy et al. 2014, arXiv 1409.4842, section 6, with torchvision's tries.

    Args:
        draws: `[image, 22]`, uniform in 0…1.
        smallest: The smallest share of the area.
        width: The images' columns.
        height: The images' rows.

    Returns:
        int64 `[image, 4]`.
    """
    area, ratio = _tries(draws, (smallest, 1.0), _CROP_RATIOS)
    wide, tall = torch.sqrt(area * ratio * (width * height)), torch.sqrt(area / ratio * (width * height))
    sizes = torch.stack([wide.round(), tall.round()], dim=2).long()
    limits = torch.tensor([width, height])
    fits = ((sizes > 0) & (sizes <= limits)).all(dim=2)
    whole = _largest(width, height)
    size = torch.where(fits.any(dim=1, keepdim=True), _first(sizes, fits), whole)
    start = (draws[:, -2:].double() * (limits - size + 1)).long()
    start = torch.where(fits.any(dim=1, keepdim=True), start, (limits - whole) // 2)
    return torch.cat([start, start + size], dim=1)


def erasing_boxes(draws: Tensor, width: int, height: int) -> Tensor:
    """Return the boxes of random erasing; empty where none of ten tries is smaller than the image.

    The area is uniform in 0.02…0.33 of the image's, the logarithm of height over width uniform between those
    of 0.3 and 3.3.

    *Source*: Zhong et al. 2017, arXiv 1708.04896, algorithm 1.
    *Differs*: ten tries, not any number, and the ratio's logarithm is uniform, not the ratio; as torchvision.

    Args:
        draws: `[image, 22]`, uniform in 0…1.
        width: The images' columns.
        height: The images' rows.

    Returns:
        int64 `[image, 4]`.
    """
    area, ratio = _tries(draws, _ERASED_AREAS, _ERASED_RATIOS)
    tall, wide = torch.sqrt(area * (width * height) * ratio), torch.sqrt(area * (width * height) / ratio)
    sizes = torch.stack([wide.round(), tall.round()], dim=2).long()
    limits = torch.tensor([width, height])
    fits = (sizes < limits).all(dim=2)
    size = _first(sizes, fits) * fits.any(dim=1, keepdim=True)
    start = (draws[:, -2:].double() * (limits - size + 1)).long()
    return torch.cat([start, start + size], dim=1)


def squares(draws: Tensor, side: int, width: int, height: int) -> Tensor:
    """Return the squares of cutout: centred on any pixel, cut at the border.

    *Source*: DeVries & Taylor 2017, arXiv 1708.04552.
    *Differs*: an odd side is that long; theirs is one pixel less.

    Args:
        draws: `[image, 2]`, uniform in 0…1: the centre's row and column.
        side: The square's side in pixels.
        width: The images' columns.
        height: The images' rows.

    Returns:
        int64 `[image, 4]`.
    """
    limits = torch.tensor([width, height])
    start = (draws.flip(1).double() * limits).long() - side // 2
    corners = torch.cat([start, start + side], dim=1)
    return corners.clamp(min=0).minimum(limits.repeat(2))


def areas(boxes: Tensor) -> Tensor:
    """Return the pixels in each box: int64 `[image]`."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def inside(boxes: Tensor, width: int, height: int) -> Tensor:
    """Return which pixels are in the image's box: bool `[image, 1, row, column]`, on the boxes' device."""
    left, top, right, bottom = boxes[:, :, None, None].unbind(1)
    columns = torch.arange(width, device=boxes.device)
    rows = torch.arange(height, device=boxes.device)[:, None]
    within = ((columns >= left) & (columns < right)) & ((rows >= top) & (rows < bottom))
    return within[:, None]


def _tries(draws: Tensor, shares: tuple[float, float], ratios: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Return the share of the area and the ratio of each try: float64 `[image, try]` each."""
    area, ratio = draws[:, : 2 * _TRIES].double().reshape(-1, _TRIES, 2).unbind(2)
    smallest, narrowest = shares[0], log(ratios[0])
    spread = log(ratios[1]) - narrowest
    return smallest + area * (shares[1] - smallest), torch.exp(narrowest + ratio * spread)


def _first(sizes: Tensor, fits: Tensor) -> Tensor:
    """Return the first size that fits, of `[image, try, 2]`; any where none does."""
    first = fits.int().argmax(dim=1)
    return sizes[torch.arange(len(sizes)), first]


def _largest(width: int, height: int) -> Tensor:
    """Return width and height of the largest box of an allowed ratio."""
    narrowest, widest = _CROP_RATIOS
    if width / height < narrowest:
        return torch.tensor([width, round(width / narrowest)])
    if width / height > widest:
        return torch.tensor([round(height * widest), height])
    return torch.tensor([width, height])
