"""The pointing game: whether a map is highest where the thing is that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["pointing_hits", "points_at"]


def points_at(maps: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the pixel at which each map is highest, `[image, 2]` as row and column.

    It is the middle of the highest cell of the map's own grid; of equal cells the first in reading order
    counts. An enlarged map would not do: interpolation lowers a peak inside the image more than one at its
    border, where there is nothing to mix it with, and noise would point at the border too often.

    Args:
        maps: `[image, row, column]`.
        size: Rows and columns of the image.
    """
    grid = np.array(maps.shape[1:])
    best = maps.reshape(len(maps), -1).argmax(axis=1)
    cells = np.stack(np.unravel_index(best, maps.shape[1:]), axis=1)
    return np.asarray((2 * cells + 1) * np.array(size) // (2 * grid))


def pointing_hits(
    maps: NDArray[np.floating], boxes: NDArray[np.integer], size: tuple[int, int], *, tolerance: int = 0
) -> NDArray[np.bool_]:
    """Return whether each map is highest within its image's box, or at most so many pixels away from it.

    A map without differences points nowhere, which is a miss.

    *Source*: Zhang et al. 2016, arXiv 1608.00507, section 4.2, with a box for each image's object.
    *Differs*: no tolerance unless asked for; theirs is 15 pixels at the images' own size.

    Args:
        maps: `[image, row, column]`, on any grid.
        boxes: `[image, 4]`, left, top, right and bottom in pixels, right and bottom exclusive.
        size: Rows and columns of the image.
        tolerance: Pixels by which each box is larger on every side.

    Returns:
        `[image]`.

    Raises:
        InputError: There is not one box an image, or the tolerance is negative.
    """
    if boxes.shape != (len(maps), 4) or tolerance < 0:
        raise InputError(
            f"expected {len(maps)} boxes [left, top, right, bottom] and a tolerance of at least 0, "
            f"got {list(boxes.shape)} and {tolerance}"
        )
    row, column = points_at(maps, size).T
    left, top, right, bottom = boxes.T
    down = (top - tolerance <= row) & (row < bottom + tolerance)
    across = (left - tolerance <= column) & (column < right + tolerance)
    varied = np.ptp(maps.reshape(len(maps), -1), axis=1) > 0
    return np.asarray(down & across & varied)
