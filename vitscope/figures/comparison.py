"""The comparison of models in one figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import UsageError
from vitscope.figures.agreement import draw_agreement, draw_overlap
from vitscope.figures.arrangement import narrow, page_height
from vitscope.figures.class_differences import draw_class_differences
from vitscope.figures.model_accuracy import (
    draw_model_accuracy,
    draw_model_differences,
    letter,
    significance_legend,
)
from vitscope.figures.style import new_figure, panel_letters, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.analysis.comparison import Comparison
    from vitscope.analysis.differences import Difference

__all__ = ["draw_comparison"]

_ROWS, _FEWEST = 16, 4  # classes that the panel of classes shows at most, and where models take the room
_CLASS, _AXIS = 0.145, 0.62  # inches of a class, and of what is around the classes
_TABLE, _LEGEND = 2.0, 0.25  # inches of the last panel where panels stand below each other, and of the legend


@styled
def draw_comparison(comparison: Comparison, *, model: str | None = None) -> Figure:
    """Draw a comparison for a paper: accuracies, differences to the first model, classes, agreement.

    Models are lettered in the order given. Above, each model's accuracy (Wilson 95 % interval) and its
    difference to the first (paired bootstrap 95 % interval, adjusted p-value of McNemar's exact test). Below,
    one model and the first class by class, and how often models make the same prediction; of two models, the
    table of who is right where.

    Args:
        comparison: What `compare` returns.
        model: The model of the lower left panel; the most accurate of the others otherwise.

    Returns:
        A new figure of column width.

    Raises:
        UsageError: There is no such model, or it is the first.
    """
    chosen = _chosen(comparison, model)
    places = {name: letter(index) for index, name in enumerate(comparison.models)}
    letters = (places[chosen.model], places[chosen.reference])
    measured = int(np.count_nonzero(chosen.classes.n))
    upper = 0.55 + (0.22 if narrow() else 0.27) * len(comparison.models)
    most = _most_classes(upper)
    lower = max(1.0 if narrow() else 2.3, _AXIS + _CLASS * min(most, measured))
    figure, axes = _panels(upper, lower)
    left, right = axes[:2]
    draw_model_accuracy(comparison, ax=left)
    draw_model_differences(comparison, ax=right)
    left, right = axes[2:]
    draw_class_differences(chosen, names=letters, most=most, ax=left)
    if len(comparison.models) == 2:
        draw_overlap(chosen.overlap, names=letters, ax=right)
    else:
        draw_agreement(comparison.agreement, names=tuple(places.values()), ax=right)
    figure.legend(handles=significance_legend(), loc="outside lower center", ncols=2, handletextpad=0.3)
    panel_letters(axes)
    return figure


def _most_classes(upper: float) -> int:
    """Return how many classes have room on a page below panels that are `upper` inches high."""
    if not narrow():
        return _ROWS
    room = int((page_height() - _LEGEND - _TABLE - 2 * upper - _AXIS) / _CLASS)
    return min(max(room - room % 2, _FEWEST), _ROWS)


def _panels(upper: float, lower: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with its four panels, two by two or, where it is narrow, below each other."""
    if narrow():
        heights = [upper, upper, lower, _TABLE]
        figure = new_figure(sum(heights) + _LEGEND)
        grid = figure.add_gridspec(4, 1, height_ratios=heights)
        return figure, [figure.add_subfigure(part).subplots() for part in map(grid.__getitem__, range(4))]
    figure = new_figure(upper + lower + _LEGEND)
    rows = figure.add_gridspec(2, 1, height_ratios=[upper, lower])
    above, below = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    axes = [*above.subplots(1, 2, width_ratios=[1.15, 1]), *below.subplots(1, 2, width_ratios=[1.35, 1])]
    return figure, axes


def _chosen(comparison: Comparison, model: str | None) -> Difference:
    first, *others = comparison.models
    if model == first:
        raise UsageError(f"expected a model to hold against {first}, got {first} itself")
    if model is None:
        accuracy = comparison.estimates.values[1:, 0]
        model = others[int(accuracy.argmax())]
    return comparison.difference(model, first)
