"""Perturbation: a class's probability as pixels are taken out or put in, the most relevant first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from vitscope.errors import InputError
from vitscope.explain.targets import check_logits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor, nn

    Floats = NDArray[np.float64]

__all__ = [
    "area",
    "blurred",
    "deletion",
    "insertion",
    "on_pixels",
    "pass_rows",
    "passes",
    "perturbed",
    "pixel_order",
    "probabilities",
    "step_counts",
]

_STEPS = 10
_BLUR = 1 / 8
_CPU_ROWS, _ROWS = 64, 512  # images of one pass; see vitscope.inference.prediction for the first
_VALUES = 1 << 25  # of one pass's input


def on_pixels(values: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return maps `[image, row, column]` resized bilinearly to rows and columns of pixels.

    Pixel centres are half a pixel from the edge, as in the figures' overlays.
    """
    rows, columns = size
    maps = np.ascontiguousarray(values, dtype=np.float32)
    if maps.shape[1:] == size:
        return maps
    resized = (Image.fromarray(each).resize((columns, rows), Image.Resampling.BILINEAR) for each in maps)
    return np.stack([np.asarray(each, dtype=np.float32) for each in resized])


def pixel_order(maps: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return each image's pixels from the most relevant to the least, `[image, pixel]` in reading order.

    A map is ranked once; of equal pixels the first in reading order comes first.

    Args:
        maps: `[image, row, column]`, one value a pixel.
    """
    return np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable").astype(np.int64)


def step_counts(pixels: int, steps: int = _STEPS) -> NDArray[np.int64]:
    """Return how many pixels are perturbed after each of the steps, `[step]`, from none to all.

    Rounded to whole pixels symmetrically, c_(steps − k) = n − c_k, so that the insertion of a ranking is the
    deletion of its reverse; of an odd number of pixels, an even number of steps has the larger half in the
    middle.

    Raises:
        InputError: There is less than one step.
    """
    if steps < 1:
        raise InputError(f"expected at least 1 step, got {steps}")
    first = np.floor(np.arange(steps // 2 + 1) * pixels / steps + 0.5).astype(np.int64)
    last = (pixels - first)[::-1]
    return np.concatenate([first, last[1:] if steps % 2 == 0 else last])


def blurred(images: Tensor) -> Tensor:
    """Return images blurred by a Gaussian of an eighth of their shorter side.

    Weights exp(−d²/2σ²) of whole-pixel distances d, renormalised at the border. *Differs* from Petsiuk et
    al. 2018, whose σ of 5 pixels leaves photographs of 224 pixels, and all the more small images, readable.

    Args:
        images: `[image, channel, row, column]`.
    """
    rows, columns = images.shape[-2:]
    sigma = _BLUR * min(rows, columns)
    down, across = (_gaussian(side, sigma).to(images) for side in (rows, columns))
    return down @ images @ across.T


def _gaussian(side: int, sigma: float) -> Tensor:
    place = torch.arange(side, dtype=torch.float64)
    weights = torch.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    return weights / weights.sum(dim=1, keepdim=True)


def deletion(
    model: nn.Module, images: Tensor, orders: NDArray[np.int64], targets: Tensor, *, steps: int = _STEPS
) -> tuple[Floats, Floats]:
    """Return a class's probability as the most relevant pixels are set to the mean, one after another.

    The mean is 0 of the normalised input: the data set's mean, as the model's preprocessing has it. A pixel
    is changed in all channels at once. The score is the curve's `area`, the lower the better.

    *Source*: Petsiuk, Das and Saenko 2018, arXiv 1806.07421, section 3.3.

    Args:
        model: A classifier in evaluation mode.
        images: `[image, channel, row, column]`, normalised.
        orders: `[method, image, pixel]`, each method's `pixel_order`.
        targets: `[image]`, the classes.
        steps: The number of steps from no pixel to all.

    Returns:
        The fractions `[step]`, 0 and 1 included, and the curves `[method, image, step]`.
    """
    counts = step_counts(orders.shape[2], steps)
    curves = perturbed(model, images, torch.zeros_like(images), orders, counts=counts, targets=targets)
    return counts / orders.shape[2], curves


def insertion(
    model: nn.Module, images: Tensor, orders: NDArray[np.int64], targets: Tensor, *, steps: int = _STEPS
) -> tuple[Floats, Floats]:
    """Return a class's probability as the most relevant pixels are put into the `blurred` image.

    As `deletion` has it, but the higher the better.
    """
    counts = step_counts(orders.shape[2], steps)
    curves = perturbed(model, blurred(images), images, orders, counts=counts, targets=targets)
    return counts / orders.shape[2], curves


def area(fractions: Floats, curves: Floats) -> Floats:
    """Return the area under curves `[…, step]` by the trapezoid rule over the fractions."""
    return np.asarray(np.trapezoid(curves, fractions, axis=-1))


def perturbed(
    model: nn.Module,
    start: Tensor,
    end: Tensor,
    orders: NDArray[np.int64],
    *,
    counts: NDArray[np.int64],
    targets: Tensor,
) -> Floats:
    """Return a class's probability with c pixels, an order's first, from `end` and the rest from `start`.

    Args:
        model: A classifier in evaluation mode.
        start: `[image, channel, row, column]`.
        end: Of the same shape.
        orders: `[method, image, pixel]`.
        counts: `[step]`, the numbers c.
        targets: `[image]`.

    Returns:
        `[method, image, step]`, float64.
    """
    methods, images, pixels = orders.shape
    place = np.empty_like(orders)
    np.put_along_axis(place, orders, np.arange(pixels), axis=2)  # where in its order each pixel comes
    places = torch.from_numpy(place).to(start.device).view(methods * images, 1, *start.shape[-2:])
    wanted = torch.from_numpy(counts).to(start.device)
    found = np.empty((methods * images, len(counts)))
    # The ends are the same for all methods.
    inner = np.flatnonzero((counts > 0) & (counts < pixels))
    for outer in np.flatnonzero((counts == 0) | (counts == pixels)):
        whole = probabilities(model, end if counts[outer] else start, targets)
        found[:, outer] = np.tile(whole, methods)
    # All steps of all maps, one after another: a few images fill a pass as well as many do.
    rows, steps = (each.ravel() for each in np.meshgrid(np.arange(methods * images), inner, indexing="ij"))
    for part in passes(start, len(rows)):
        row, step = (torch.from_numpy(each[part]).to(start.device) for each in (rows, steps))
        taken = places[row] < wanted[step].view(-1, 1, 1, 1)
        mixed = torch.where(taken, end[row % images], start[row % images])
        found[rows[part], steps[part]] = probabilities(model, mixed, targets[row % images])
    return found.reshape(methods, images, len(counts))


def probabilities(model: nn.Module, images: Tensor, targets: Tensor) -> Floats:
    """Return the softmax probability of one class an image, `[image]`.

    Raises:
        CaptureError: The model does not return logits.
        NotFiniteError: A logit is not finite.
    """
    found = []
    size = pass_rows(images)
    with torch.inference_mode():
        for part, chosen in zip(torch.split(images, size), torch.split(targets, size), strict=True):
            logits = check_logits(model(part), len(part))
            found.append(logits.float().softmax(dim=1).gather(1, chosen[:, None])[:, 0].cpu().numpy())
    return np.concatenate(found).astype(np.float64)


def pass_rows(images: Tensor) -> int:
    """Return how many images of this size go through a model at a time."""
    most = _CPU_ROWS if images.device.type == "cpu" else _ROWS
    return max(1, min(most, _VALUES // images[0].numel()))


def passes(images: Tensor, count: int | None = None) -> Iterator[slice]:
    """Yield the rows of each pass: those of the images, or of `count` of their size."""
    step = pass_rows(images)
    whole = len(images) if count is None else count
    yield from (slice(first, first + step) for first in range(0, whole, step))
