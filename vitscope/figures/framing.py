"""Framing: of a picture too long for its place, the part around what the model saw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vitscope.figures.overlay import reduced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box

__all__ = ["as_fine", "framed", "with_room"]

_LONGEST = 4.0  # times its shorter side that a picture is long at most
_TIMES = "\N{MULTIPLICATION SIGN}"


def framed(picture: NDArray[np.uint8], box: Box) -> tuple[NDArray[np.uint8], Box, str]:
    """Return a picture at most four times as long as wide, its box there, and in words what was done to it.

    Of a longer one the part around the box is left: a map that is too slim to be seen explains nothing. Where
    the box itself is longer, as of a model that squeezes whole pictures into a square, what is left is
    stretched: each pixel is shown several times across.

    Args:
        picture: uint8 `[row, column]` or `[row, column, 3]`.
        box: What the model saw of it, in pixels.

    Returns:
        The picture and its box, and a note such as `part of 2,000×1 px`; empty where nothing was done.
    """
    height, width = picture.shape[:2]
    if max(height, width) <= _LONGEST * min(height, width):
        return picture, box, ""
    left, top, right, bottom = box
    note = f"{width:,}{_TIMES}{height:,} px"
    if width > height:
        start, end = _window(left, right, room=_LONGEST * height, length=width)
        picture, box = picture[:, start:end], (left - start, top, right - start, bottom)
    else:
        start, end = _window(top, bottom, room=_LONGEST * width, length=height)
        picture, box = picture[start:end], (left, top - start, right, bottom - start)
    if end - start < max(height, width):
        note = f"part of {note}"
    times = math.ceil((end - start) / (_LONGEST * min(height, width)))
    if times == 1:
        return picture, box, note
    left, top, right, bottom = box
    axis = 0 if width > height else 1
    down, across = (times, 1) if axis == 0 else (1, times)
    box = (left * across, top * down, right * across, bottom * down)
    return picture.repeat(times, axis=axis), box, f"{note}, stretched"


def with_room(
    picture: NDArray[np.uint8], box: Box, grid: tuple[int, ...], *, limit: int
) -> tuple[NDArray[np.uint8], Box]:
    """Return a picture with pixels for its map: each as several, where the box has fewer than the map's grid.

    Args:
        picture: uint8 `[row, column]` or `[row, column, 3]`.
        box: What the model saw of it, in pixels.
        grid: Rows and columns of the map.
        limit: Pixels that a side has at most.

    Returns:
        The picture and its box; as they are where there is room.
    """
    left, top, right, bottom = box
    finer = max(grid[1] / (right - left), grid[0] / (bottom - top))
    times = min(math.ceil(4 * finer), limit // max(picture.shape[:2]))
    if finer <= 1 or times <= 1:
        return picture, box
    box = (left * times, top * times, right * times, bottom * times)
    return picture.repeat(times, axis=0).repeat(times, axis=1), box


def as_fine(picture: NDArray[np.uint8], box: Box, fine: int) -> tuple[NDArray[np.uint8], Box]:
    """Return a picture and its box with about `fine` pixels: more of a map would not be seen in print."""
    left, top, right, bottom = box
    times = fine // max(picture.shape[:2])
    if times > 1:
        picture = picture.repeat(times, axis=0).repeat(times, axis=1)
        return picture, (left * times, top * times, right * times, bottom * times)
    return reduced(picture, box, round(1.33 * fine))


def _window(first: float, last: float, *, room: float, length: int) -> tuple[int, int]:
    """Return the pixels from `first` to `last` and as many around them as there is room for."""
    size = min(length, max(math.floor(room), math.ceil(last) - math.floor(first)))
    start = round((first + last - size) / 2)
    start = min(max(start, math.ceil(last) - size), math.floor(first))
    start = min(max(start, 0), length - size)
    return start, start + size
