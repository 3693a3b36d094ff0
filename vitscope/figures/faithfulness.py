"""How faithful the maps of several methods are: perturbation curves, and the ranking with its intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vitscope.figures.arrangement import inches, legend_columns, narrow, page_height
from vitscope.figures.lettering import folded, plain, shorten, text_width
from vitscope.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    figure_width,
    new_figure,
    owner,
    panel_letters,
    points,
    styled,
)
from vitscope.records.faithfulness import CENTRE, METRICS, is_baseline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.analysis.faithfulness import MethodRanking
    from vitscope.analysis.perturbation_curves import MeanCurve

__all__ = ["draw_method_ranking", "draw_perturbation_curve", "draw_perturbation_curves"]

_COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
_DASHES: tuple[Any, ...] = ("-", (0, (2.6, 1.2)), (0, (1, 1)))
_OF_NOISE, _OF_CENTRE = (0, (4, 2)), (0, (1, 1.5))
_TITLES = {
    "deletion": ("Deletion", "Pixels set to the mean (%)"),
    "insertion": ("Insertion", "Pixels put into the blur (%)"),
    "road_morf": ("ROAD, most relevant first", "Pixels imputed (%)"),
    "road_lerf": ("ROAD, least relevant first", "Pixels imputed (%)"),
}
_LOW = ("deletion", "road_morf")
_ACROSS, _NARROW_ACROSS = 4, 2  # panels of a ranking in a row
_ROW, _LEAST_ROW, _AXIS = 0.155, 0.11, 0.75  # inches a method, where a page asks for it, and of the axis
_NAME = 85.0  # points of a method's name
_MARKER = 3.6
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_BAND = 0.08  # opacity of an interval: there are a dozen over each other
_FAR = 3.0  # times the methods' extent that a baseline is away before its panel ends without it


@styled
def draw_perturbation_curves(curves: Mapping[str, Mapping[str, MeanCurve]]) -> Figure:
    """Draw all curves, a panel a kind, with one legend; see `draw_perturbation_curve`.

    Args:
        curves: What `mean_curves` returns.
    """
    kinds = list(curves)
    methods = list(curves[kinds[0]])
    across = 1 if narrow() else min(2, len(kinds))
    down = -(-len(kinds) // across)
    columns = legend_columns([*(shorten(name, 110, size=7) for name in methods), "95 % interval"], 4)
    legend = 0.16 * -(-(len(methods) + 1) // columns) + 0.1
    figure = new_figure(1.85 * down + legend, width=5.5 if across == 2 else 3.2)
    axes = figure.subplots(down, across, squeeze=False, sharey=True)
    for ax, kind in zip(axes.flat, kinds, strict=False):
        draw_perturbation_curve(curves[kind], kind, ax=ax)
    for ax in axes.flat[len(kinds) :]:
        ax.remove()
    highest = max(float(each.intervals.max()) for kind in kinds for each in curves[kind].values())
    axes[0, 0].set_ylim(0, min(1.0, np.ceil(10 * highest) / 10))  # of all panels: they share it
    for row in axes:
        row[0].set_ylabel("Probability of the class")
    styles = _styles(methods)
    handles: list[Artist] = [
        Line2D([], [], **styles[name], label=shorten(name, 110, size=7)) for name in methods
    ]
    handles.append(Patch(color=GREY, alpha=0.2, linewidth=0, label="95 % interval"))
    drawn = figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=2.4)
    plain(drawn.get_texts())
    panel_letters([ax for ax in axes.flat if ax in figure.axes])
    return figure


@styled
def draw_perturbation_curve(curves: Mapping[str, MeanCurve], kind: str, *, ax: Axes | None = None) -> Figure:
    """Draw one kind of curve: a line a method, baselines in grey, and a band for the 95 % interval.

    Args:
        curves: By method.
        kind: `deletion`, `insertion`, `road_morf` or `road_lerf`.
        ax: Axes to draw on; without them a figure is made.

    Returns:
        The figure drawn on.
    """
    ax = ax or new_figure(2.4, width=3.2).subplots()
    for name, style in _styles(list(curves)).items():
        each = curves[name]
        below = is_baseline(name)
        ax.plot(100 * each.fractions, each.means, **style, zorder=2 if below else 3)
        ax.fill_between(
            100 * each.fractions, *each.intervals.T, color=style["color"], alpha=_BAND, linewidth=0, zorder=1
        )
    title, label = _TITLES[kind]
    better = "lower" if kind in _LOW else "higher"
    # About as wide as the panel will be, less its letter.
    room = 72 * inches(owner(ax))[0] * ax.get_position().width + 15
    ax.set_title("\n".join(folded(f"{title} ({better} is better)", room, size=8)), size=points(8))
    ax.set_xlabel(label)
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 1)
    ax.grid(color=LIGHT, linewidth=0.5)
    return owner(ax)


def _styles(methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return each method's line, of its own colour, dashes and marker; baselines dashed or dotted, grey."""
    found: dict[str, dict[str, Any]] = {}
    own = [name for name in methods if not is_baseline(name)]
    for place, name in enumerate(own):
        colour = _COLOURS[place % len(_COLOURS)]
        dashes = _DASHES[(place + place // len(_COLOURS)) % len(_DASHES)]  # told apart without colour, too
        found[name] = {"color": colour, "linestyle": dashes, "linewidth": 1.2}
        # At places of its own, as shares of the panel's diagonal, so that no marker hides another.
        aside = 0.03 * (1 + place % 5)
        marker = _MARKERS[place % len(_MARKERS)]
        found[name] |= {"marker": marker, "markersize": 3.2, "markevery": (aside, 0.2), "markeredgewidth": 0}
    for name in methods:
        if name not in found:
            dashes = _OF_CENTRE if name == CENTRE else _OF_NOISE
            width = 1.2 if name in (CENTRE, "random") else 0.7
            found[name] = {"color": GREY, "linestyle": dashes, "linewidth": width}
    return found


@styled
def draw_method_ranking(ranking: MethodRanking) -> Figure:
    """Draw every method's mean score with its 95 % interval, a panel a metric, the best mean rank on top.

    Filled where the method beats the baselines that the metric is compared with, hollow where not; the
    baselines stand below in grey, and a line goes up from each.

    Args:
        ranking: What `rank_methods` returns.
    """
    count, rows = len(ranking.metrics), len(ranking.methods)
    across = min(_NARROW_ACROSS if narrow() else _ACROSS, count)
    if narrow() and (_AXIS + _ROW * rows) * -(-count // across) > page_height():
        across = min(_NARROW_ACROSS + 1, count)
    down = -(-count // across)
    row = min(max(((page_height() - 0.4) / down - _AXIS) / rows, _LEAST_ROW), _ROW)
    figure = new_figure((_AXIS + row * rows) * down + 0.2)
    axes = figure.subplots(down, across, squeeze=False)
    longest = max(text_width(shorten(name, _NAME, size=6.5), 6.5) for name in ranking.methods)
    width = (72 * figure_width() - longest - 10) / across
    for place, ax in enumerate(axes.flat):
        if place < count:
            _panel(ax, ranking, place, names=place % across == 0, width=width - 6)
        else:
            ax.remove()
    handles = _legend()
    columns = legend_columns([str(handle.get_label()) for handle in handles], 4)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handletextpad=0.3)
    panel_letters([ax for ax in axes.flat if ax in figure.axes], aside=narrow())
    return figure


def _panel(ax: Axes, ranking: MethodRanking, column: int, *, names: bool, width: float) -> None:
    """Draw a metric into a panel `width` points wide; `names` writes the methods' beside it."""
    metric = METRICS[ranking.metrics[column]]
    end = _end(ranking, column)
    for row, place in enumerate(ranking.order):
        method = ranking.methods[place]
        value, bounds = ranking.means[place, column], ranking.intervals[place, column]
        aside = is_baseline(method)
        colour = GREY if aside else BLUE
        face = colour if aside or ranking.beaten(method, metric.name) else "white"
        if aside and value > end:
            _beyond(ax, row, value, end)
            continue
        if aside:
            dashes = _OF_CENTRE if method == CENTRE else _OF_NOISE
            ax.plot([value, value], [-0.6, row], color=GREY, linewidth=0.6, linestyle=dashes, zorder=1)
        if np.isfinite(bounds).all():
            ax.plot(bounds, [row, row], color=colour, linewidth=1.1, zorder=2)
        marker = "s" if aside else "o"
        ax.plot([value], [row], marker, color=colour, markerfacecolor=face, markersize=_MARKER, zorder=3)
    labels = [shorten(ranking.methods[place], _NAME, size=6.5) for place in ranking.order]
    ax.set_yticks(range(len(labels)), labels if names else [""] * len(labels))
    ax.tick_params(axis="y", length=0, labelsize=points(6.5))
    ax.tick_params(axis="x", labelsize=points(6.5))
    plain(ax.get_yticklabels())
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=LIGHT, linewidth=0.5)
    ax.margins(x=0.08)
    if end < np.inf:
        ax.set_xlim(right=end)
    ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    # A power of ten apart from the numbers would lie on the label below them.
    ax.xaxis.set_major_formatter(FuncFormatter(_tick))
    ax.set_title("\n".join(folded(metric.title, width, size=7.5)), size=points(7.5))
    label = f"{metric.better} is better, n = {int(ranking.measured[column]):,}"
    fits = text_width(label, 6.5) <= width
    ax.set_xlabel(label if fits else label.replace(", ", ",\n"), size=points(6.5))


def _end(ranking: MethodRanking, column: int) -> float:
    """Return where a panel ends: by its methods, if a baseline is so far away that they would be a dot."""
    own = [place for place, name in enumerate(ranking.methods) if not is_baseline(name)]
    bounds = np.concatenate([ranking.means[own, column], ranking.intervals[own, column].ravel()])
    highest = float(np.nanmax(bounds))
    extent = max(highest - float(np.nanmin(bounds)), abs(highest))
    farthest = float(np.nanmax(ranking.means[:, column]))
    return highest + 0.5 * extent if farthest - highest > _FAR * extent else np.inf


def _beyond(ax: Axes, row: int, value: float, end: float) -> None:
    """Mark a baseline at the edge that it lies beyond, with its value."""
    ax.plot([end], [row], ">", color=GREY, markersize=_MARKER, clip_on=False, zorder=3)
    text = f"{value:.2g} "
    ax.annotate(
        text,
        (end, row),
        xytext=(-3, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        size=points(6),
        color=GREY,
    )


def _tick(value: float, _: int | None) -> str:
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


def _legend() -> list[Line2D]:
    style: dict[str, Any] = {"linestyle": "none", "markersize": _MARKER}
    return [
        Line2D([], [], marker="o", color=BLUE, label="better than the baselines", **style),
        Line2D([], [], marker="o", color=BLUE, markerfacecolor="white", label="not better", **style),
        Line2D([], [], marker="s", color=GREY, label="baseline", **style),
        Line2D([], [], color=BLUE, linewidth=1.1, label="95 % interval"),
    ]
