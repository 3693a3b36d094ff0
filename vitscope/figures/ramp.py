"""A ramp: the colours of a scale, drawn where there are no axes for a colour bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.image import AxesImage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from vitscope.figures.montage import Box, Sheet
    from vitscope.figures.overlay import Scale

__all__ = ["draw_ramp", "place_pixels"]

_SIZE = 6.5  # points


def draw_ramp(sheet: Sheet, scale: Scale, place: Box, ends: tuple[str, str]) -> None:
    """Draw the colours from the low end to the high one in a box of the sheet, and a text at both sides."""
    left, top, width, height = place
    ramp = scale.colours(np.linspace(0, 1, 256), bytes=True)[None, :, :3]
    place_pixels(sheet.ax, ramp, place)
    middle = top + height / 2
    sheet.text(left - 0.05, middle, ends[0], size=_SIZE, ha="right")
    sheet.text(left + width + 0.05, middle, ends[1], size=_SIZE)


def place_pixels(ax: Axes, pixels: NDArray[np.uint8], place: Box) -> None:
    """Show pixels as they are, uint8 `[row, column, 3]`, stretched to a box whose second axis points down."""
    left, top, width, height = place
    image = AxesImage(ax, interpolation="none", extent=(left, left + width, top + height, top))
    image.set_data(pixels)
    ax.add_image(image)
