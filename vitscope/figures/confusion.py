"""The confusion matrix, each row as shares of its true class."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.colors import PowerNorm

from vitscope.analysis.ordering import ClassOrder
from vitscope.errors import InputError
from vitscope.figures.arrangement import inches, page_height
from vitscope.figures.cells import MOST_WRITTEN, least_cell, write_cells
from vitscope.figures.class_labels import ClassLabels, draw_groups, draw_labels
from vitscope.figures.lettering import shorten_pair, text_width
from vitscope.figures.style import (
    BLACK,
    GREY,
    VERMILLION,
    figure_width,
    new_figure,
    owner,
    points,
    sequential_map,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from vitscope.analysis.confusion import Confusion

__all__ = ["draw_confusion"]

_NAMES = (30.0, 100.0)  # points that a class's name may take: where numbers need the room, and at most
_ROWS = 250  # rows that the picture has at most, a quarter of a millimetre each and more in print
_LISTED = 10  # pairs in the list below a matrix whose classes are not all named
_DIAGONAL = "#DDB676"  # a muted orange, for what is right
# Points: an axis title with its gap, the colour bar with its numbers and title, the strip for groups' names,
# a line of the list and the space between its columns, a margin.
_NAMES_SHARE = 0.35  # of the width beside the bar that names may take
_TITLE, _BAR, _STRIP, _LINE, _GUTTER, _MARGIN = 15.0, 50.0, 12.0, 9.5, 16.0, 5.0


class _Plan(NamedTuple):
    """Where things stand, in points."""

    width: float
    height: float
    left: float
    bottom: float
    side: float
    labels: ClassLabels


@styled
def draw_confusion(result: Confusion, *, ax: Axes | None = None, order: ClassOrder | None = None) -> Figure:
    """Draw the row-normalised confusion matrix: true classes down, predicted classes across.

    Up to 10 classes a cell holds the share in per cent and the count, up to 20 the share alone, both only
    where images are and where the cell has the room. Above 20 the colours are for the confusions alone, up to
    the largest and following the square root, so that rare ones are seen, and the diagonal has a colour of
    its own. A class without images is a grey row.

    Where there is no room to name every class, every k-th is named, or the groups are, and a list of the most
    confused pairs stands below, with rings around them in the matrix. Above 250 classes, cells too small to
    be seen are pooled: a cell is the largest share of a confusion among k × k classes, also on the diagonal.

    Args:
        result: What `confusion` returns.
        ax: Axes to draw on, without the list; without them a figure of column width is made, smaller for up
            to four classes.
        order: What `similarity_order` or `superclass_order` returns: the order of the classes, and groups to
            outline. Without it the classes stand as the predictions have them.

    Returns:
        The figure drawn on.

    Raises:
        InputError: The order is of other classes.
    """
    count = len(result.classes)
    if order is not None and order.classes != result.classes:
        raise InputError(f"expected an order of the {count} classes, got one of {len(order.classes)} others")
    order = order or ClassOrder(result.classes, np.arange(count))
    if ax is None:
        plan = _plan(order)
        figure = new_figure(plan.height / 72, width=plan.width / 72)
        figure.set_layout_engine(None)
        ax = _axes(figure, plan.left, plan.bottom, plan.side, plan.side)
        bar = _axes(figure, plan.left + plan.side + _gap(plan, order), plan.bottom, 9, 0.8 * plan.side)
        labels, cell = plan.labels, plan.side / count
    else:
        box, place = ax.get_position(), owner(ax)
        across, up = inches(place)
        side = 72 * min(box.width * across - _BAR / 72, box.height * up)
        plan, cell = None, side / count
        labels = ClassLabels.of(order, cell)
        strip = _STRIP / side if order.groups and labels.every == 1 else 0.0
        bar = ax.inset_axes((1.03 + strip, 0, 0.035, 0.8))  # follows the matrix, whatever the layout
    image = _show(ax, result, order)
    for spine in ax.spines.values():
        spine.set_visible(True)
    draw_labels(ax, labels, cell=cell)
    if count <= MOST_WRITTEN:
        write_cells(ax, image, result, order, cell=cell)
    draw_groups(ax, order, cell=cell, named=labels.every == 1)
    _add_bar(ax, image, bar, count=count)
    if plan is not None and labels.every != 1:
        _list_pairs(ax, result, order, plan)
    return owner(ax)


def _plan(order: ClassOrder) -> _Plan:
    """Lay out a figure of its own, at most a page high, as far as the width decides."""
    plan = _planned(order, 72 * (figure_width() if len(order.classes) > 4 else min(3.4, figure_width())))
    for _ in range(3):  # as the matrix shrinks, its names may become fewer and need another height
        above = plan.height - 72 * page_height()
        if above <= 0:
            break
        plan = _planned(order, plan.width - above)
    return plan


def _planned(order: ClassOrder, width: float) -> _Plan:
    """Lay out names, matrix, bar, and the list where not all classes are named, in so many points."""
    count = len(order.classes)
    free = width - _TITLE - _BAR - 2 * _MARGIN
    least, most = _NAMES
    beside = free - (_STRIP if order.groups else 0.0)
    room = beside - count * least_cell(count)
    if room < least:  # names need what counts would take
        room = beside - count * least_cell(count, alone=True)
    room = min(max(least, min(most, room)), _NAMES_SHARE * free)
    # How many names there are depends on the side that they leave: begin with all of it.
    side, labels = free, ClassLabels.of(order, free / count, room=room)
    for _ in range(2):
        strip = _STRIP if order.groups and labels.every == 1 else 0.0
        side = free - labels.longest - strip
        labels = ClassLabels.of(order, side / count, room=room)
    across = labels.longest if labels.longest >= 0.9 * side / count else labels.size
    below = _TITLE + (across + 4 if labels.every == 1 else 8)
    listed = 0.0 if labels.every == 1 else _LINE * (1.6 + -(-_LISTED // 2))
    left = width - side - _BAR - _MARGIN - (_STRIP if order.groups and labels.every == 1 else 0.0)
    return _Plan(width, side + below + listed + 2 * _MARGIN, left, below + listed + _MARGIN, side, labels)


def _gap(plan: _Plan, order: ClassOrder) -> float:
    return 2 * _MARGIN + (_STRIP if order.groups and plan.labels.every == 1 else 0.0)


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    across, up = (72 * size for size in inches(figure))
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _show(ax: Axes, result: Confusion, order: ClassOrder) -> AxesImage:
    """Draw the shares as colours; coordinates are positions of classes, also where cells are pooled."""
    count = len(result.classes)
    colours, peak, gamma = sequential_map(), 1.0, 1.0
    if count <= MOST_WRITTEN:
        values = result.shares[np.ix_(order.order, order.order)]
    elif count <= _ROWS:
        values = result.shares[np.ix_(order.order, order.order)]
        diagonal = np.diagonal(values).copy()
        np.fill_diagonal(values, 0)
        peak, gamma = float(np.nanmax(values, initial=0.0)) or 1.0, 0.5
        np.fill_diagonal(values, np.where(np.isnan(diagonal), np.nan, 2.0))
        colours = colours.with_extremes(over=_DIAGONAL)
    else:
        values = _pooled(result, order)
        peak, gamma = float(values.max()) or 1.0, 0.5
    edge = len(values) * -(-count // len(values))
    image = ax.imshow(
        np.ma.masked_invalid(values),
        cmap=colours,
        norm=PowerNorm(gamma, vmin=0, vmax=peak),
        interpolation="nearest" if count <= MOST_WRITTEN else "none",
        extent=(-0.5, edge - 0.5, edge - 0.5, -0.5),
    )
    ax.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5))
    return image


def _pooled(result: Confusion, order: ClassOrder) -> NDArray[np.float64]:
    """Return the largest share of a confusion in each square of neighbouring rows and columns."""
    count = len(result.classes)
    step = -(-count // _ROWS)
    rows = -(-count // step)
    position = np.empty(count, dtype=np.int64)
    position[order.order] = np.arange(count)
    pooled = np.zeros((rows, rows))
    wrong = result.true != result.predicted
    true, predicted = result.true[wrong], result.predicted[wrong]
    share = result.count[wrong] / result.totals[true]
    np.maximum.at(pooled, (position[true] // step, position[predicted] // step), share)
    return pooled


def _add_bar(ax: Axes, image: AxesImage, place: Axes, *, count: int) -> None:
    diagonal, step = MOST_WRITTEN < count <= _ROWS, -(-count // _ROWS)
    bar = owner(ax).colorbar(image, cax=place, extend="max" if diagonal else "neither", extendfrac=0.06)
    labels = ["Share of the true class (%)", "Share of the class (%)", "Share (%)"]
    if step > 1:
        pooled = f"argest of {step}\N{MULTIPLICATION SIGN}{step}"
        labels = [f"{labels[0]}, l{pooled}", f"L{pooled} (%)"]
    tall = inches(owner(ax))[1] * place.get_position().height if place.get_subplotspec() is None else np.inf
    fitting = (label for label in labels if text_width(label, 8) <= 72 * tall)
    bar.set_label(next(fitting, labels[-1]))
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    bar.outline.set_linewidth(0.6)
    if diagonal:
        bar.ax.set_title("right", size=points(7), loc="left")


def _list_pairs(ax: Axes, result: Confusion, order: ClassOrder, plan: _Plan) -> None:
    """Name the most confused pairs in two columns below the matrix, and ring them in it."""
    position = {index: place for place, index in enumerate(order.order.tolist())}
    pairs = result.pairs[:_LISTED]
    figure, half = owner(ax), (plan.width - 2 * _MARGIN - _GUTTER) / 2
    down = -(-_LISTED // 2)
    top = _LINE * (1.1 + down) + _MARGIN
    head = "Most often confused (ringed above), true → predicted" if pairs else "No image is misclassified"
    _write(figure, (_MARGIN, top), head, color=GREY)
    for number, pair in enumerate(pairs):
        column, row = divmod(number, down)
        left, y = _MARGIN + column * (half + _GUTTER), top - _LINE * (1.3 + row)
        said = f"{pair.count:,} of {result.totals[pair.true]:,}, {100 * pair.share:.1f} %"
        room = half - text_width(f"{said} → ", 6.5) - 8
        names = (result.classes[pair.true], result.classes[pair.predicted])
        _write(figure, (left, y), " → ".join(shorten_pair(*names, room, size=6.5)))
        _write(figure, (left + half, y), said, ha="right")
        ring = ax.plot(position[pair.predicted], position[pair.true], "o", color=VERMILLION)[0]
        ring.set(clip_on=False, markersize=6, markerfacecolor="none", markeredgewidth=0.7)


def _write(
    figure: Figure, place: tuple[float, float], text: str, *, color: str = BLACK, ha: str = "left"
) -> None:
    """Write a line at a place in points from the figure's lower left corner."""
    x, y = (point / 72 / size for point, size in zip(place, inches(figure), strict=True))
    figure.text(x, y, text, size=points(6.5), color=color, ha=ha, va="center")
