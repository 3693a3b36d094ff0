"""Arrangement: panels, legends and titles that fit the width there is, in letters as large as ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.figures.lettering import folded, printable, text_width
from vitscope.figures.style import current_style, figure_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

__all__ = ["folded_title", "inches", "legend_columns", "narrow", "page_height"]

_NARROW = 4.5  # inches under which two panels with axes do not stand side by side
_HANDLE = 38.0  # points of a legend's handle and of the space around an entry


def narrow() -> bool:
    """Return whether panels stand below each other, as in one of two columns."""
    return figure_width() < _NARROW


def page_height() -> float:
    """Return the inches of a figure with letters of 8 points that stays on a page, or on a slide."""
    venue = current_style().venue
    return venue.height / venue.scale


def inches(figure: Figure) -> tuple[float, float]:
    """Return a figure's width and height in inches of a figure with letters of 8 points."""
    width, height = figure.get_size_inches()
    scale = current_style().venue.scale
    return float(width) / scale, float(height) / scale


def legend_columns(labels: Sequence[str], most: int, *, size: float = 7.0) -> int:
    """Return in how many columns a legend as wide as the figure has its entries, at least one.

    Args:
        labels: What the entries say; entries fill the first column first.
        most: No more columns than this.
        size: Points of its letters.
    """
    room = 72 * figure_width() - 10
    widths = [text_width(printable(label), size) + _HANDLE for label in labels]
    for columns in range(min(most, len(widths)), 1, -1):
        # As matplotlib does: the first columns have one more, where they cannot be alike.
        if sum(part.max() for part in np.array_split(np.array(widths), columns)) <= room:
            return columns
    return 1


def folded_title(text: str, width: float, *, size: float) -> str:
    """Return a text in as many lines as it needs to be `width` inches wide at most, two per line given."""
    return "\n".join(line for given in text.split("\n") for line in folded(given, 72 * width, size=size))
