"""ROAD: pixels removed by filling them in from their neighbours, so that the hole's shape tells nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from vitscope.errors import InputError
from vitscope.explain.perturbation import passes, probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    Floats = NDArray[np.float64]

__all__ = ["FRACTIONS", "impute", "road", "road_noise"]

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""The shares of pixels removed: the middles of five equal parts."""

_NOISE = 0.01
_TOLERANCE = 1e-5  # of a pixel's equation, in units of the normalised input
_CHECKED = 10  # iterations between two looks at the residual, which wait for the device
_MOST = 10_000
_OF_ROAD = 3  # in seeds, where vitscope.explain.sensitivity has 1 and 2


def road(
    model: nn.Module,
    images: Tensor,
    orders: NDArray[np.int64],
    targets: Tensor,
    *,
    noise: Tensor,
    fractions: Sequence[float] = FRACTIONS,
) -> tuple[Floats, Floats]:
    """Return a class's probability with shares of the pixels imputed, the most and the least relevant first.

    At a fraction p exactly ⌈p·rows·columns⌉ pixels are removed and imputed, with noise of standard deviation
    0.01. The score is the mean over the fractions of (LeRF − MoRF)/2, the higher the better: 0 for a ranking
    that tells nothing, at most 1/2.

    *Source*: Rong et al. 2022, arXiv 2202.00449; the combined score is that of pytorch-grad-cam.
    *Differs*: a class's probability in place of the accuracy, so that every image has a score.

    Args:
        model: A classifier in evaluation mode.
        images: `[image, channel, row, column]`, normalised.
        orders: `[method, image, pixel]`, each method's `pixel_order`.
        targets: `[image]`, the classes.
        noise: Of the images' shape, standard normal; the same for all methods.
        fractions: The shares p, each above 0 and below 1.

    Returns:
        MoRF and LeRF, each `[method, image, fraction]`.

    Raises:
        InputError: A fraction is out of range, or leaves no pixel.
    """
    methods, count, pixels = orders.shape
    counts = [math.ceil(fraction * pixels - 1e-9) for fraction in fractions]
    if not all(0 < fraction < 1 and some < pixels for fraction, some in zip(fractions, counts, strict=True)):
        raise InputError(f"expected fractions above 0 that leave a pixel, got {list(fractions)}")
    found = np.empty((2, methods * count, len(counts)))
    image = torch.arange(methods * count, device=images.device) % count
    for way, ranking in enumerate((orders, orders[..., ::-1])):
        flat = torch.from_numpy(ranking.reshape(methods * count, pixels).copy())
        for part in passes(images, methods * count):
            given, target, added = images[image[part]], targets[image[part]], noise[image[part]]
            for column, some in enumerate(counts):
                removed = _holes(flat[part, :some], tuple(images.shape[-2:])).to(images.device)
                filled = impute(given, removed) + _NOISE * added * removed[:, None]
                found[way, part, column] = probabilities(model, filled, target)
    most, least = found.reshape(2, methods, count, len(counts))
    return most, least


def road_noise(numbers: NDArray[np.int64], images: Tensor, *, seed: int) -> Tensor:
    """Return standard normal noise of the images' shape, which depends on each image's number alone.

    Args:
        numbers: `[image]`.
        images: `[image, channel, row, column]`.
        seed: A whole number ≥ 0.
    """
    drawn = [
        np.random.default_rng((seed, _OF_ROAD, number)).standard_normal(images.shape[1:])
        for number in numbers.tolist()
    ]
    return torch.from_numpy(np.stack(drawn)).to(images)


def _holes(chosen: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return masks `[image, row, column]`, true at the pixels chosen, `[image, pixel]`."""
    rows, columns = size
    holes = torch.zeros(len(chosen), rows * columns, dtype=torch.bool)
    return holes.scatter_(1, chosen, True).view(-1, rows, columns)


def impute(images: Tensor, removed: Tensor) -> Tensor:
    """Return images with the removed pixels filled in, each the weighted mean of its eight neighbours.

    x_i = Σ_j w_ij·x_j / Σ_j w_ij for every removed pixel i, over its neighbours j within the image, removed
    or not; w is 1/6 for the four that share a side and 1/12 for the four that share a corner. A constant
    image stays as it is, and so does the inside of a ramp.

    *Source*: Rong et al. 2022, arXiv 2202.00449, section 4.2, without its noise.
    *Differs*: the equations are solved for all images of a batch at once by conjugate gradients, on the
    images' device: multiplied by Σ_j w_ij, they are symmetric and positive definite. Each is met to 1e−5.

    Args:
        images: `[image, channel, row, column]`, floats.
        removed: `[image, row, column]`, bool; not all pixels of an image.

    Raises:
        InputError: All pixels of an image are removed.
    """
    if bool(removed.flatten(1).all(dim=1).any()):
        raise InputError("expected a pixel to be left to fill in the others from, got none")
    hole = removed[:, None].to(images.dtype)
    weight = _neighbours(torch.ones_like(images[:1, :1]))
    known = images * (1 - hole)
    # Filled with the mean of what is known, there is less left to solve for.
    mean = known.sum(dim=(2, 3), keepdim=True) / (1 - hole).sum(dim=(2, 3), keepdim=True)
    solution = mean * hole
    residual = (_neighbours(known + solution) - weight * solution) * hole
    direction = residual / weight
    energy = _dot(residual, direction)
    going: Tensor = torch.ones_like(energy[:, :1], dtype=torch.bool)
    for iteration in range(_MOST):
        if iteration % _CHECKED == 0:
            # An image that is done changes no more, however long the others of the batch take.
            going = residual.abs().amax(dim=(1, 2, 3), keepdim=True) > _TOLERANCE
            if not bool(going.any()):
                break
        applied = (weight * direction - _neighbours(direction)) * hole
        step = going * energy / _dot(direction, applied).clamp_min(_tiny(images))
        solution = solution + step * direction
        residual = residual - step * applied
        scaled = residual / weight
        ahead = _dot(residual, scaled)
        direction = scaled + ahead / energy.clamp_min(_tiny(images)) * direction
        energy = ahead
    return known + solution


def _neighbours(values: Tensor) -> Tensor:
    """Return the weighted sum of each pixel's neighbours, those outside the image being 0.

    The weights are (1 2 1)ᵀ(1 2 1)/12 less the pixel's own 4/12.
    """
    wide = F.pad(values, (1, 1, 1, 1))
    down = wide[..., :-2, :] + 2 * wide[..., 1:-1, :] + wide[..., 2:, :]
    return (down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]) / 12 - values / 3


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum(dim=(2, 3), keepdim=True)


def _tiny(values: Tensor) -> float:
    return float(torch.finfo(values.dtype).tiny)
