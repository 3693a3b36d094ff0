"""Open set: how far a model's scores of known images and of foreign ones lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from vitscope.figures.arrangement import narrow
from vitscope.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    new_figure,
    owner,
    panel_letters,
    points,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.analysis.openset import OpenSet, OpenSetScore

__all__ = ["draw_open_set"]

_NAMES = {
    "max_probability": "\N{MINUS SIGN}max. probability",
    "max_logit": "\N{MINUS SIGN}max. logit",
    "energy": "energy",
    "knn": "kNN distance",
}
_LEGEND: dict[str, Any] = {
    "title": "AUROC [95 % interval]",
    "handlelength": 2.2,
    "alignment": "left",
    "borderpad": 0.2,
}
_COLOURS = (BLUE, VERMILLION, GREEN, ORANGE)
_KINDS = (("known", BLUE, None), ("foreign", VERMILLION, "//////"))
_LINES = ("solid", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))


@styled
def draw_open_set(result: OpenSet, *, ax: Axes | None = None) -> Figure:
    """Draw the ROC curve of each score, foreign images positive, and its histograms of both kinds of images.

    Each histogram's bars sum to all images of their kind; what lies beyond the axis is in the outermost bars.
    Points on the curves stand where 95 % of the foreign images are found.

    Args:
        result: What `open_set` returns.
        ax: Axes for the curves alone; without them a figure of column width with the histograms is made.

    Returns:
        The figure drawn on.
    """
    if ax is not None:
        _curves(ax, result)
        ax.legend(loc="lower right", frameon=True, framealpha=0.85, edgecolor="none", **_LEGEND)
        return owner(ax)
    rows = len(result.scores)
    if narrow():
        figure = new_figure(3.6 + 0.14 * rows + 0.5 + 0.8 * rows)
        ratios = (3.6 + 0.14 * rows, 0.5 + 0.8 * rows)
        left, right = figure.subfigures(2, 1, height_ratios=ratios, squeeze=False)[:, 0]
    else:
        figure = new_figure(3.5 + 0.14 * rows)
        left, right = figure.subfigures(1, 2, width_ratios=(3.1, 2.4), squeeze=False)[0]
    curves = left.subplots()
    _curves(curves, result)
    left.legend(*curves.get_legend_handles_labels(), loc="outside lower center", **_LEGEND)
    places = right.subplots(rows, 1, squeeze=False)[:, 0]
    for place, score in zip(places, result.scores, strict=True):
        _histogram(place, score)
    places[-1].set_xlabel("Score (higher is more foreign)")
    right.supylabel("Share of images (%)", size=points(8))
    right.legend(handles=_kinds(), loc="outside upper center", ncols=2, handlelength=1.6)
    panel_letters([curves, *places])
    return figure


def _curves(ax: Axes, result: OpenSet) -> None:
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=1)
    ax.axhline(0.95, color=BLACK, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
    for score, colour, line in zip(result.scores, _COLOURS, _LINES, strict=False):
        low, high = score.auroc.interval
        text = f"{_NAMES[score.name]}: {score.auroc.value:.3f} [{low:.3f}, {high:.3f}]"
        curve = score.roc
        ax.plot(
            curve.false_positive_rate,
            curve.true_positive_rate,
            color=colour,
            linestyle=line,
            label=text,
            zorder=2,
        )
        ax.plot([score.fpr_foreign_positive], [0.95], "o", color=colour, markersize=3.5, zorder=3)
    ax.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
    ax.set(xlabel="Known images called foreign (%)", ylabel="Foreign images found (%)")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    ax.set_title(f"{result.n_known:,} known and {result.n_foreign:,} foreign images", size=points(8))


def _kinds() -> list[Patch]:
    return [
        Patch(facecolor=to_rgba(colour, 0.25), edgecolor=colour, hatch=hatch, label=label)
        for label, colour, hatch in _KINDS
    ]


def _histogram(ax: Axes, score: OpenSetScore) -> None:
    edges = score.edges
    for counts, (_, colour, hatch) in zip((score.known, score.foreign), _KINDS, strict=True):
        ax.stairs(counts / counts.sum(), edges, fill=True, color=colour, alpha=0.25, linewidth=0)
        ax.stairs(counts / counts.sum(), edges, color=colour, linewidth=0.9, hatch=hatch)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(0, 1.08 * max(float(np.max(side / side.sum())) for side in (score.known, score.foreign)))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_title(_NAMES[score.name], size=points(7), pad=2)
