"""A montage: pictures and lines of text placed on a figure in inches, no picture ever distorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from vitscope.errors import ImageError, InputError
from vitscope.figures.lettering import shorten, text_width
from vitscope.figures.style import BLACK, GREY, LIGHT, figure_width, new_figure, points

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Images = Sequence[NDArray[np.uint8]] | NDArray[np.uint8] | Callable[[int], NDArray[np.uint8]]

__all__ = ["Box", "Sheet", "picture_at"]

Box = tuple[float, float, float, float]
"""Left and top edge, width and height, in inches from the figure's upper left corner."""

_DENSITY = 300  # pixels an inch in print: of larger pictures no more are kept
_SLIMMEST = 0.07  # inches that a picture's shorter side has at least
_LONGEST = 10.0  # times its shorter side that a picture is long at most
_NOTE = 6.0  # points
_TIMES = "\N{MULTIPLICATION SIGN}"


def picture_at(images: Images, index: int) -> NDArray[np.uint8] | None:
    """Return one image as uint8 `[row, column]` or `[row, column, 3]`; None where its file cannot be read.

    Raises:
        InputError: It is not uint8, grey or RGB.
    """
    try:
        pixels = np.asarray(images(index) if callable(images) else images[index])
    except (ImageError, OSError):
        return None  # a figure says so in its place: the numbers beside it are whole
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype != np.uint8 or not pixels.size or (pixels.ndim != 2 and pixels.shape[2:] != (3,)):
        raise InputError(
            f"expected image {index} as uint8 [row, column] or [row, column, 3], "
            f"got {pixels.dtype} {list(pixels.shape)}"
        )
    return pixels


class Sheet:
    """A figure with one pair of axes over all of it, in inches from the upper left corner.

    Many small axes would take ten times as long to draw.

    Args:
        height: Inches, as everywhere on it of a figure with letters of 8 points: on a slide all is larger.
        width: The same; as wide as the style says where it is left out.
    """

    def __init__(self, height: float, *, width: float | None = None) -> None:
        width = figure_width() if width is None else min(width, figure_width())
        self.figure: Figure = new_figure(height, width=width)
        self.figure.set_layout_engine(None)  # every place is given; another engine would draw twice
        self.figure.suppressComposite = True  # else a PDF has all pictures as one, without their sizes
        self.ax = self.figure.add_axes((0, 0, 1, 1))
        self.ax.set_axis_off()
        self.ax.set(xlim=(0, width), ylim=(height, 0))

    def text(self, x: float, y: float, line: str, *, width: float = np.inf, **style: Any) -> None:  # noqa: ANN401
        """Write one line at a place, cut to `width` inches; `style` is of matplotlib's text."""
        style = {"size": 7.0, "color": BLACK, "ha": "left", "va": "center", **style}
        line = shorten(line, 72 * width, size=style["size"])
        self.ax.text(x, y, line, **(style | {"size": points(style["size"])}))

    def picture(self, pixels: NDArray[np.uint8] | None, box: Box, *, colour: str) -> None:
        """Draw a picture in a frame, as large as fits, on the lower edge of the box.

        A picture more than ten times as long as wide, or too slim to be seen, loses its middle: both ends
        are shown with a break between them, and its size is written beside. Where there is no picture the
        box says so.
        """
        if pixels is None:
            self._missing(box)
            return
        left, top, width, height = box
        limit = min(_LONGEST, max(1.0, max(width, height) / _SLIMMEST))
        shown, gap = _without_middle(pixels, limit)
        down, across = shown.shape[:2]
        scale = min(width / across, height / down)
        # A tall picture that lost its middle stands on the left, so that its size has room on the right.
        slack = width - across * scale
        x = left if gap and down > across else left + slack / 2
        y = top + height - down * scale
        self._image(shown, (x, y, across * scale, down * scale))
        frame = Rectangle((x, y), across * scale, down * scale, fill=False, edgecolor=colour, linewidth=1.2)
        self.ax.add_patch(frame)
        if gap:
            self._break((x, y, across * scale, down * scale), gap=gap * scale)
            self._size_note(pixels, box, (x, y, across * scale, down * scale))

    def _image(self, pixels: NDArray[np.uint8], place: Box) -> None:
        x, y, width, height = place
        # Without interpolation a PDF holds these pixels as they are, resampled neither here nor there.
        image = AxesImage(self.ax, interpolation="none", extent=(x, x + width, y + height, y))
        image.set_data(_printed(pixels, width, height))
        self.ax.add_image(image)

    def _break(self, place: Box, *, gap: float) -> None:
        """Draw a slanted stroke on both sides of the gap in the middle of a picture."""
        x, y, width, height = place
        over = 0.02  # inches that a stroke reaches beyond the picture on both sides
        for side in (-0.5, 0.5):
            if width >= height:
                middle = x + width / 2 + side * gap
                ends = ([middle - gap / 4, middle + gap / 4], [y + height + over, y - over])
            else:
                middle = y + height / 2 + side * gap
                ends = ([x - over, x + width + over], [middle + gap / 4, middle - gap / 4])
            self.ax.add_line(Line2D(*ends, color=BLACK, linewidth=0.8, solid_capstyle="butt"))

    def _size_note(self, pixels: NDArray[np.uint8], box: Box, place: Box) -> None:
        """Write a cut picture's whole size above it or to its right, where there is room."""
        left, _, width, _ = box
        x, y, across, down = place
        beside = down > across
        room = width - across - 0.05 if beside else width
        size = f"{pixels.shape[1]:,}{_TIMES}{pixels.shape[0]:,}"
        for note in (f"{size} px, middle cut", f"{size} px, cut", f"{size} cut", size):
            if text_width(note, _NOTE) <= 72 * room:
                at = (x + across + 0.05, y + down / 2) if beside else (left + width / 2, y - 0.06)
                ha, va = ("left", "center") if beside else ("center", "bottom")
                self.text(*at, note, size=_NOTE, color=GREY, ha=ha, va=va)
                return

    def _missing(self, box: Box) -> None:
        left, top, width, height = box
        patch = Rectangle((left, top), width, height, facecolor=LIGHT, edgecolor=GREY, linewidth=0.6)
        patch.set_linestyle((0, (3, 2)))
        self.ax.add_patch(patch)
        lines = ("cannot be read",) if 72 * width > 50 else ("cannot", "be read")
        for number, line in enumerate(lines):
            y = top + height / 2 + (number - (len(lines) - 1) / 2) * 0.1
            self.text(left + width / 2, y, line, size=_NOTE, color=BLACK, ha="center")


def _without_middle(pixels: NDArray[np.uint8], limit: float) -> tuple[NDArray[np.uint8], int]:
    """Return the picture at most `limit` times as long as wide, and the pixels of the white gap in it."""
    down, across = pixels.shape[:2]
    short, long = min(down, across), max(down, across)
    if long <= limit * short:
        return pixels, 0
    axis = 0 if down > across else 1
    gap = max(1, round(0.5 * short))
    end = max(1, int(limit * short - gap) // 2)
    shape = list(pixels.shape)
    shape[axis] = gap
    parts = np.split(pixels, [end, long - end], axis=axis)
    return np.concatenate([parts[0], np.full(shape, 255, np.uint8), parts[2]], axis=axis), gap


def _printed(pixels: NDArray[np.uint8], width: float, height: float) -> NDArray[np.uint8]:
    """Return RGB pixels as fine as print at a size in inches.

    A large picture is reduced, each pixel the mean of what it covers; the pixels of a small one become
    squares, since many viewers would blur them.
    """
    size = (max(1, round(width * _DENSITY)), max(1, round(height * _DENSITY)))
    if pixels.shape[1] > 1.5 * size[0] or pixels.shape[0] > 1.5 * size[1]:
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    times = max(1, size[0] // pixels.shape[1])
    pixels = pixels.repeat(times, axis=0).repeat(times, axis=1)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
