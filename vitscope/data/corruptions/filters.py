"""Linear filters over batches of pictures, as small matrices along rows and columns."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage, signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.data.corruptions.levels import Values

__all__ = [
    "bilinear",
    "convolve",
    "directional_blur",
    "gaussian",
    "mirrored",
    "reflected",
    "separable",
    "zoom_matrix",
]

_FEW_TAPS = 64
_NEGLIGIBLE = 1e-5


@lru_cache(maxsize=64)
def _gaussian_matrix(
    length: int, sigma: float, mode: Literal["nearest", "reflect"], truncate: float
) -> NDArray[np.float32]:
    matrix = ndimage.gaussian_filter1d(np.eye(length), sigma, axis=0, mode=mode, truncate=truncate)
    return np.asarray(matrix, dtype=np.float32)


@lru_cache(maxsize=128)
def zoom_matrix(length: int, factor: float) -> NDArray[np.float32]:
    """Return the operator `[length, length]` that enlarges the middle of a line by linear interpolation.

    The middle ⌈length/factor⌉ values are stretched by `scipy.ndimage.zoom`, end on end, and what then exceeds
    the length is trimmed on both sides.
    """
    kept = math.ceil(length / factor)
    top = (length - kept) // 2
    enlarged = ndimage.zoom(np.eye(length)[top : top + kept], (factor, 1), order=1)
    trim = (len(enlarged) - length) // 2
    return np.asarray(enlarged[trim : trim + length], dtype=np.float32)


def separable(values: Values, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> Values:
    """Apply one operator down and one across: R·X·Cᵀ of each picture `[…, row, column]`."""
    return np.asarray(np.matmul(rows, np.matmul(values, columns.T)))


def gaussian(
    values: Values, sigma: float, *, mode: Literal["nearest", "reflect"] = "nearest", truncate: float = 4.0
) -> Values:
    """Blur pictures `[…, row, column]` by a Gaussian of `sigma` pixels; the defaults are scikit-image's."""
    height, width = values.shape[-2:]
    return separable(
        values,
        _gaussian_matrix(height, sigma, mode, truncate),
        _gaussian_matrix(width, sigma, mode, truncate),
    )


def convolve(values: Values, kernel: NDArray[np.float64]) -> Values:
    """Filter pictures `[image, channel, row, column]` by a symmetric kernel of odd sides.

    The picture goes on mirrored at its edge pixels (OpenCV's `BORDER_REFLECT_101`).
    """
    reach = len(kernel) // 2
    height, width = values.shape[-2:]
    padded = values[..., mirrored(np.arange(-reach, height + reach), height), :]
    padded = padded[..., mirrored(np.arange(-reach, width + reach), width)]
    taps = np.argwhere(kernel > 0)
    if len(taps) > _FEW_TAPS:
        return np.asarray(
            signal.fftconvolve(padded, kernel[None, None].astype(np.float32), mode="valid", axes=(2, 3))
        )
    result = np.zeros_like(values)
    for row, column in taps.tolist():
        result += np.float32(kernel[row, column]) * padded[..., row : row + height, column : column + width]
    return result


def directional_blur(values: Values, angles: NDArray[np.floating], *, radius: int, sigma: float) -> Values:
    """Smear each picture `[image, channel, row, column]` along its own angle, in degrees.

    A pixel becomes the weighted mean of the 2·radius + 1 pixels that follow it in the direction of the angle,
    each rounded to the pixel grid, with weights exp(−i²/2σ²): half a Gaussian. Beyond the edge lie copies of
    the edge. This is ImageMagick's motion blur; weights below 10⁻⁵ are left out.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    steps = steps[weights > _NEGLIGIBLE]
    weights = (weights[steps] / weights[steps].sum()).astype(np.float32)
    reach = int(steps[-1])
    height, width = values.shape[-2:]
    padded = np.pad(values, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    radians = np.deg2rad(np.asarray(angles, dtype=np.float64))[:, None]
    down = np.ceil(np.sin(radians) * steps - 0.5).astype(int) + reach
    right = np.ceil(np.cos(radians) * steps - 0.5).astype(int) + reach
    result = np.zeros_like(values)
    for place, (tops, lefts) in enumerate(zip(down.tolist(), right.tolist(), strict=True)):
        for weight, top, left in zip(weights, tops, lefts, strict=True):
            result[place] += weight * padded[place, :, top : top + height, left : left + width]
    return result


def mirrored(index: NDArray[np.integer], length: int) -> NDArray[np.int64]:
    """Bring indices into 0 … length − 1 by mirrors in the middle of the edge pixels: … 2 1 | 0 1 2."""
    if length == 1:
        return np.zeros_like(index, dtype=np.int64)
    folded = np.asarray(index, dtype=np.int64) % (2 * length - 2)
    return np.minimum(folded, 2 * length - 2 - folded)


def reflected(index: NDArray[np.integer], length: int) -> NDArray[np.int64]:
    """Bring indices into 0 … length − 1 by mirrors at the outside of the edge pixels: … 1 0 | 0 1 2."""
    folded = np.asarray(index, dtype=np.int64) % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)


def bilinear(
    values: Values, y: NDArray[np.floating], x: NDArray[np.floating], *, mode: Literal["mirror", "reflect"]
) -> Values:
    """Sample pictures between their pixels.

    Args:
        values: `[image, channel, row, column]`.
        y: `[image, row, column]`, where each pixel of the result comes from, in rows of the picture.
        x: The same, in columns.
        mode: How the picture goes on beyond its edge: `mirrored` or `reflected`.

    Returns:
        `[image, channel, row, column]`.
    """
    fold = mirrored if mode == "mirror" else reflected
    count, channels, height, width = values.shape
    above, left = np.floor(y), np.floor(x)
    down, right = (y - above).astype(np.float32)[:, None], (x - left).astype(np.float32)[:, None]
    above, left = above.astype(np.int64), left.astype(np.int64)
    rows = [fold(above + step, height) * width for step in (0, 1)]
    columns = [fold(left + step, width) for step in (0, 1)]
    flat = values.reshape(count, channels, height * width)

    def at(row: int, column: int) -> Values:
        place = (rows[row] + columns[column]).reshape(count, 1, -1)
        taken = np.take_along_axis(flat, place, axis=2)
        return taken.reshape(count, channels, *y.shape[1:])

    upper = at(0, 0) * (1 - right) + at(0, 1) * right
    lower = at(1, 0) * (1 - right) + at(1, 1) * right
    return np.asarray(upper * (1 - down) + lower * down)
