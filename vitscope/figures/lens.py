"""The logit lens: how early a model knows, and how some images go through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.figures.arrangement import narrow
from vitscope.figures.layer_names import label_layers
from vitscope.figures.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    VERMILLION,
    figure_width,
    new_figure,
    panel_letters,
    points,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.analysis.lens import LensCurves
    from vitscope.records.lens import Lens

__all__ = ["draw_lens"]

_LINES = {
    "accuracy": ("accuracy", BLUE, "o"),
    "true_class": ("p of the true class", ORANGE, "s"),
    "final_class": ("p of the final prediction", GREEN, "^"),
}
_EACH = 6  # images with a line, of those that end right and of those that end wrong


@styled
def draw_lens(curves: LensCurves, lens: Lens, *, figure: Figure | None = None) -> Figure:
    """Draw what the head says after each layer: means over images, and some images by themselves.

    On the left accuracy and the mean probabilities with their 95 % intervals over images; the last layer is
    the model itself. On the right the probability of the true class for the first six images that the model
    gets right and the first six that it gets wrong.

    Args:
        curves: What `vitscope.analysis.lens.lens_by_layer` returns.
        lens: The record that they are of.
        figure: An empty figure to draw on; without it one of column width is made.

    Returns:
        The figure drawn on.
    """
    across = 1 if narrow() else 2
    figure = figure or new_figure(2.5 if across == 2 else 4.8)
    left, right = figure.subplots(2 // across, across, sharey=True)
    for name, (label, colour, marker) in _LINES.items():
        _curve(left, curves.values[name], curves.intervals[name], label=label, colour=colour, marker=marker)
    left.set_title(f"Means over {curves.n:,} images", fontsize=points(8))
    left.set_ylabel("Share or probability")
    _images(right, lens)
    right.set_title("p of the true class, image by image", fontsize=points(8))
    pitch = 72 * (figure_width() / across - 0.5) / len(curves.layers)
    for ax in (left, right):
        ax.set_xlabel(label_layers(ax.xaxis, curves.layers, pitch=pitch), labelpad=2)
        ax.set(ylim=(-0.02, 1.02), xlim=(-0.3, len(curves.layers) - 0.7))
        ax.grid(axis="y", color=LIGHT, linewidth=0.5)
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(
            handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=1, fontsize=points(7)
        )
    panel_letters([left, right])
    return figure


def _curve(
    ax: Axes,
    values: NDArray[np.float64],
    interval: NDArray[np.float64],
    *,
    label: str,
    colour: str,
    marker: str,
) -> None:
    places = np.arange(len(values))
    ax.fill_between(places, interval[:, 0], interval[:, 1], color=colour, alpha=0.2, linewidth=0)
    ax.plot(places, values, marker=marker, markersize=3, color=colour, linewidth=1, label=label)


def _images(ax: Axes, lens: Lens) -> None:
    right = lens.correct[-1]
    kinds = ((right, BLUE, "right", "-"), (~right, VERMILLION, "wrong", (0, (4, 1.5))))
    for ends, colour, word, line in kinds:
        chosen = np.flatnonzero(ends)[:_EACH]
        for number, image in enumerate(chosen):
            label = f"ends {word}: {len(chosen)} of {int(ends.sum()):,}" if not number else None
            ax.plot(
                lens.truth[:, image], color=colour, linestyle=line, linewidth=0.8, alpha=0.75, label=label
            )
    ax.axhline(
        1 / max(len(lens.classes), 1), color=GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), label="chance"
    )
