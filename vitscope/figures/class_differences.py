"""How two models differ, class by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from vitscope.analysis.significance import LEVEL
from vitscope.figures.arrangement import inches
from vitscope.figures.lettering import plain, shorten
from vitscope.figures.model_accuracy import per_cent
from vitscope.figures.style import BLUE, GREY, LIGHT, VERMILLION, new_figure, owner, points, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.analysis.differences import ClassDifferences, Difference

__all__ = ["draw_class_differences"]

_MOST = 16  # classes shown
_DASHES = (0, (4, 2))


@styled
def draw_class_differences(
    difference: Difference,
    *,
    names: tuple[str, str] | None = None,
    most: int = _MOST,
    ax: Axes | None = None,
) -> Figure:
    """Draw how much more accurate the model is than the reference on each class, the highest on top.

    Points with Tango's 95 % score intervals, each of one class by itself; blue circles where the model is
    better, vermillion squares where the reference is, grey circles where neither is; filled where McNemar's
    exact p-value, adjusted by Holm over the classes, is below 0.05. Of more than `most` classes, as many
    of the highest as of the lowest are shown.

    Args:
        difference: One of a comparison's `differences`.
        names: What to call the model and the reference; their names otherwise.
        most: How many classes are shown, an even number.
        ax: Axes to draw on; without them a figure of column width is made.

    Returns:
        The figure drawn on.
    """
    classes = difference.classes
    order = _order(classes)
    half = most // 2
    cut = len(order) > most
    chosen = np.concatenate([order[:half], order[-half:]]) if cut else order
    if ax is None:
        ax = new_figure(0.7 + 0.16 * max(3, len(chosen))).subplots()
    width = 72 * inches(owner(ax))[0] * ax.get_position().width
    ax.axvline(0, color=GREY, linewidth=0.7, linestyle=_DASHES, zorder=0)
    for row, index in enumerate(chosen.tolist()):
        _row(ax, row, difference, index)
    labels = [shorten(classes.classes[index], 0.45 * width, size=6.5) for index in chosen.tolist()]
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", length=0, labelsize=points(6.5))
    plain(ax.get_yticklabels())
    if cut:
        ax.axhline(half - 0.5, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
    _finish(ax, len(chosen))
    model, reference = (
        shorten(name, 0.3 * width, size=8) for name in names or (difference.model, difference.reference)
    )
    ax.set_xlabel(f"{model} \N{MINUS SIGN} {reference}, accuracy by class (points)", parse_math=False)
    if cut:
        ax.set_title(f"The {half} highest and {half} lowest of {len(order):,} classes", size=points(7))
    return owner(ax)


def _order(classes: ClassDifferences) -> NDArray[np.int64]:
    """Highest first, equals by how many images more are right; classes without images are left out."""
    more = classes.only_model - classes.only_reference
    order = np.lexsort((-more, -classes.value))
    return order[: np.count_nonzero(classes.n)]


def _row(ax: Axes, row: int, difference: Difference, index: int) -> None:
    classes = difference.classes
    value = float(classes.value[index])
    colour, marker = (VERMILLION, "s") if value < 0 else (BLUE if value else GREY, "o")
    face = colour if classes.p_holm[index] < LEVEL else "white"
    ax.plot(classes.interval[index], [row, row], color=colour, linewidth=1.1, zorder=2)
    ax.plot([value], [row], marker, color=colour, markerfacecolor=face, markersize=3.8, zorder=3)


def _finish(ax: Axes, count: int) -> None:
    ax.set_ylim(count - 0.4, -0.6)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=LIGHT, linewidth=0.5)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(lambda value, _: per_cent(value))
