"""First-layer filters, as the pictures that they answer to most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
_LABEL, _SPACE = 0.15, 0.05
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
    room = (figure_width() - 2 * _EDGE + _SPACE) / columns - _SPACE
    high, wide = shown.shape[1:3]
    width = min(room, _LARGEST, _LARGEST * wide / high)
    height = width * high / wide
    sheet = Sheet(_TOP + rows * (height + label + _SPACE) + _FOOT)
    left = (figure_width() - columns * (width + _SPACE) + _SPACE) / 2
    largest = float(np.abs(filters.values).max())
    for place, values in enumerate(shown):
        row, column = divmod(place, columns)
        x, y = left + column * (width + _SPACE), _TOP + row * (height + label + _SPACE)
        if filters.variance is not None:
            share = f"{100 * filters.variance[place]:.1f} %"
            sheet.text(x + width / 2, y + label / 2, share, size=6, color=GREY, ha="center")
        place_pixels(sheet.ax, _pixels(values, largest), (x, y + label, width, height))
    middle = figure_width() / 2
    sheet.text(middle, _TOP / 2, _title(filters, len(shown)), size=8, ha="center", width=figure_width() - 0.2)
    note = f"one scale: grey is 0, black and white are \N{PLUS-MINUS SIGN}{largest:.2g}"
    sheet.text(middle, sheet.figure.get_figheight() - _FOOT / 2, note, size=7, color=GREY, ha="center")
    return sheet.figure


def _pixels(values: NDArray[np.float64], largest: float) -> NDArray[np.uint8]:
    """Return one filter as RGB pixels, 0 at mid-grey."""
    levels = np.rint(127.5 * (1 + values / (largest or 1))).astype(np.uint8)
    return np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else levels


def _title(filters: Filters, shown: int) -> str:
    if filters.variance is None:
        count = (
            f"{filters.total} kernels" if shown == filters.total else f"{shown} of {filters.total} kernels"
        )
        return f"{count} of {filters.name}"
    share = f"{100 * filters.variance.sum():.0f} %"
    return (
        f"{shown} principal components of {filters.name}'s {filters.total} kernels: {share} of the variance"
    )
