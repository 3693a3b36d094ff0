"""Spatter: drops of water or mud on the lens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from vitscope.data.corruptions.filters import gaussian
from vitscope.data.corruptions.levels import Constants, luma, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.data.corruptions.levels import Pixels, Values
    from vitscope.data.corruptions.streams import Streams

__all__ = ["spatter"]

# Mean and deviation of the liquid, smoothness, threshold, strength or softness, and whether it is mud.
_SPATTER = Constants(
    (
        (0.62, 0.1, 0.7, 0.7, 0.5, False),
        (0.65, 0.1, 0.8, 0.7, 0.5, False),
        (0.65, 0.3, 1, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    ),
    (
        (0.65, 0.3, 4, 0.69, 0.6, False),
        (0.65, 0.3, 3, 0.68, 0.6, False),
        (0.65, 0.3, 2, 0.68, 0.5, False),
        (0.65, 0.3, 1, 0.65, 1.5, True),
        (0.67, 0.4, 1, 0.65, 1.5, True),
    ),
)
_WATER, _MUD = (175, 238, 238), (63, 42, 20)
_LOW, _HIGH = 50, 150  # gradients that may be, and that are, an edge
_FARTHEST = 20  # pixels from an edge beyond which all is alike
_EMBOSS = np.array([(-2, -1, 0), (-1, 1, 1), (0, 1, 2)], dtype=np.float64)
_WITHIN = np.zeros((3, 3, 3), dtype=bool)
_WITHIN[1] = True
_APART = 4.0 * _FARTHEST
_TANGENT = np.tan(np.pi / 8)


def spatter(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Put drops on the picture: thresholded smooth noise, as water that glistens at its rims, or as mud.

    Water adds turquoise, in proportion to an embossed map of the distance to the drops' edges; mud covers.

    *Differs*: distances are exact, where OpenCV's are within 2 %; a picture without drops stays as it is,
    where the authors divide 0 by 0.
    """
    mean, deviation, smoothness, threshold, strength, mud = _SPATTER.of(pixels, severity)
    liquid = gaussian(streams.normal(pixels.shape[2:]) * np.float32(deviation) + np.float32(mean), smoothness)
    drops = liquid >= threshold
    values = pixels.astype(np.float32)
    if mud:
        cover = gaussian(drops.astype(np.float32), strength)
        cover[cover < 0.8] = 0
        return truncated(values * (1 - cover[:, None]) + _tint(_MUD, pixels) * cover[:, None])
    depth = truncated(np.asarray(liquid * drops * 255, dtype=np.float32))
    shine = depth * _rims(depth)
    peak = shine.max(axis=(1, 2), keepdims=True)
    shine = (strength * shine / np.where(peak > 0, peak, 1)).astype(np.float32)
    return truncated(values + _tint(_WATER, pixels) * shine[:, None])


def _tint(colour: tuple[int, int, int], pixels: Pixels) -> Values:
    values = np.array(colour, dtype=np.float32)[None, :, None, None]
    return values if pixels.shape[1] == 3 else luma(values)


def _rims(depth: Pixels) -> Values:
    """Return how much each place of the drops `[image, row, column]` glistens, in whole numbers 0 … 255."""
    edges = _edges(depth)
    if edges.any():
        # One transform for all: other pictures are too far away to count.
        distance = ndimage.distance_transform_edt(~edges, sampling=(_APART, 1, 1))
        distance = np.minimum(distance, _FARTHEST)
    else:
        distance = np.full(depth.shape, float(_FARTHEST))
    levels = _equalised(_box_mean(distance).astype(np.uint8))
    embossed = ndimage.correlate(levels.astype(np.float64), _EMBOSS[None], mode="mirror").clip(0, 255)
    return np.rint(_box_mean(embossed)).astype(np.float32)


def _box_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean = ndimage.uniform_filter(values, (1, 3, 3), mode="mirror")
    return np.asarray(mean + 1e-9)  # running sums end a hair below whole numbers


def _equalised(levels: Pixels) -> Pixels:
    """Spread the grey levels of each picture so that as many lie in each range, as OpenCV's equalizeHist."""
    count = len(levels)
    total = levels[0].size
    flat = levels.reshape(count, -1) + 256 * np.arange(count)[:, None]
    histogram = np.bincount(flat.ravel(), minlength=256 * count).reshape(count, 256)
    lowest = histogram[np.arange(count), levels.reshape(count, -1).min(axis=1)][:, None]
    table = np.rint((histogram.cumsum(axis=1) - lowest) * (255 / np.maximum(total - lowest, 1)))
    flat_only = lowest == total  # one level alone stays what it is
    table = np.where(flat_only, np.arange(256), table).clip(0, 255).astype(np.uint8)
    return np.asarray(table.ravel()[flat].reshape(levels.shape))


def _edges(levels: Pixels) -> NDArray[np.bool_]:
    """Find edges of pictures `[image, row, column]`.

    *Source*: Canny 1986, "A computational approach to edge detection", with OpenCV's conventions: Sobel
    gradients, |gx| + |gy| as magnitude, copies of the edge beyond it, no smoothing.
    """
    padded = np.pad(levels.astype(np.int32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    smooth_down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    smooth_across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    gx = smooth_down[:, :, 2:] - smooth_down[:, :, :-2]
    gy = smooth_across[:, 2:] - smooth_across[:, :-2]
    magnitude = np.abs(gx) + np.abs(gy)
    thin = (magnitude > _LOW) & _crests(magnitude, gx, gy)
    groups, number = ndimage.label(thin, structure=_WITHIN)
    strong = np.zeros(number + 1, dtype=bool)
    strong[groups[thin & (magnitude > _HIGH)]] = True
    return np.asarray(strong[groups])


def _crests(magnitude: NDArray[np.int32], gx: NDArray[np.int32], gy: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return where the magnitude is a maximum along the gradient, which is one of four directions."""
    around = np.pad(magnitude, ((0, 0), (1, 1), (1, 1)))
    height, width = magnitude.shape[1:]

    def at(down: int, right: int) -> NDArray[np.int32]:
        return around[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    level, upright = np.abs(gy) < _TANGENT * np.abs(gx), np.abs(gy) > (_TANGENT + 2) * np.abs(gx)
    rising = (gx < 0) ^ (gy < 0)
    across = (magnitude > at(0, -1)) & (magnitude >= at(0, 1))
    down = (magnitude > at(-1, 0)) & (magnitude >= at(1, 0))
    falling_line = (magnitude > at(-1, -1)) & (magnitude > at(1, 1))
    rising_line = (magnitude > at(-1, 1)) & (magnitude > at(1, -1))
    diagonal = np.where(rising, rising_line, falling_line)
    return np.where(level, across, np.where(upright, down, diagonal))
