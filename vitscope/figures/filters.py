"""First-layer filters, as the pictures that they answer to most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.figures.arrangement import page_height
from vitscope.figures.lettering import folded, shorten, text_width
from vitscope.figures.montage import Sheet
from vitscope.figures.ramp import place_pixels
from vitscope.figures.style import GREY, figure_width, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.records.filters import Filters

__all__ = ["draw_filters"]

_MOST = 128  # kernels that are drawn
_EDGE, _TOP, _FOOT = 0.08, 0.3, 0.28  # inches
_LABEL, _SPACE, _LINE = 0.15, 0.05, 0.13
_LARGEST = 0.7


@styled
def draw_filters(filters: Filters) -> Figure:
    """Draw the kernels of the first layer, or their principal components, a picture each in one scale.

    Mid-grey is 0; a channel is brighter where its weight is positive. The largest magnitude of all filters is
    full black or white, so that strong and weak filters can be compared. Components are in the order of the
    variance that they explain, which stands above each. Of more than 128 kernels the first are drawn.

    Args:
        filters: What `vitscope.explain.filters.first_filters` returns.

    Returns:
        A new figure of column width.
    """
    shown = filters.values[:_MOST]
    columns = min(len(shown), int(figure_width() / (0.78 if filters.kind == "components" else 0.34)))
    rows = -(-len(shown) // columns)
    label = _LABEL if filters.variance is not None else 0.0
    high, wide = shown.shape[1:3]
    tallest = min(_LARGEST, (page_height() - _TOP - _LINE - _FOOT) / rows - label - _SPACE)
    room = (figure_width() - 2 * _EDGE + _SPACE) / columns - _SPACE
    width = min(room, _LARGEST, tallest * wide / high)
    height = width * high / wide
    title = _title(filters, len(shown))
    head = _TOP + _LINE * (len(title) - 1)
    foot = head + rows * (height + label + _SPACE)
    sheet = Sheet(foot + _FOOT)
    left = (figure_width() - columns * (width + _SPACE) + _SPACE) / 2
    largest = float(np.abs(filters.values).max())
    for place, values in enumerate(shown):
        row, column = divmod(place, columns)
        x, y = left + column * (width + _SPACE), head + row * (height + label + _SPACE)
        if filters.variance is not None:
            share = f"{100 * filters.variance[place]:.1f} %"
            sheet.text(x + width / 2, y + label / 2, share, size=6, color=GREY, ha="center")
        place_pixels(sheet.ax, _pixels(values, largest), (x, y + label, width, height))
    middle = figure_width() / 2
    for number, line in enumerate(title):
        sheet.text(middle, _TOP / 2 + _LINE * number, line, size=8, ha="center")
    note = f"one scale: grey is 0, black and white are \N{PLUS-MINUS SIGN}{largest:.2g}"
    sheet.text(middle, foot + _FOOT / 2, note, size=7, color=GREY, ha="center")
    return sheet.figure


def _pixels(values: NDArray[np.float64], largest: float) -> NDArray[np.uint8]:
    """Return one filter as RGB pixels, 0 at mid-grey."""
    levels = np.rint(127.5 * (1 + values / (largest or 1))).astype(np.uint8)
    return np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else levels


def _title(filters: Filters, shown: int) -> list[str]:
    """Return one line or two; of what is said only the layer's name may be cut."""
    if filters.variance is None:
        count = (
            f"{filters.total} kernels" if shown == filters.total else f"{shown} of {filters.total} kernels"
        )
        before, after = f"{count} of ", ""
    else:
        share = f"{100 * filters.variance.sum():.0f} %"
        before, after = (
            f"{shown} principal components of ",
            f"'s {filters.total} kernels: {share} of the variance",
        )
    room = 72 * (figure_width() - 0.2)
    # On two lines one of them holds the name and what stands before it or after it.
    beside = max(text_width(part, 8) for part in (before, after.partition(":")[0]))
    return folded(f"{before}{shorten(filters.name, room - beside, size=8)}{after}", room, size=8)
