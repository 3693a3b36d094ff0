"""Conformal sets: how large they are, and whether they hold the true class as often as promised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from vitscope.figures.arrangement import folded_title, narrow
from vitscope.figures.lettering import plain, shorten
from vitscope.figures.style import (
    BLUE,
    GREEN,
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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.analysis.coverage import ConformalResult, SizeStratum

__all__ = ["draw_conformal"]

_CLASSES = 12  # classes that are named
_NAME = 76.0  # points that a class name may take
_DASHES = (0, (4, 2))
_LEGEND: dict[str, Any] = {"ncols": 2, "handlelength": 1.8, "columnspacing": 1.2}


@styled
def draw_conformal(result: ConformalResult, *, ax: Axes | None = None) -> Figure:
    """Draw the sizes of the sets, their coverage by size, and the coverage of classes, the lowest first.

    Points are coverages with Wilson's 95 % intervals; the dashed line is the promise, 1 − α, and the band
    what 95 % of such predictors cover on endlessly many images. Only the coverage of all images is promised:
    where small sets or some classes fall short, the promise is kept by the others. Above 12 classes those of
    the lowest coverage are drawn.

    Args:
        result: What `evaluate_conformal` returns.
        ax: Axes for the classes alone; without them a figure of column width is made.

    Returns:
        The figure drawn on.
    """
    if ax is not None:
        _by_class(ax, result)
        ax.set_title(ax.get_title(), size=points(7), pad=28)  # the legend stands between
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), **_LEGEND | {"ncols": 1})
        return owner(ax)
    rows = min(_CLASSES, int(np.count_nonzero(result.class_n)))
    tall = max(3.2, 1.1 + 0.19 * rows)
    if narrow():
        figure = new_figure(3.0 + tall)
        left, right = figure.subfigures(2, 1, height_ratios=(3.0, tall), squeeze=False)[:, 0]
    else:
        figure = new_figure(tall)
        left, right = figure.subfigures(1, 2, width_ratios=(2.3, 3.2), squeeze=False)[0]
    sizes, strata = left.subplots(2, 1, sharex=True, height_ratios=(1, 1))
    _sizes(sizes, result)
    _by_size(strata, result)
    classes = right.subplots()
    _by_class(classes, result)
    right.legend(*classes.get_legend_handles_labels(), loc="outside upper center", **_LEGEND)
    panel_letters([sizes, strata, classes])
    figure.suptitle(folded_title(_title(result), figure_width() - 0.3, size=8), size=points(8))
    return figure


def _title(result: ConformalResult) -> str:
    low, high = (100 * bound for bound in result.interval)
    method, alpha = result.predictor.score.method.upper(), result.predictor.alpha
    return (
        f"{method} for {100 * (1 - alpha):g} %: coverage {100 * result.coverage:.1f} % "
        f"[{low:.1f}, {high:.1f}], "
        f"mean size {result.mean_size:.2f} (n = {result.n:,})"
    )


def _span(stratum: SizeStratum) -> str:
    return f"{stratum.low}" if stratum.low == stratum.high else f"{stratum.low}\N{EN DASH}{stratum.high}"


def _sizes(ax: Axes, result: ConformalResult) -> None:
    strata = result.strata
    ax.bar(range(len(strata)), [part.n / result.n for part in strata], 0.7, color=BLUE)
    ax.set_ylabel("Images (%)")
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    room = max(0.0, 3 - len(strata)) / 2
    ax.set_xlim(-0.6 - room, len(strata) - 0.4 + room)


def _by_size(ax: Axes, result: ConformalResult) -> None:
    strata = result.strata
    _promise(ax, result, upright=False)
    for place, part in enumerate(strata):
        ax.plot([place] * 2, part.interval, color=GREEN, linewidth=1.3)
        ax.plot([place], [part.covered / part.n], "s", color=GREEN, markersize=4, markeredgewidth=0)
    crowded = len(strata) > 5
    ax.set_xticks(range(len(strata)), [_span(part) for part in strata])
    ax.tick_params(axis="x", labelsize=points(6 if crowded else 7), labelrotation=35 if crowded else 0)
    ax.set(ylim=(-0.03, 1.03), xlabel="Classes in the set", ylabel="Coverage (%)")
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    ax.grid(axis="y", color=LIGHT, linewidth=0.5)


def _by_class(ax: Axes, result: ConformalResult) -> None:
    held = np.flatnonzero(result.class_n)
    order = held[np.argsort(result.class_coverage[held], kind="stable")][:_CLASSES]
    _promise(ax, result, upright=True)
    for row, index in enumerate(order):
        ax.plot(result.class_interval[index], [row, row], color=BLUE, linewidth=1.3, zorder=2)
        share = result.class_coverage[index]
        ax.plot([share], [row], "o", color=BLUE, markersize=4, markeredgewidth=0, zorder=3)
    names = [shorten(result.classes[index], _NAME, size=7) for index in order]
    ax.set_yticks(range(len(order)), names)
    ax.tick_params(axis="y", length=0, labelsize=points(7))
    plain(ax.get_yticklabels())
    room = max(0.0, 3 - len(order)) / 2
    ax.set_ylim(len(order) - 0.4 + room, -0.6 - room)
    low = float(np.floor(result.class_interval[order, 0].min() * 10 - 1e-9) / 10)
    low = max(0.0, min(low, 1 - result.predictor.alpha - 0.05))
    ax.set_xlim(low - 0.02 * (1 - low), 1 + 0.02 * (1 - low))
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    ax.grid(axis="x", color=LIGHT, linewidth=0.5)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("Coverage (%)")
    if len(order) < held.size:
        ax.set_title(f"The {len(order)} lowest of {held.size:,} classes", size=points(7))


def _promise(ax: Axes, result: ConformalResult, *, upright: bool) -> None:
    """Mark 1 − α, and the range of what such predictors cover."""
    mark, shade = (ax.axvline, ax.axvspan) if upright else (ax.axhline, ax.axhspan)
    promised = 1 - result.predictor.alpha
    shade(
        *result.predictor.coverage_range, color=LIGHT, linewidth=0, zorder=0, label="95 % of such predictors"
    )
    mark(
        promised,
        color=VERMILLION,
        linewidth=0.9,
        linestyle=_DASHES,
        zorder=1,
        label=f"{100 * promised:g} % promised",
    )
