"""Changes of the tones of uint8 batches that look at a channel's values alone: posterize to equalize.

All equal torchvision's in every pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["auto_contrast", "equalize", "invert", "posterize", "solarize"]


def posterize(pixels: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of every value.

    Args:
        pixels: uint8 `[image, channel, row, column]`.
        bits: `[image]`, 0…8, whole.
    """
    kept = 256 - torch.bitwise_left_shift(torch.ones_like(bits, dtype=torch.int64), 8 - bits.long())
    return pixels & kept.to(torch.uint8)[:, None, None, None]


def solarize(pixels: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the values at or above the threshold.

    Args:
        pixels: uint8 `[image, channel, row, column]`.
        thresholds: `[image]`, 0…255.
    """
    first = thresholds.float().ceil().to(torch.uint8)[:, None, None, None]
    return pixels ^ (pixels >= first).to(torch.uint8).mul_(255)


def invert(pixels: Tensor) -> Tensor:
    """Return 255 less the values."""
    return 255 - pixels


def auto_contrast(pixels: Tensor) -> Tensor:
    """Stretch each channel to 0…255, rounded down; a constant channel is left as it is."""
    values = pixels.float()
    lowest, highest = values.amin(dim=(2, 3), keepdim=True), values.amax(dim=(2, 3), keepdim=True)
    constant = lowest == highest
    lowest = torch.where(constant, 0, lowest)
    unit = torch.where(constant, 1, (highest - lowest) * (1 / 255))
    return values.sub_(lowest).div_(unit).clamp_(0, 255).to(torch.uint8)


def equalize(pixels: Tensor) -> Tensor:
    """Spread each channel's values so that all levels are about equally often taken, as Pillow does.

    With n values in all, of which m are the channel's largest, s = ⌊(n − m) / 255⌋ and c(v) values below v,
    v becomes ⌊(c(v) + ⌊s / 2⌋) / s⌋, at most 255; the channel is left as it is where s is 0.
    """
    places = pixels.flatten(2).long()
    counts = torch.zeros(*places.shape[:2], 256, dtype=torch.int32, device=pixels.device)
    counts.scatter_add_(2, places, counts.new_ones(1).expand_as(places))
    below = counts.cumsum(dim=2, dtype=torch.int32) - counts
    largest = counts.gather(2, places.amax(dim=2, keepdim=True))
    step = (places.shape[2] - largest).div_(255, rounding_mode="floor")
    table = (below + step // 2).div_(step.clamp(min=1), rounding_mode="floor").clamp_(0, 255)
    as_it_is = torch.arange(256, dtype=torch.int32, device=pixels.device)
    table = torch.where(step > 0, table, as_it_is).to(torch.uint8)
    return table.gather(2, places).view_as(pixels)
