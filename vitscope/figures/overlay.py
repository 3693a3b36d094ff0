"""A map over its picture, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib import colormaps
from PIL import Image

from vitscope.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLOURS", "Box", "Scale", "enlarged", "overlay", "pixels", "whole", "whole_pixels"]

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the picture: what the model saw of it."""

COLOURS = colormaps["inferno"]
_VEIL = (0.25, 0.40)  # the map's opacity at its smallest value, and what is added at its largest
_DIMMED = 0.55  # how much of the picture is left outside the box


class Scale(NamedTuple):
    """The values that the ends of the colours stand for; equal for a map that has one value everywhere."""

    low: float
    high: float

    @classmethod
    def of(cls, *maps: NDArray[np.floating]) -> Scale:
        """Return the scale from the smallest value of all maps to the largest."""
        return cls(min(float(each.min()) for each in maps), max(float(each.max()) for each in maps))

    def share(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return values from 0 to 1; a map without differences is 0 throughout."""
        extent = self.high - self.low
        return (values - self.low).clip(0) / extent if extent > 0 else np.zeros_like(values)


def overlay(
    picture: NDArray[np.uint8], values: NDArray[np.floating], *, box: Box | None = None
) -> NDArray[np.uint8]:
    """Return the picture under its map in colours, at the picture's own resolution: uint8 RGB.

    The more a place has of the map, the more the colours cover the picture, from a quarter to two thirds.
    Outside the box the picture is paler.

    Args:
        picture: The whole picture, uint8, `[row, column, 3]` or `[row, column]`.
        values: One map `[row, column]`, scaled here from its smallest value to its largest.
        box: What the model saw of the picture; None for all of it.

    Raises:
        InputError: The picture is not an array of pixels, or the box is outside it.
    """
    picture = pixels(picture)
    left, top, right, bottom = whole_pixels(picture, box)
    share = Scale.of(values).share(enlarged(values, width=right - left, height=bottom - top))
    colours = COLOURS(share, bytes=True)
    opacity = _VEIL[0] + _VEIL[1] * share
    # Dimming goes to white, as on paper: in black the picture would look like the map's low values.
    paler = np.rint(255 - _DIMMED * (255 - np.arange(256))).astype(np.uint8)
    result: NDArray[np.uint8] = paler[picture]
    for channel in range(3):  # one at a time: a photograph of 50 megapixels fits in memory
        window = picture[top:bottom, left:right, channel]
        mixed = (1 - opacity) * window + opacity * colours[..., channel]
        result[top:bottom, left:right, channel] = np.rint(mixed)
    return result


def pixels(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture as `[row, column, 3]`, a grey one with its channel thrice.

    Raises:
        InputError: It is not an array of pixels.
    """
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        got = f"{picture.dtype} {list(picture.shape)}"
        raise InputError(f"expected a picture as uint8 [row, column, 3], got {got}")
    return picture


def whole(picture: NDArray[np.uint8]) -> Box:
    """Return the box of the whole picture."""
    return (0, 0, picture.shape[1], picture.shape[0])


def whole_pixels(picture: NDArray[np.uint8], box: Box | None) -> tuple[int, int, int, int]:
    """Return the box in whole pixels, at least one each way; None is the whole picture.

    Raises:
        InputError: The box is outside the picture or inside out.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = box or whole(picture)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        expected = f"a box (left, top, right, bottom) within {width}x{height} pixels"
        raise InputError(f"expected {expected}, got {box}")
    start = (min(round(left), width - 1), min(round(top), height - 1))
    return *start, max(round(right), start[0] + 1), max(round(bottom), start[1] + 1)


def enlarged(values: NDArray[np.floating], *, width: int, height: int) -> NDArray[np.float32]:
    """Return a map resized bilinearly, pixel centres half a pixel from the edge."""
    grid = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
