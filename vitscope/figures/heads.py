"""What heads do: a dot a head, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from vitscope.figures.arrangement import narrow
from vitscope.figures.layer_names import label_layers
from vitscope.figures.style import (
    BLUE,
    GREY,
    LIGHT,
    VERMILLION,
    figure_width,
    new_figure,
    panel_letters,
    points,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.records.heads import HeadStatistics

__all__ = ["draw_head_statistics"]

_SHOWN = {
    "entropy": "Entropy, all queries (nats)",
    "class_entropy": "Entropy, class token (nats)",
    "pixel_distance": "Mean distance (pixels)",
}
_NORMAL = 1.96  # standard errors either side in a 95 % interval
_SPREAD = 0.3  # of a layer's width over which its heads are laid out


@styled
def draw_head_statistics(statistics: HeadStatistics, *, figure: Figure | None = None) -> Figure:
    """Draw entropy and mean attention distance of every head: layers across, a dot a head.

    The line joins the layers' means over their heads; a dot's bar is its 95 % interval over images, mostly
    smaller than the dot. The dashed line is what uniform attention would have.

    *Source*: the form is that of Dosovitskiy et al. 2021, arXiv 2010.11929, Fig. 7 right.

    Args:
        statistics: What `vitscope.explain.heads.head_statistics` returns.
        figure: An empty figure to draw on; without it one of column width is made.

    Returns:
        The figure drawn on.
    """
    shown = [name for name in _SHOWN if name in statistics.means]
    across = 1 if narrow() else len(shown)
    down = len(shown) // across
    figure = figure or new_figure(0.35 + 1.9 * down)
    axes = np.atleast_1d(figure.subplots(down, across))
    pitch = 72 * (figure_width() / across - 0.6) / len(statistics.layers)
    for ax, name in zip(axes, shown, strict=True):
        _dots(ax, statistics, name)
        kind = label_layers(ax.xaxis, statistics.layers, pitch=pitch)
        ax.set_xlabel(kind, labelpad=2)
        ax.set_title(_SHOWN[name], fontsize=points(7.5), pad=4)
    heads = next(iter(statistics.means.values())).shape[1]
    counted = f"{statistics.images:,} images, {heads} head{'s' if heads > 1 else ''} a block"
    figure.supxlabel(f"{counted}; dashed: uniform attention", fontsize=points(7), color=GREY)
    panel_letters(list(axes))
    return figure


def _dots(ax: Axes, statistics: HeadStatistics, name: str) -> None:
    means, errors = statistics.means[name], statistics.errors[name]
    layers, heads = means.shape
    # Heads of equal value would hide each other in one column.
    aside = np.linspace(-_SPREAD, _SPREAD, heads) if heads > 1 else np.zeros(1)
    places = np.arange(layers)[:, None] + aside
    ax.axhline(statistics.uniform(name), color=GREY, linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
    known = np.isfinite(means)
    if known.any(axis=1).all():
        ax.plot(np.arange(layers), np.nanmean(means, axis=1), color=VERMILLION, linewidth=0.9, zorder=1)
    bars = np.where(np.isfinite(errors), _NORMAL * errors, 0)
    ax.errorbar(
        places[known], means[known], yerr=bars[known], fmt="none", ecolor=BLUE, elinewidth=0.6, zorder=2
    )
    size = 3.6 if layers * heads <= 72 else 2.4
    ax.plot(places[known], means[known], "o", color=BLUE, markersize=size, markeredgewidth=0, zorder=3)
    ax.set_xlim(-0.6, layers - 0.4)
    highest = max(statistics.uniform(name), float(np.nanmax(means[known] + bars[known], initial=0)))
    ax.set_ylim(0, 1.06 * highest or 1)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.grid(axis="y", color=LIGHT, linewidth=0.5)
