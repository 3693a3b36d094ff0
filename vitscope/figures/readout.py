"""What is readable where: the accuracy of frozen features by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.figures.arrangement import inches
from vitscope.figures.layer_names import label_layers
from vitscope.figures.style import BLUE, LIGHT, VERMILLION, new_figure, owner, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.records.embedding import LayerReadout

__all__ = ["draw_readout"]


@styled
def draw_readout(readout: LayerReadout, *, ax: Axes | None = None) -> Figure:
    """Draw the accuracy of nearest neighbours and of a linear probe by layer, with Wilson 95 % intervals.

    Args:
        readout: What `vitscope.embedding.readout.read_layers` returns.
        ax: Axes to draw on; without them a figure of column width is made.

    Returns:
        The figure drawn on.
    """
    ax = ax or new_figure(2.4).subplots()
    places = np.arange(len(readout.layers))
    kinds = (
        ("probe", "linear probe", BLUE, "o"),
        ("knn", f"{readout.neighbors} neighbours", VERMILLION, "s"),
    )
    for kind, label, colour, marker in kinds:
        ends = 100 * readout.intervals[kind]
        ax.fill_between(places, ends[:, 0], ends[:, 1], color=colour, alpha=0.18, linewidth=0)
        ax.plot(places, 100 * readout.accuracy(kind), marker=marker, markersize=3, color=colour, label=label)
    pitch = 72 * (inches(owner(ax))[0] - 0.7) / max(len(places), 1)
    ax.set_xlabel(label_layers(ax.xaxis, readout.layers, pitch=pitch))
    ax.set_ylabel(f"Accuracy (%), n = {readout.n:,}")
    ax.grid(axis="y", color=LIGHT, linewidth=0.5)
    # Above, where no curve is.
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return owner(ax)
