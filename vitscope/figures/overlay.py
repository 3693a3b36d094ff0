"""A map over its picture, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib import colormaps
from PIL import Image

from vitscope.errors import InputError
from vitscope.paths import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.colors import Colormap
    from numpy.typing import NDArray

__all__ = [
    "COLOURS",
    "SIGNED_COLOURS",
    "Box",
    "Scale",
    "enlarged",
    "overlay",
    "pixels",
    "reduced",
    "save_overlay",
    "short",
    "whole",
    "whole_pixels",
]

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the picture: what the model saw of it."""

# Both in equal perceptual steps, told apart with every common form of colour blindness, and dark where a map
# has little, so that a picture under it darkens there.
COLOURS = colormaps["inferno"]
SIGNED_COLOURS = colormaps["managua_r"]  # Crameri 2018: blue below 0, dark at 0, orange above
_VEIL = (0.25, 0.40)  # the map's opacity where it has least, and what is added where it has most
_TOKENS = 1000  # values that a map of tokens seldom has more of: 28 by 28 are 784
_DIMMED = 0.55  # how much of the picture is left outside the box


class Scale(NamedTuple):
    """The values that the ends of the colours stand for; equal for a map that has one value everywhere.

    That of signed maps has 0 in its middle. Where values lie beyond an end they have its colour.
    """

    low: float
    high: float
    signed: bool = False
    beyond: float = 0.0
    """The share of values that may lie beyond an end."""

    @classmethod
    def of(cls, *maps: NDArray[np.floating], signed: bool = False, beyond: float = 0.0) -> Scale:
        """Return the scale from the smallest value of all maps to the largest; of signed maps, from −m to m.

        m is the largest magnitude of all maps. With `beyond` the largest value, or magnitude, is that which
        this share of all values exceeds.
        """
        values = np.concatenate([each.ravel() for each in maps]).astype(np.float64)
        sizes = np.abs(values) if signed else values
        low, high = float(values.min()), float(np.quantile(sizes, 1 - beyond))
        if not high > (0 if signed else low):  # nearly all are equal: the few others are what there is to see
            high, beyond = float(sizes.max()), 0.0
        return cls(-high if signed else low, high, signed, beyond)

    @classmethod
    def fitting(cls, *maps: NDArray[np.floating], signed: bool = False) -> Scale:
        """Return the scale of maps; of maps of single pixels, one that one value in a hundred lies beyond.

        Attributions of pixels have a few values so large that nothing else would be seen.
        """
        return cls.of(*maps, signed=signed, beyond=0.01 if max(each.size for each in maps) > _TOKENS else 0)

    @property
    def colours(self) -> Colormap:
        """The colours from the low end to the high end."""
        return SIGNED_COLOURS if self.signed else COLOURS

    @property
    def labels(self) -> list[str]:
        """The ends with two digits, or as many as their difference needs to be told to a tenth."""
        low, high = self.low, self.high
        above, below = ("≥ ", "≤ " if self.signed else "") if self.beyond else ("", "")
        if 0 < low < 1e-3 * high:
            return ["≈ 0", f"{above}{short(high)}"]  # softmax is never 0, and 8.3e-23 says no more than that
        for digits in range(2, 9):
            labels = [short(end, digits) for end in (low, high)]
            if abs(float(labels[1]) - float(labels[0]) - (high - low)) <= 0.1 * (high - low):
                break
        return [below + labels[0], above + labels[1]]

    def share(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return places among the colours, 0 to 1; a map without differences is dark throughout."""
        extent = self.high - self.low
        if extent > 0:
            return ((values - self.low) / extent).clip(0, 1)
        return np.full_like(values, 0.5 if self.signed else 0)

    def weight(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return how much a map has at each place, 0 to 1, whichever its sign."""
        share = self.share(values)
        return np.abs(2 * share - 1) if self.signed else share


def overlay(
    picture: NDArray[np.uint8],
    values: NDArray[np.floating],
    *,
    box: Box | None = None,
    scale: Scale | None = None,
) -> NDArray[np.uint8]:
    """Return the picture under its map in colours, at the picture's own resolution: uint8 RGB.

    The more a place has of the map, of either sign, the more the colours cover the picture, from a quarter
    to two thirds. Outside the box the picture is paler.

    Args:
        picture: The whole picture, uint8, `[row, column, 3]` or `[row, column]`.
        values: One map `[row, column]`.
        box: What the model saw of the picture; None for all of it.
        scale: What the colours stand for; from the map's smallest value to its largest where left out.

    Raises:
        InputError: The picture is not an array of pixels, or the box is outside it.
    """
    picture = pixels(picture)
    left, top, right, bottom = whole_pixels(picture, box)
    scale = scale or Scale.of(values)
    large = enlarged(values, width=right - left, height=bottom - top)
    colours = scale.colours(scale.share(large), bytes=True)
    opacity = _VEIL[0] + _VEIL[1] * scale.weight(large)
    # Dimming goes to white, as on paper: in black the picture would look like the map's low values.
    paler = np.rint(255 - _DIMMED * (255 - np.arange(256))).astype(np.uint8)
    result: NDArray[np.uint8] = paler[picture]
    for channel in range(3):  # one at a time: a photograph of 50 megapixels fits in memory
        window = picture[top:bottom, left:right, channel]
        mixed = (1 - opacity) * window + opacity * colours[..., channel]
        result[top:bottom, left:right, channel] = np.rint(mixed)
    return result


def save_overlay(
    path: Path,
    picture: NDArray[np.uint8],
    values: NDArray[np.floating],
    *,
    box: Box | None = None,
    scale: Scale | None = None,
) -> Path:
    """Write what `overlay` returns as a PNG, one pixel a pixel of the picture, whole or not at all.

    Raises:
        InputError: The picture is not an array of pixels, or the box is outside it.
        EnvironmentFault: It cannot be written there.
    """
    over = Image.fromarray(overlay(picture, values, box=box, scale=scale))
    with write_atomically(path) as temporary:
        over.save(temporary, format="PNG", compress_level=3)
    return path


def short(value: float, digits: int = 2) -> str:
    """Return a number with so many significant digits, without an exponent where it needs none: 120, 0.03."""
    return f"{float(f'{value:.{digits}g}'):.15g}"


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


def reduced(picture: NDArray[np.uint8], box: Box, limit: int) -> tuple[NDArray[np.uint8], Box]:
    """Return a picture of at most `limit` pixels a side and its box: print shows no more, and takes as long.

    Each pixel is the mean of what it covers; a smaller picture is returned as it is.
    """
    height, width = picture.shape[:2]
    share = limit / max(height, width)
    if share >= 1:
        return picture, box
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    left, right = (
        min(edge * size[0] / width, size[0]) for edge in (box[0], box[2])
    )  # rounding may exceed it
    top, bottom = (min(edge * size[1] / height, size[1]) for edge in (box[1], box[3]))
    return small, (left, top, right, bottom)


def enlarged(values: NDArray[np.floating], *, width: int, height: int) -> NDArray[np.float32]:
    """Return a map resized bilinearly, pixel centres half a pixel from the edge."""
    grid = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
