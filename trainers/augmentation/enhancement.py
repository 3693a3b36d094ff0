"""Brightness, contrast, saturation, hue and sharpness of uint8 batches, each image by its own factor.

A factor of 1 leaves the image, 0 gives black, the mean grey, grey, or the blurred image, and more than 1
exaggerates; *Source*: Haeberli & Voorhies 1994, "Image processing by interpolation and extrapolation".

*Differs* from torchvision by at most one level, in about one value of a thousand, where the exact
result is all but a whole number: each product is rounded by itself, so that a pixel does not depend on its
batch, and grey is exact, (2989 red + 5870 green + 1140 blue) / 10000 rounded down.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["brightness", "contrast", "grey", "hue", "saturation", "sharpness"]


def brightness(pixels: Tensor, factors: Tensor) -> Tensor:
    """Multiply by the factor.

    Args:
        pixels: uint8 `[image, channel, row, column]`, of 1 or 3 channels.
        factors: `[image]`, at least 0.

    Returns:
        uint8, rounded down.
    """
    return _cut(pixels.float().mul_(_by_image(factors)))


def contrast(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with the mean of the image's grey; arguments as of `brightness`."""
    values = grey(pixels)
    # The sum is exact in whole numbers, in any order.
    mean = values.sum(dim=(1, 2, 3), keepdim=True, dtype=torch.float64) / values[0].numel()
    return _blend(pixels, mean.float(), factors)


def saturation(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with the image's grey; arguments as of `brightness`. Grey images are left as they are."""
    return pixels if pixels.shape[1] == 1 else _blend(pixels, grey(pixels), factors)


def sharpness(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with the mean over 3 × 3 pixels, the middle one weighing 5 of 13; arguments as of `brightness`.

    The outermost pixels, which have no such neighbourhood, are left as they are.
    """
    if min(pixels.shape[2:]) < 3:
        return pixels
    values = pixels.float()
    across = values[..., :-2] + values[..., 1:-1] + values[..., 2:]
    around = across[..., :-2, :] + across[..., 1:-1, :] + across[..., 2:, :]
    middle = values[..., 1:-1, 1:-1]
    blurred = ((around + 4 * middle) / 13).round_()
    middle.add_(blurred.sub_(middle).mul_(_by_image(1 - factors)))
    return _cut(values)


def hue(pixels: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue, in the colour space of hue, saturation and value; grey images are left as they are.

    Args:
        pixels: uint8 `[image, channel, row, column]`, of 1 or 3 channels.
        turns: `[image]`, −½…½ of a full turn: red to green is ⅓.
    """
    if pixels.shape[1] == 1:
        return pixels
    values = pixels.float()
    red, green, blue = values.unbind(1)
    lowest, highest = torch.aminmax(values, dim=1)
    spread = highest - lowest
    unit = spread.clamp(min=1)
    sixths = torch.where(
        highest == red,
        (green - blue) / unit,
        torch.where(highest == green, (blue - red) / unit + 2, (red - green) / unit + 4),
    )
    sixths += _by_image(6 * turns)[:, 0]
    parts = []
    for start in (5, 3, 1):
        place = (sixths + start).remainder_(6)
        parts.append(highest - spread * torch.minimum(place, 4 - place).clamp_(0, 1))
    # As torchvision: a whole number stays, and all others are rounded nearly to the nearest.
    return (torch.stack(parts, dim=1) * (255.999 / 255)).to(torch.uint8)


def grey(pixels: Tensor) -> Tensor:
    """Return the luma, rounded down: whole float32 numbers `[image, 1, row, column]`."""
    if pixels.shape[1] == 1:
        return pixels.float()
    red, green, blue = (channel.float() for channel in pixels.unbind(1))
    # All sums are below 2²⁴, so exact.
    total = red.mul_(2989).add_(green.mul_(5870)).add_(blue.mul_(1140))
    return total.div_(10000).floor_()[:, None]


def _blend(pixels: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    return _cut(pixels.float().mul_(_by_image(factors)).add_(other * _by_image(1 - factors)))


def _by_image(values: Tensor) -> Tensor:
    return values.float()[:, None, None, None]


def _cut(values: Tensor) -> Tensor:
    return values.clamp_(0, 255).to(torch.uint8)
