"""Accuracy of every class, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from vitscope.figures.arrangement import folded_title, inches, legend_columns
from vitscope.figures.lettering import plain, shorten, write_beside
from vitscope.figures.style import (
    BLACK,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    VERMILLION,
    new_figure,
    owner,
    points,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from vitscope.analysis.accuracy import ClassAccuracy

__all__ = ["draw_class_accuracy"]


class _Grade(NamedTuple):
    """A range of accuracies, told apart by colour and by the marker's shape."""

    floor: float
    colour: str
    marker: str
    label: str


_GRADES = (
    _Grade(0.9, GREEN, "o", "at least 90 %"),
    _Grade(0.8, ORANGE, "s", "80 to 90 %"),
    _Grade(-np.inf, VERMILLION, "^", "below 80 %"),
)
_SINGLE = 40  # rows that one panel holds at full type size
_EVERY = 120  # more classes than this and only both ends are shown
_ENDS = 40  # how many at each end
_NAME_SHARE = 0.33  # of the place, for class names
_DASHES = (0, (4, 2))


@styled
def draw_class_accuracy(result: ClassAccuracy, *, ax: Axes | None = None) -> Figure:
    """Draw each class's accuracy as a point with its Wilson 95 % interval, the best on top.

    Circles in green are at least 90 %, squares in orange 80 to 90 %, triangles in vermillion below; the
    dashed line is the accuracy of all images, its band the interval. The figure grows with the number of
    classes: two panels above 40, and above 120 the 40 best and 40 worst. A class without images has a row
    that says so, or none where there are more than 120; above 40 a note counts them.

    Args:
        result: What `class_accuracy` returns.
        ax: Axes for all classes in one panel; without them a figure of column width is made.

    Returns:
        The figure drawn on.
    """
    order = _order(result)
    if ax is None and len(order) > _EVERY:
        order = order[result.n[order] > 0]
    panels = [order] if ax is not None else _split(order)
    rows = max(len(panel) for panel in panels)
    if ax is not None:
        figure, axes = owner(ax), [ax]
        width = 72 * inches(figure)[0] * ax.get_position().width
    else:
        figure = new_figure(0.9 + (0.2 if len(panels) == 1 else 0.15) * max(rows, 3))
        axes = list(figure.subplots(1, len(panels), squeeze=False)[0])
        width = 72 * inches(figure)[0] / len(panels)
    for place, panel in zip(axes, panels, strict=True):
        _panel(place, result, panel, width=width)
        place.set_ylim(rows - 0.4, -0.6)
        if len(panel) * len(panels) < len(order):
            side = "highest" if panel is panels[0] else "lowest"
            kind = "classes" if len(order) == len(result.n) else "with images"
            title = f"The {len(panel)} {side} of {len(order):,} {kind}"
            place.set_title(folded_title(title, (1 - _NAME_SHARE) * width / 72 - 0.1, size=8), size=points(8))
    _note(figure if ax is None else ax, result)
    _legend(figure if ax is None else ax, result, np.concatenate(panels))
    return figure


def _order(result: ClassAccuracy) -> NDArray[np.int64]:
    """Best first; equals by the number of images, then as given; classes without images last."""
    share = np.where(result.n > 0, result.accuracy, -1.0)
    return np.lexsort((np.arange(len(share)), -result.n, -share))


def _split(order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    if len(order) <= _SINGLE:
        return [order]
    if len(order) <= _EVERY:
        half = (len(order) + 1) // 2
        return [order[:half], order[half:]]
    return [order[:_ENDS], order[-_ENDS:]]


def _floor(result: ClassAccuracy) -> float:
    """The axis starts at a round number below the lowest interval: points, unlike bars, need no zero."""
    lowest = float(np.nanmin(result.interval))
    return max(0.0, float(np.floor(lowest * 10 - 1e-9)) / 10)


def _panel(ax: Axes, result: ClassAccuracy, order: NDArray[np.int64], *, width: float) -> None:
    """Draw the classes of `order` into a place that is `width` points wide, class names included."""
    single = len(order) <= _SINGLE and width > 200
    size = 7.5 if single else 6.0
    overall, low = result.overall, _floor(result)
    ax.axvspan(*overall.interval, color=LIGHT, linewidth=0, zorder=0)
    ax.axvline(overall.value, color=BLACK, linewidth=0.8, linestyle=_DASHES, zorder=1)
    for row, index in enumerate(order):
        _row(ax, row, result, int(index))
        if single and result.n[index]:
            write_beside(ax, row, f"{100 * result.accuracy[index]:.1f} % of {result.n[index]:,}")
    names = [shorten(result.classes[index], width * _NAME_SHARE, size=size) for index in order]
    ax.set_yticks(range(len(order)), names)
    ax.tick_params(axis="y", length=0, labelsize=points(size))
    plain(ax.get_yticklabels())
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=LIGHT, linewidth=0.5)
    ax.set_xlim(low - 0.02 * (1 - low), 1 + 0.02 * (1 - low))
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    ax.set_xlabel("Accuracy (%)")


def _row(ax: Axes, row: int, result: ClassAccuracy, index: int) -> None:
    if not result.n[index]:
        place = ax.get_yaxis_transform()
        ax.text(0.02, row, "no images", transform=place, va="center", color=GREY, size=points(6.5))
        return
    share = float(result.accuracy[index])
    grade = _grade(share)
    ax.plot(result.interval[index], [row, row], color=grade.colour, linewidth=1.3, zorder=2)
    ax.plot([share], [row], grade.marker, color=grade.colour, markersize=4.2, markeredgewidth=0, zorder=3)


def _grade(share: float) -> _Grade:
    return next(grade for grade in _GRADES if share >= grade.floor)


def _note(place: Axes | Figure, result: ClassAccuracy) -> None:
    """Say how many classes have no images, where there are too many classes to see it."""
    missing = int((result.n == 0).sum())
    if not missing or len(result.n) <= _SINGLE:
        return
    text = f"{missing:,} of {len(result.n):,} classes {'has' if missing == 1 else 'have'} no images"
    if isinstance(place, Figure):
        place.supxlabel(text, size=points(7), color=GREY)
    else:
        place.set_xlabel(f"{place.get_xlabel()}; {text}")


def _legend(place: Axes | Figure, result: ClassAccuracy, drawn: NDArray[np.int64]) -> None:
    overall = result.overall
    low, high = (100 * bound for bound in overall.interval)
    text = f"all {overall.n:,} images: {100 * overall.value:.1f} % [{low:.1f}, {high:.1f}]"
    handles = [Line2D([], [], color=BLACK, linewidth=0.8, linestyle=_DASHES, label=text)]
    grades = {_grade(float(result.accuracy[index])) for index in drawn if result.n[index]}
    handles += [
        Line2D(
            [],
            [],
            color=grade.colour,
            marker=grade.marker,
            markersize=4.2,
            markeredgewidth=0,
            label=grade.label,
        )
        for grade in _GRADES
        if grade in grades
    ]
    columns = legend_columns([str(handle.get_label()) for handle in handles], 4)
    style = {"ncols": columns, "handlelength": 1.8, "columnspacing": 1.2, "handletextpad": 0.5}
    if isinstance(place, Figure):
        place.legend(handles=handles, loc="outside upper center", **style)
    else:
        place.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), **style | {"ncols": 2})
