"""Position embeddings: a grid of grids of their similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.figures.lettering import plain, shorten
from vitscope.figures.overlay import COLOURS
from vitscope.figures.style import LIGHT, figure_width, new_figure, owner, points, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.records.positions import PositionSimilarity

__all__ = ["draw_position_similarity"]

_MOST = 14  # patches each way that have a panel
_SIDE = 3.4  # inches of the grid's longer side


@styled
def draw_position_similarity(similarity: PositionSimilarity, *, ax: Axes | None = None) -> Figure:
    """Draw the cosine of each patch's position embedding with every other's, as a grid of grids.

    The panel in a row and column is of the patch in that row and column; in it stands the cosine with every
    patch, at that patch's place. All panels have one scale, from the least cosine of all to 1. Of grids of
    more than 14 patches a side, evenly spaced patches have a panel, which the axes name.

    *Source*: the form is that of Dosovitskiy et al. 2021, arXiv 2010.11929, Fig. 7 centre.

    Args:
        similarity: What `vitscope.explain.positions.position_similarity` returns.
        ax: Axes to draw on; without them a figure is made.

    Returns:
        The figure drawn on.
    """
    rows, columns = similarity.grid
    down, across = (_chosen(side) for side in (rows, columns))
    picture = _assembled(similarity.values[np.ix_(down, across)])
    if ax is None:
        height, width = picture.shape
        scale = min(_SIDE, figure_width() - 1.5) / max(height, width)
        ax = new_figure(height * scale + 0.75, width=max(width * scale, 1.6) + 1.5).subplots()
    low = float(np.nanmin(similarity.values)) if np.isfinite(similarity.values).any() else 0.0
    drawn = ax.imshow(
        np.ma.masked_invalid(picture),
        cmap=COLOURS.with_extremes(bad="white"),
        vmin=min(low, 0.999),
        vmax=1,
        interpolation="none",
    )
    _label(ax, down, across, rows=rows, columns=columns)
    bar = owner(ax).colorbar(drawn, ax=ax, fraction=0.05, pad=0.03, aspect=30)
    bar.outline.set_visible(False)
    bar.set_label("Cosine similarity", fontsize=points(7.5))
    plain(
        [ax.set_title(shorten(similarity.name, 72 * (figure_width() - 1.0), size=7.5), fontsize=points(7.5))]
    )
    return owner(ax)


def _chosen(side: int) -> NDArray[np.intp]:
    """Return which of so many patches have a panel."""
    return np.unique(np.linspace(0, side - 1, min(side, _MOST)).round().astype(np.intp))


def _assembled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the panels `[row, column, row, column]` side by side, NaN between them."""
    down, across, rows, columns = values.shape
    gap = max(1, round(max(rows, columns) / 10))
    sheet = np.full((down * (rows + gap) - gap, across * (columns + gap) - gap), np.nan)
    for row in range(down):
        for column in range(across):
            top, left = row * (rows + gap), column * (columns + gap)
            # An embedding of zeros has no cosine: its panel is pale, not empty.
            sheet[top : top + rows, left : left + columns] = values[row, column]
    return sheet


def _label(ax: Axes, down: NDArray[np.intp], across: NDArray[np.intp], *, rows: int, columns: int) -> None:
    gap = max(1, round(max(rows, columns) / 10))
    ax.set_yticks([place * (rows + gap) + (rows - 1) / 2 for place in range(len(down))], down + 1)
    ax.set_xticks([place * (columns + gap) + (columns - 1) / 2 for place in range(len(across))], across + 1)
    ax.tick_params(length=0, labelsize=points(6.5))
    ax.spines[:].set_visible(False)
    ax.set(xlabel="Patch column", ylabel="Patch row", facecolor=LIGHT)
