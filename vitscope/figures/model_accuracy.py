"""Models' accuracies side by side, and how far each is from the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from vitscope.analysis.rounding import rounded_p
from vitscope.analysis.significance import LEVEL
from vitscope.figures.lettering import plain, shorten, write_beside
from vitscope.figures.style import BLACK, BLUE, GREY, LIGHT, VERMILLION, new_figure, owner, points, styled

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.analysis.comparison import Comparison

__all__ = ["draw_model_accuracy", "draw_model_differences", "letter", "per_cent", "significance_legend"]

_NAME = 110.0  # points that a model's name may take
_ROW = 0.27  # inches a model
_DASHES = (0, (4, 2))
_MARKER = 4.6


def letter(index: int) -> str:
    """Return the short name by which a figure's panels refer to a model: A, B, C…."""
    return chr(ord("A") + index) if index < 26 else f"M{index + 1}"


def per_cent(share: float, form: str = "g") -> str:
    """Return a share or a difference of shares in per cent, with a minus sign that is as wide as a plus."""
    return f"{100 * share:{form}}".replace("-", "\N{MINUS SIGN}")


@styled
def draw_model_accuracy(comparison: Comparison, *, ax: Axes | None = None) -> Figure:
    """Draw each model's accuracy as a point with its Wilson 95 % interval, in the order given.

    Args:
        comparison: What `compare` returns.
        ax: Axes to draw on; without them a figure of column width is made.

    Returns:
        The figure drawn on.
    """
    ax = ax or new_figure(0.6 + _ROW * len(comparison.models)).subplots()
    values, intervals = comparison.estimates.values[:, 0], comparison.estimates.intervals[:, 0]
    for row, (value, interval) in enumerate(zip(values, intervals, strict=True)):
        _point(ax, row, value, interval, colour=BLUE, filled=True)
        _above(ax, row, value, f"{100 * value:.1f}")
    ax.axvline(values[0], color=GREY, linewidth=0.7, linestyle=_DASHES, zorder=0)
    names = [f"{shorten(name, _NAME, size=7.5)}  {letter(row)}" for row, name in enumerate(comparison.models)]
    _rows(ax, len(names))
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", labelsize=points(7.5))
    plain(ax.get_yticklabels())
    ax.set_xlabel(f"Accuracy (%), n = {comparison.n:,}")
    return owner(ax)


@styled
def draw_model_differences(comparison: Comparison, *, ax: Axes | None = None) -> Figure:
    """Draw each model's difference in accuracy to the first, with its paired bootstrap 95 % interval.

    Beside each stands the p-value of McNemar's exact test, adjusted by Holm over all pairs of models; the
    marker is filled where that is below 0.05.

    Args:
        comparison: What `compare` returns.
        ax: Axes to draw on; without them a figure of column width is made.

    Returns:
        The figure drawn on.
    """
    ax = ax or new_figure(0.6 + _ROW * len(comparison.models)).subplots()
    ax.axvline(0, color=GREY, linewidth=0.7, linestyle=_DASHES, zorder=0)
    write_beside(ax, 0, "reference")
    for row, name in enumerate(comparison.models[1:], start=1):
        each = comparison.difference(name, comparison.models[0])
        value = float(each.values[0])
        colour = VERMILLION if value < 0 else BLUE
        _point(ax, row, value, each.intervals[0], colour=colour, filled=each.p_holm < LEVEL)
        _above(ax, row, value, per_cent(value, "+.1f"))
        sign = "" if each.p_holm < 0.001 else "= "
        write_beside(ax, row, f"p {sign}{rounded_p(each.p_holm)}".replace("<", "< "))
    _rows(ax, len(comparison.models))
    ax.set_yticks(range(len(comparison.models)), [letter(row) for row in range(len(comparison.models))])
    low, high = ax.get_xlim()
    least = 0.005  # half a point: identical models need a scale too
    ax.set_xlim(min(low, -least), max(high, least))
    ax.set_xlabel(f"Difference to {letter(0)} (points)")
    return owner(ax)


def significance_legend() -> list[Line2D]:
    """Return the legend's handles for filled and hollow markers."""
    style: dict[str, Any] = {
        "color": BLACK,
        "marker": "o",
        "markersize": _MARKER,
        "linestyle": "none",
        "markeredgewidth": 1.0,
    }
    return [
        Line2D([], [], **style, label="adjusted p < 0.05"),
        Line2D([], [], **style, markerfacecolor="white", label="not significant"),
    ]


def _point(ax: Axes, row: int, value: float, interval: np.ndarray, *, colour: str, filled: bool) -> None:
    """Draw a value with its interval into a row."""
    ax.plot(interval, [row, row], color=colour, linewidth=1.3, zorder=2)
    face = colour if filled else "white"
    ax.plot([value], [row], "o", color=colour, markerfacecolor=face, markersize=_MARKER, zorder=3)


def _above(ax: Axes, row: int, value: float, text: str) -> None:
    ax.annotate(
        text,
        (value, row),
        xytext=(0, 3.5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        size=points(6.5),
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
    )


def _rows(ax: Axes, count: int) -> None:
    ax.set_ylim(count - 0.5, -0.75)
    ax.margins(x=0.12)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=LIGHT, linewidth=0.5)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(lambda value, _: per_cent(value))
