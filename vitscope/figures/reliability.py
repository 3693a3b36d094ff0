"""The reliability diagram: accuracy against confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from vitscope.figures.style import BLUE, GREY, LIGHT, VERMILLION, new_figure, owner, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.analysis.calibration import Reliability

__all__ = ["draw_reliability"]

_WIDTH, _HEIGHT, _SIDE = 3.4, 4.35, 2.7  # inches: of the figure, and of the square diagram
_GAP = 5.0  # points: the width of a gap's bar


@styled
def draw_reliability(result: Reliability, *, ax: Axes | None = None) -> Figure:
    """Draw accuracy over confidence in bins, with Wilson 95 % intervals, gaps to the diagonal, and counts.

    A point stands at the mean confidence of its bin; the bar from it to the diagonal is the gap, whose mean
    weighted by the counts is the ECE. Below the diagonal the model is overconfident.

    Args:
        result: What `reliability` returns.
        ax: Axes to draw the diagram on, without the counts; without them a figure with both is made.

    Returns:
        The figure drawn on.
    """
    if ax is not None:
        _diagram(ax, result)
        ax.set_xlabel("Confidence")
        ax.legend(loc="best", handlelength=1.6)
        return owner(ax)
    figure = new_figure(_HEIGHT, width=_WIDTH)
    figure.set_layout_engine("none")
    diagram, counts = _place(figure, _SIDE, bottom=_HEIGHT - 0.42 - _SIDE), _place(figure, 0.65, bottom=0.42)
    _diagram(diagram, result)
    diagram.tick_params(labelbottom=False)
    _counts(counts, result)
    figure.legend(
        *diagram.get_legend_handles_labels(),
        loc="upper center",
        borderaxespad=0.2,
        ncols=3,
        handlelength=1.5,
        handletextpad=0.5,
        columnspacing=1.0,
    )
    return figure


def _place(figure: Figure, height: float, *, bottom: float) -> Axes:
    """Add axes as wide as the diagram, in inches from the figure's lower edge."""
    left = _WIDTH - _SIDE - 0.12
    return figure.add_axes((left / _WIDTH, bottom / _HEIGHT, _SIDE / _WIDTH, height / _HEIGHT))


def _diagram(ax: Axes, result: Reliability) -> None:
    full = result.count > 0
    x, y = result.confidence[full], result.accuracy[full]
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), label="calibrated", zorder=1)
    low, high = np.minimum(x, y), np.maximum(x, y)
    ax.vlines(x, low, high, color=VERMILLION, alpha=0.35, linewidth=_GAP, label="gap", zorder=2)
    # The interval of a share of 0 or 1 is on one side only, where rounding could make a length negative.
    whiskers = np.abs(result.interval[full].T - y)
    ax.errorbar(
        x,
        y,
        yerr=whiskers,
        fmt="o",
        color=BLUE,
        markersize=4,
        markeredgewidth=0,
        elinewidth=1.0,
        label="accuracy, 95 % interval",
        zorder=3,
        clip_on=False,
    )
    ax.set(xlim=(0, 1), ylim=(0, 1), ylabel="Accuracy", aspect="equal")
    ax.grid(color=LIGHT, linewidth=0.5)
    ax.set_title(f"ECE {result.ece:.4f} ({result.bins} bins, n = {result.n:,})", size=8)


def _counts(ax: Axes, result: Reliability) -> None:
    width = np.diff(result.edges)
    ax.bar(result.edges[:-1], result.count, width, align="edge", color=BLUE, edgecolor="white", linewidth=0.5)
    ax.set(xlabel="Confidence", ylabel="Images", xlim=(0, 1))
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
