"""Numbers in the cells of a confusion matrix of few classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.figures.lettering import text_width
from vitscope.figures.style import contrasting, current_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from vitscope.analysis.confusion import Confusion
    from vitscope.analysis.ordering import ClassOrder

__all__ = ["MOST_WRITTEN", "least_cell", "write_cells"]

MOST_WRITTEN = 20
"""Classes up to which a cell holds a number at all."""

_BOTH = 10  # classes up to which a cell holds the share and the count
_FILLED = 0.95  # of a cell's width is for letters
_LETTERS = 6.0  # points, the least size of a number in a cell


def least_cell(count: int, *, alone: bool = False) -> float:
    """Return the points that a cell needs for what is written in it, or for the share alone."""
    if count > MOST_WRITTEN:
        return 0.0
    return text_width("100.0%" if count <= _BOTH and not alone else "100", _LETTERS) / _FILLED


def write_cells(ax: Axes, image: AxesImage, result: Confusion, order: ClassOrder, *, cell: float) -> None:
    """Write shares and counts as large as cells of `cell` points allow, with rules between the cells.

    Without the room for both the share stands alone, and without that room nothing.
    """
    _rule(ax, len(result.classes))
    largest = f"{result.counts.max():,}"
    both = len(result.classes) <= _BOTH and _fitting(("100.0%", largest), cell) >= _LETTERS
    size = _fitting(("100.0%", largest) if both else ("100",), cell)
    if size < _LETTERS:
        return
    counts, shares = (table[np.ix_(order.order, order.order)] for table in (result.counts, result.shares))
    scale = current_style().venue.scale  # the size fits the cell, whatever most letters have
    for true, predicted in zip(*np.nonzero(counts), strict=True):
        share = shares[true, predicted]
        text = f"{100 * share:.1f}%\n{counts[true, predicted]:,}" if both else f"{100 * share:.0f}"
        colour = contrasting(image.to_rgba(np.array([share])).tolist()[0])
        cell_text = ax.text(predicted, true, text, ha="center", va="center", color=colour, size=scale * size)
        cell_text.set_in_layout(False)  # inside the axes: measuring each would double the time


def _rule(ax: Axes, count: int) -> None:
    """Draw thin white lines between the cells."""
    edges = np.arange(1, count) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.grid(which="minor", color="white", linewidth=0.6)
    ax.tick_params(which="minor", length=0)


def _fitting(lines: tuple[str, ...], cell: float) -> float:
    """Return the size at which the lines fit into a cell of `cell` points, at most 8."""
    widest = max(text_width(line, 1.0) for line in lines)
    return min(8.0, _FILLED * cell / widest, 0.8 * cell / (1.2 * len(lines)))
