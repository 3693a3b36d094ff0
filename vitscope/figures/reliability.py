"""The reliability diagram: accuracy against confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from vitscope.figures.arrangement import inches, legend_columns, narrow, page_height
from vitscope.figures.lettering import folded, shorten
from vitscope.figures.style import (
    BLUE,
    GREY,
    LIGHT,
    VERMILLION,
    figure_width,
    new_figure,
    owner,
    panel_letters,
    points,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.analysis.calibration import Reliability
    from vitscope.analysis.smoothing import SmoothCalibration

__all__ = ["draw_reliability", "draw_reliability_comparison"]

_LEFT, _RIGHT, _BOTTOM, _LINE = 0.58, 0.12, 0.42, 0.17  # inches around the axes, and of a line of text
_COUNTS, _GAP = 0.62, 0.14  # of the axes with the counts, and between both
_BETWEEN = 0.3  # of two diagrams
_SIDE = 2.7  # of the square diagram alone
_BAND = "#DADADA"


@styled
def draw_reliability(
    result: Reliability, *, smooth: SmoothCalibration | None = None, ax: Axes | None = None
) -> Figure:
    """Draw accuracy over confidence in bins, and where a calibrated model's bins would lie by chance.

    A point stands at the mean confidence of its bin, with the Wilson 95 % interval of its accuracy; a grey
    box is the bin's consistency band, in which 95 % of samples of a calibrated model would have it. Below the
    diagonal the model is overconfident; a point in its box may be chance.

    Args:
        result: What `reliability` returns.
        smooth: What `smooth_calibration` returns, to draw the smooth curve as well.
        ax: Axes to draw the diagram on, without the counts; without them a figure with both is made.

    Returns:
        The figure drawn on.
    """
    if ax is not None:
        _diagram(ax, result, smooth)
        ax.set_xlabel("Confidence")
        ax.set_title(_title(result, smooth), size=points(8))
        ax.legend(loc="best", handlelength=1.6)
        return owner(ax)
    lines = 3 if smooth is not None and narrow() else 2
    side = min(_SIDE, figure_width() - _LEFT - _RIGHT, page_height() - _height(0, lines=lines))
    figure = new_figure(_height(side, lines=lines), width=_LEFT + side + _RIGHT)
    figure.set_layout_engine("none")
    diagram, counts = _places(figure, side, left=_LEFT)
    _diagram(diagram, result, smooth)
    diagram.set_title(_title(result, smooth), size=points(8))
    _counts(counts, result)
    _legend(figure, diagram)
    return figure


@styled
def draw_reliability_comparison(
    before: Reliability,
    after: Reliability,
    *,
    smooth: tuple[SmoothCalibration, SmoothCalibration] | None = None,
    titles: tuple[str, str] = ("before", "after"),
) -> Figure:
    """Draw two reliability diagrams side by side on the same scales, as before and after temperature scaling.

    Args:
        before: What `reliability` returns of one model.
        after: Of the other, or of the same after scaling.
        smooth: What `smooth_calibration` returns of both.
        titles: What to call them.

    Returns:
        A figure of column width.
    """
    side = (figure_width() - _LEFT - _RIGHT - _BETWEEN) / 2
    curves = smooth or (None, None)
    heads = [
        [shorten(name, 72 * side, size=8), *folded(_title(result, curve), 72 * side, size=8)]
        for result, curve, name in zip((before, after), curves, titles, strict=True)
    ]
    # The legend has two lines where it is narrow.
    figure = new_figure(
        _height(side, lines=max(map(len, heads)) + (2 if narrow() else 1)), width=figure_width()
    )
    figure.set_layout_engine("none")
    letters: list[Axes] = []
    first: Axes | None = None
    for place, (result, curve, head) in enumerate(zip((before, after), curves, heads, strict=True)):
        diagram, counts = _places(figure, side, left=_LEFT + place * (side + _BETWEEN))
        _diagram(diagram, result, curve)
        diagram.set_title("\n".join(head), size=points(8), linespacing=1.3)
        letters.append(diagram)
        _counts(counts, result)
        counts.set_ylim(0, 1.05 * max(before.count.max(), after.count.max()))
        if first is not None:
            for axes in (diagram, counts):
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)
        first = first or diagram
    if first is not None:
        _legend(figure, first)
    panel_letters(letters, aside=narrow())
    return figure


def _height(side: float, *, lines: int) -> float:
    """Return the height of a figure with so many lines above its diagrams, the legend's too."""
    return _LINE * (lines + 0.6) + side + _GAP + _COUNTS + _BOTTOM


def _places(figure: Figure, side: float, *, left: float) -> tuple[Axes, Axes]:
    """Add square axes and, below them, as wide ones for the counts, in inches from the left edge."""
    width, height = inches(figure)
    places = ((_BOTTOM + _COUNTS + _GAP, side), (_BOTTOM, _COUNTS))
    diagram, counts = (
        figure.add_axes((left / width, low / height, side / width, tall / height)) for low, tall in places
    )
    diagram.tick_params(labelbottom=False)
    return diagram, counts


def _title(result: Reliability, smooth: SmoothCalibration | None) -> str:
    if smooth is None:
        return f"ECE {result.ece:.4f} ({result.bins} bins, n = {result.n:,})"
    return f"ECE {result.ece:.4f}, smooth ECE {smooth.smooth_ece:.4f}"


def _diagram(ax: Axes, result: Reliability, smooth: SmoothCalibration | None) -> None:
    full = result.count > 0
    low, high = result.band[full].T
    # A band of a single value, as of one image that is surely right, is a line and not nothing.
    ax.bar(
        result.edges[:-1][full],
        high - low,
        np.diff(result.edges)[full],
        low,
        align="edge",
        color=_BAND,
        edgecolor=_BAND,
        linewidth=0.8,
        label="calibrated, 95 %",
        zorder=1,
    )
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (4, 2)), label="diagonal", zorder=2)
    if smooth is not None:
        ax.plot(
            smooth.confidence,
            smooth.accuracy,
            color=VERMILLION,
            linewidth=1.2,
            label="smooth curve",
            zorder=3,
        )
    x, y = result.confidence[full], result.accuracy[full]
    # The interval of a share of 0 or 1 is on one side only, where rounding could make a length negative.
    ax.errorbar(
        x,
        y,
        yerr=np.abs(result.interval[full].T - y),
        fmt="o",
        color=BLUE,
        markersize=3.6 if result.bins <= 25 else 2.4,
        markeredgewidth=0,
        elinewidth=0.9,
        label="accuracy, 95 %",
        zorder=4,
        clip_on=False,
    )
    ax.set(xlim=(0, 1), ylim=(0, 1), ylabel="Accuracy", aspect="equal")
    ax.set_axisbelow(True)
    ax.grid(color=LIGHT, linewidth=0.5)


def _counts(ax: Axes, result: Reliability) -> None:
    width = np.diff(result.edges)
    ax.bar(result.edges[:-1], result.count, width, align="edge", color=BLUE, edgecolor="white", linewidth=0.5)
    ax.set(xlabel="Confidence", ylabel="Images", xlim=(0, 1))
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _legend(figure: Figure, diagram: Axes) -> None:
    handles, labels = diagram.get_legend_handles_labels()
    shown: Sequence[int] = [index for index, label in enumerate(labels) if label != "diagonal"]
    figure.legend(
        [handles[index] for index in shown],
        [labels[index] for index in shown],
        loc="upper center",
        borderaxespad=0.2,
        ncols=legend_columns([labels[index] for index in shown], 3),
        handlelength=1.5,
        handletextpad=0.5,
        columnspacing=1.0,
    )
