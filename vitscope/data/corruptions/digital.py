"""Digital faults: low contrast, elastic deformation, pixelation and JPEG compression; and saturation."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vitscope.data.corruptions.filters import bilinear, gaussian
from vitscope.data.corruptions.levels import Constants, is_small, truncated

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vitscope.data.corruptions.levels import Pixels, Values
    from vitscope.data.corruptions.streams import Streams

__all__ = ["contrast", "elastic_transform", "jpeg_compression", "pixelate", "saturate"]

_CONTRAST = Constants((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05))
# As shares of the side: length and smoothness of the displacements, shift of the corners.
_ELASTIC = Constants(
    ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)),
)
# The authors' sides: 32, and for 224 pixels 244, which they call a slip that is not incorrect.
_LARGE_SIDE = 244 / 224
_PIXELATE = Constants((0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25))
_JPEG = Constants((80, 65, 58, 50, 40), (25, 18, 15, 10, 7))
# Saturation becomes c₀·S + c₁.
_SATURATE = Constants(
    ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
)


def contrast(pixels: Pixels, severity: int, _streams: Streams) -> Pixels:
    """Draw each channel towards its mean over the picture: c·(x − mean) + mean."""
    values = pixels.astype(np.float32)
    mean = values.mean(axis=(2, 3), keepdims=True)
    return truncated((values - mean) * np.float32(_CONTRAST.of(pixels, severity)) + mean)


def saturate(pixels: Pixels, severity: int, _streams: Streams) -> Pixels:
    """Change the saturation of HSV to c₀·S + c₁ within 0 … 1; hue and value stay.

    Pixels without a hue count as red, as in scikit-image, and so do not stay grey where c₁ is above 0.

    *Differs*: pictures of one channel have no saturation and stay as they are.
    """
    if pixels.shape[1] == 1:
        return pixels.copy()
    factor, offset = _SATURATE.of(pixels, severity)
    values = pixels.astype(np.float32)
    peak = values.max(axis=1, keepdims=True)
    depth = peak - values  # by how much each channel is below the largest: V·S where it is the smallest
    grey = depth.max(axis=1, keepdims=True) == 0
    depth[:, 1:] = np.where(grey, peak, depth[:, 1:])
    largest = depth.max(axis=1, keepdims=True)
    saturation = np.where(grey, 0, largest / np.where(peak > 0, peak, 1))
    wanted = np.clip(saturation * factor + offset, 0, 1) * peak
    return truncated(peak - depth * (wanted / np.where(largest > 0, largest, 1)))


def jpeg_compression(pixels: Pixels, severity: int, _streams: Streams) -> Pixels:
    """Write as JPEG in low quality, colours at half the resolution, and read again (Pillow's encoder)."""
    quality = _JPEG.of(pixels, severity)

    def compressed(picture: Image.Image) -> Image.Image:
        stream = BytesIO()
        picture.save(stream, "JPEG", quality=quality)
        return Image.open(stream)

    return _each(pixels, compressed)


def pixelate(pixels: Pixels, severity: int, _streams: Streams) -> Pixels:
    """Make smaller and larger again, each pixel the mean of the box that it stands for (Pillow's)."""
    share = _PIXELATE.of(pixels, severity)
    height, width = pixels.shape[2:]
    coarse = (max(1, int(width * share)), max(1, int(height * share)))
    box = Image.Resampling.BOX
    return _each(pixels, lambda picture: picture.resize(coarse, box).resize((width, height), box))


def _each(pixels: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    result = np.empty_like(pixels)
    for target, values in zip(result, np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), strict=True):
        picture = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
        changed = np.asarray(change(picture))
        target[:] = changed if changed.ndim == 2 else changed.transpose(2, 0, 1)
    return result


def elastic_transform(pixels: Pixels, severity: int, streams: Streams) -> Pixels:
    """Shift three corners of a triangle at random, then every pixel by a smooth random displacement.

    *Source*: Simard et al. 2003, "Best practices for convolutional neural networks". *Differs*: lengths are
    shares of the picture's smaller side, which for 32 and 224 pixels gives the authors' own; the OpenCV
    of their time rounded positions to 1/32 of a pixel, this does not.
    """
    length, smoothness, shift = _ELASTIC.of(pixels, severity)
    height, width = pixels.shape[2:]
    side = min(height, width) * (1 if is_small(pixels) else _LARGE_SIDE)
    corners = streams.uniform((3, 2)) * 2 - 1
    values = _warped(pixels.astype(np.float32), corners.astype(np.float64) * shift * side)
    moves = streams.uniform((2, height, width)) * 2 - 1
    if length:
        moves = gaussian(moves, smoothness * side, mode="reflect", truncate=3) * np.float32(length * side)
        y = np.arange(height, dtype=np.float64)[:, None] + moves[:, 1]
        x = np.arange(width, dtype=np.float64) + moves[:, 0]
        values = bilinear(values, y, x, mode="reflect")
    return truncated(values)


def _warped(values: Values, moves: NDArray[np.float64]) -> Values:
    """Map each picture by the affine transform that moves three corners: `[image, corner, (x, y)]` pixels.

    They are three of the four corners of a square, a third of the smaller side from the middle.
    """
    height, width = values.shape[2:]
    third = min(height, width) // 3
    if not third:
        return values  # fewer than three pixels: there is no triangle
    middle = np.array([height // 2, width // 2])
    before = middle + third * np.array([(1, 1), (1, -1), (-1, -1)])
    after = before + moves
    ones = np.ones((len(values), 3, 1))
    # Where a pixel of the result comes from: the transform that brings the corners back.
    back = np.linalg.solve(np.concatenate([after, ones], axis=2), np.broadcast_to(before, after.shape))
    y, x = np.indices((height, width), dtype=np.float64)
    place = np.asarray(np.stack([x, y, np.ones_like(x)], axis=-1) @ back[:, None], dtype=np.float64)
    return bilinear(values, place[..., 1], place[..., 0], mode="mirror")
