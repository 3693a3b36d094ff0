"""Blur: defocus, frosted glass, motion, zoom and Gaussian."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, sparse

from vitscope.data.corruptions.filters import convolve, directional_blur, gaussian, zoom_matrix
from vitscope.data.corruptions.levels import Constants, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.data.corruptions.levels import Pixels
    from vitscope.data.corruptions.streams import Streams

__all__ = ["defocus_blur", "gaussian_blur", "glass_blur", "motion_blur", "zoom_blur"]

# Radius of the disk, and sigma of the Gaussian that softens its edge.
_DEFOCUS = Constants(
    ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
)
# Sigma of both Gaussians, reach of the shuffle, rounds of it.
_GLASS = Constants(
    ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
)
# Radius and sigma.
_MOTION = Constants(
    ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
)
# Stop and step of the factors of enlargement, from 1.
_ZOOM = Constants(
    ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
)
_GAUSSIAN = Constants((0.4, 0.6, 0.7, 0.8, 1), (1, 2, 3, 4, 6))


def gaussian_blur(pixels: Pixels, severity: int, _streams: Streams) -> Pixels:
    """Blur by a Gaussian of σ pixels, cut at 4σ, with copies of the edge beyond it."""
    return truncated(gaussian(pixels.astype(np.float32), _GAUSSIAN.of(pixels, severity)))


def defocus_blur(pixels: Pixels, severity: int, _streams: Streams) -> Pixels:
    """Filter with a disk whose edge is softened, as a lens out of focus does."""
    radius, softness = _DEFOCUS.of(pixels, severity)
    return truncated(convolve(pixels.astype(np.float32), _disk(radius, softness)))


@lru_cache(maxsize=16)
def _disk(radius: float, softness: float) -> NDArray[np.float64]:
    """Return a disk of sum 1 under a Gaussian of 3 × 3 pixels, or 5 × 5 above radius 8, trimmed of zeros."""
    reach = max(8, round(radius))
    line = np.arange(-reach, reach + 1)
    disk = (line[:, None] ** 2 + line**2 <= radius**2).astype(np.float64)
    half = 1 if radius <= 8 else 2
    soft = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * softness**2))
    soft /= soft.sum()
    disk /= disk.sum()
    for axis in (0, 1):
        disk = ndimage.correlate1d(disk, soft, axis=axis, mode="mirror")
    used = min(reach, int(radius) + half)
    return disk[reach - used : reach + used + 1, reach - used : reach + used + 1]


def motion_blur(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Smear along a line at a random angle within 45° of the horizontal, with the weights of half a Gaussian.

    The authors call ImageMagick for it; `directional_blur` does the same.
    """
    radius, sigma = _MOTION.of(pixels, severity)
    angles = streams.uniform((1,))[:, 0] * 90 - 45
    values = directional_blur(pixels.astype(np.float32), angles, radius=radius, sigma=sigma)
    return truncated(values)


def zoom_blur(pixels: Pixels, severity: int, _streams: Streams) -> Pixels:
    """Average the picture with enlargements of its middle, as a lens zoomed during exposure does.

    The mean of the picture itself and of one picture a factor, the factor 1 among them.

    *Differs*: both axes are enlarged each by its own length; the authors' pictures are square.
    """
    stop, step = _ZOOM.of(pixels, severity)
    factors = np.arange(1, stop, step).tolist()
    count, channels, height, width = pixels.shape
    values = pixels.astype(np.float32)
    # Columns first and pictures last, so that sparse operators work on long contiguous lines.
    turned = np.ascontiguousarray(values.transpose(3, 2, 0, 1)).reshape(width, -1)
    total = np.zeros((height, width * count * channels), dtype=np.float32)
    for factor in factors:
        wide = (_sparse_zoom(width, factor) @ turned).reshape(width, height, -1)
        total += _sparse_zoom(height, factor) @ wide.transpose(1, 0, 2).reshape(height, -1)
    values += total.reshape(height, width, count, channels).transpose(2, 3, 0, 1)
    values /= len(factors) + 1
    return truncated(values)


@lru_cache(maxsize=128)
def _sparse_zoom(length: int, factor: float) -> sparse.csr_array:
    return sparse.csr_array(zoom_matrix(length, factor))


def glass_blur(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Blur, let pixels take the place of others near them, and blur again, as frosted glass does.

    From the lower right to the upper left, each pixel takes the value that then lies at a random place up to
    `reach` pixels above or left of it, or up to reach − 1 below or right. A margin of `reach` pixels, one
    more at the upper and left edge, stays as it is.

    *Differs*: not from the authors' code, whose exchange of two NumPy views copies one pixel over the other,
    but from their paper, which speaks of shuffling.
    """
    sigma, reach, rounds = _GLASS.of(pixels, severity)
    count, channels, height, width = pixels.shape
    values = truncated(gaussian(pixels.astype(np.float32), sigma))
    rows, columns = np.arange(reach + 1, height - reach + 1), np.arange(reach + 1, width - reach + 1)
    if rows.size and columns.size:
        shifts = streams.integers(-reach, reach, (rounds, 2, rows.size, columns.size))
        flat = values.reshape(count, channels, -1)
        for turn in range(rounds):
            source = np.broadcast_to(np.arange(height * width).reshape(height, width), (count, height, width))
            source = source.copy()
            taken = (rows[:, None] + shifts[:, turn, 0]) * width + columns + shifts[:, turn, 1]
            source[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = taken
            flat = np.take_along_axis(flat, _followed(source.reshape(count, 1, -1)), axis=2)
        values = flat.reshape(pixels.shape)
    return truncated(gaussian(values.astype(np.float32), sigma))


def _followed(source: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each pixel's value comes from at first, where it took another's that had taken one itself.

    Pixels are visited from the last to the first, so a source that lies behind has been overwritten before.
    Each round follows a pointer to a later pixel by that pixel's own, so paths halve.
    """
    place = np.arange(source.shape[-1])
    # What a pixel reads: the final value of a pixel behind it, or the untouched value of one before it.
    behind = source > place
    while behind.any():
        following = np.take_along_axis(source, source, axis=2)
        following_behind = np.take_along_axis(behind, source, axis=2)
        source = np.where(behind, following, source)
        behind = behind & following_behind
    return source
