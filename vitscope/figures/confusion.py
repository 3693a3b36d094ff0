"""The confusion matrix, each row as shares of its true class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator

from vitscope.figures.lettering import plain, shorten, text_width
from vitscope.figures.style import COLUMN_WIDTH, contrasting, new_figure, owner, sequential_map, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from vitscope.analysis.confusion import Confusion

__all__ = ["draw_confusion"]

_BOTH = 12  # classes up to which a cell holds the share and the count
_TEXT = 30  # classes up to which a cell holds a number at all
_NAMES = 60  # classes up to which every class is named
_PIXELS = 1000  # classes up to which a cell has a pixel of its own at 300 dpi
_LABEL = 76.0  # points that a class name may take
_MARGIN, _BAR = 28.0, 62.0  # points for the axis titles, and for the colour bar with its own


@styled
def draw_confusion(result: Confusion, *, ax: Axes | None = None) -> Figure:
    """Draw the row-normalised confusion matrix: true classes down, predicted classes across.

    Up to 12 classes a cell holds the share in per cent and the count, up to 30 the share alone, both only
    where images are; above 30 the colours follow the square root, so that rare confusions are seen. A class
    without images is a grey row.

    Args:
        result: What `confusion` returns.
        ax: Axes to draw on; without them a figure of column width is made, smaller for up to four classes.

    Returns:
        The figure drawn on.
    """
    count = len(result.classes)
    size = 7.0 if count <= 20 else 5.0
    names = [shorten(name, _LABEL, size=size) for name in result.classes] if count <= _NAMES else []
    longest = max((text_width(name, size) for name in names), default=20.0)
    if ax is None:
        width = COLUMN_WIDTH if count > 4 else 3.4
        side = 72 * width - longest - _MARGIN - _BAR
        below = 10 if not names or longest < 0.9 * side / count else longest
        ax = new_figure((side + _MARGIN + below) / 72, width=width).subplots()
    else:
        box, place = ax.get_position(), owner(ax)
        side = 72 * min(box.width * place.get_figwidth() - _BAR / 72, box.height * place.get_figheight())
    cell = side / count
    image = ax.imshow(
        np.ma.masked_invalid(result.shares),
        cmap=sequential_map(),
        norm=PowerNorm(1.0 if count <= _TEXT else 0.5, vmin=0, vmax=1),
        interpolation="nearest" if count <= _PIXELS else "antialiased",
    )
    _label(ax, names, size=size, upright=longest < 0.9 * cell)
    if count <= _TEXT:
        _rule(ax, count)
        _write_cells(ax, image, result, cell=cell)
    _add_bar(ax, image)
    return owner(ax)


def _label(ax: Axes, names: list[str], *, size: float, upright: bool) -> None:
    """Name every class, or number the axes where there are too many."""
    for axis, title in ((ax.xaxis, "Predicted class"), (ax.yaxis, "True class")):
        axis.set_label_text(title if names else f"{title} (index)")
        if names:
            axis.set_ticks(range(len(names)), names)
            axis.set_tick_params(length=0, labelsize=size)
            plain(axis.get_ticklabels())
        else:
            axis.set_major_locator(MaxNLocator(6, integer=True))
    ax.tick_params(axis="x", labelrotation=0 if upright or not names else 90)


def _rule(ax: Axes, count: int) -> None:
    """Draw thin white lines between the cells."""
    edges = np.arange(1, count) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.grid(which="minor", color="white", linewidth=0.6)
    ax.tick_params(which="minor", length=0)


def _write_cells(ax: Axes, image: AxesImage, result: Confusion, *, cell: float) -> None:
    """Write the numbers as large as the cell of `cell` points allows, in black or white."""
    both = len(result.classes) <= _BOTH
    longest = max(("100.0%", f"{result.counts.max():,}") if both else ("100",), key=len)
    size = min(8.0, 0.9 * cell / text_width(longest, 1.0), 0.8 * cell / (2.4 if both else 1.2))
    for true, predicted in zip(*np.nonzero(result.counts), strict=True):
        share, number = result.shares[true, predicted], result.counts[true, predicted]
        text = f"{100 * share:.1f}%\n{number:,}" if both else f"{100 * share:.0f}"
        colour = contrasting(image.to_rgba(np.array([share])).tolist()[0])
        cell_text = ax.text(predicted, true, text, ha="center", va="center", color=colour, size=size)
        cell_text.set_in_layout(False)  # inside the axes: measuring each would double the time


def _add_bar(ax: Axes, image: AxesImage) -> None:
    for spine in ax.spines.values():
        spine.set_visible(True)
    bar = owner(ax).colorbar(image, ax=ax, shrink=0.8, aspect=25, pad=0.02)
    bar.set_label("Share of the true class (%)")
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    bar.outline.set_linewidth(0.6)
