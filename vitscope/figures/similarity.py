"""Layers compared: linear CKA as a heat map with layers along both axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.figures.layer_names import LONGEST, label_layers, short_names
from vitscope.figures.lettering import plain, shorten, text_width
from vitscope.figures.style import (
    contrasting,
    figure_width,
    new_figure,
    owner,
    points,
    sequential_map,
    styled,
)
from vitscope.figures.venues import SMALLEST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from vitscope.records.similarity import Similarity

__all__ = ["draw_similarity"]

_SIDE = 2.9  # inches of the longer side
_WRITTEN = 12  # layers up to which cells hold their number


@styled
def draw_similarity(similarity: Similarity, *, ax: Axes | None = None) -> Figure:
    """Draw the linear CKA of layers as a heat map: the first model upwards, the other to the right.

    The first layer is at the lower left. Colours run from 0 to 1 in every such figure; values below 0, which
    chance gives to unlike layers, have the colour of 0. Layers that give all images the same have no value
    and are grey.

    Args:
        similarity: What `vitscope.analysis.similarity.cka` returns.
        ax: Axes to draw on; without them a figure is made.

    Returns:
        The figure drawn on.
    """
    rows, columns = similarity.values.shape
    scale = min(_SIDE, figure_width() - 1.5) / max(rows, columns)
    if ax is None:
        below = _turned(similarity) / 72
        ax = new_figure(
            max(rows * scale, 0.8) + 0.6 + below, width=max(columns * scale, 0.8) + 1.5
        ).subplots()
    drawn = ax.imshow(
        np.ma.masked_invalid(similarity.values),
        cmap=sequential_map(),
        vmin=0,
        vmax=1,
        origin="lower",
        interpolation="none",
    )
    _axes(ax, similarity, scale=scale)
    size = min(7.0, 72 * scale / 2.5)
    if max(rows, columns) <= _WRITTEN and size >= SMALLEST:
        _write(ax, similarity, drawn, size=points(size))
    bar = owner(ax).colorbar(
        drawn, ax=ax, fraction=0.05, pad=0.03, aspect=25, ticks=[0, 0.5, 1], panchor=(1.0, 1.0)
    )
    bar.outline.set_visible(False)
    label = f"Linear CKA, {similarity.images:,} images"
    if text_width(label, 7.5) <= 72 * rows * scale:
        bar.set_label(label, fontsize=points(7.5))
    else:
        bar.ax.set_title("CKA", fontsize=points(7), loc="left")
    return owner(ax)


def _turned(similarity: Similarity) -> float:
    """Return the points that the names across need below the map."""
    names, kind = short_names(similarity.others)
    longest = max(text_width(shorten(name, LONGEST, size=6.5), 6.5) for name in names)
    return 10.0 if kind == "Block" else longest + 3


def _axes(ax: Axes, similarity: Similarity, *, scale: float) -> None:
    """Label both axes, whose layers are `scale` inches apart."""
    first, second = similarity.models
    down = label_layers(ax.yaxis, similarity.layers, pitch=72 * scale, turned=True)
    across = label_layers(ax.xaxis, similarity.others, pitch=72 * scale, turned=True)
    if across != "Block":
        ax.tick_params(axis="x", labelrotation=90)
    same = first == second
    rows, columns = similarity.values.shape
    # Across, a label may reach beyond a short axis: names and the colour bar are beside it.
    tall, wide = (72 * min(2.2, size) for size in (max(rows * scale, 0.55), max(columns * scale, 0.8) + 0.3))
    plain(
        [
            ax.set_ylabel(down if same or not first else shorten(f"{down} of {first}", tall, size=8)),
            ax.set_xlabel(across if same or not second else shorten(f"{across} of {second}", wide, size=8)),
        ]
    )
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _write(ax: Axes, similarity: Similarity, drawn: AxesImage, *, size: float) -> None:
    for (row, column), value in np.ndenumerate(similarity.values):
        if np.isfinite(value):
            colour = contrasting(drawn.to_rgba(np.array([value])).tolist()[0])
            text = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
            cell = ax.text(column, row, text, ha="center", va="center", color=colour, size=size)
            cell.set_in_layout(False)
