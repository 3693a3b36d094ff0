"""The history of a training run, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vitscope.errors import InputError
from vitscope.figures.arrangement import narrow
from vitscope.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    VERMILLION,
    new_figure,
    panel_letters,
    points,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_history"]

_COLUMNS = ("epoch", "learning_rate", "train_loss", "validation_loss")
_ACCURACIES = ("train_accuracy", "validation_accuracy")


@styled
def draw_history(
    history: pd.DataFrame | Sequence[Mapping[str, float]],
    *,
    best_epoch: int | None = None,
) -> Figure:
    """Draw loss, accuracy and learning rate over the epochs, with the best epoch marked.

    Train loss and accuracy are those of the augmented images as the network saw them while it changed: with
    mixup or CutMix they lie on the wrong side of the validation's, and say nothing about overfitting.

    Args:
        history: One row an epoch with `epoch`, `learning_rate`, `train_loss`, `train_accuracy`,
            `validation_loss` and `validation_accuracy`; accuracies in 0 … 1, NaN where nothing was measured.
            Where both accuracies are left out, as of masked images, there is no panel of them.
        best_epoch: The epoch whose weights were kept; None marks none.

    Returns:
        A new figure of column width.

    Raises:
        InputError: There is no epoch, or a column is missing.
    """
    table = pd.DataFrame(history)
    scored = any(name in table.columns for name in _ACCURACIES)
    wanted = (*_COLUMNS, *_ACCURACIES) if scored else _COLUMNS
    if table.empty or any(name not in table.columns for name in wanted):
        raise InputError(f"expected a history of at least one epoch with {', '.join(wanted)}")
    below = narrow() and scored
    figure = new_figure(5.6 if below else 3.5)
    grid = figure.add_gridspec(3 if below else 2, 2, height_ratios=[5, 5, 2] if below else [5, 2])
    loss = figure.add_subplot(grid[0, :] if below or not scored else grid[0, 0])
    accuracy = figure.add_subplot(grid[1, :] if below else grid[0, 1]) if scored else None
    rate = figure.add_subplot(grid[-1, :])
    _curves(loss, table, "loss", 1.0)
    _rate(rate, table)
    loss.set_ylabel("Loss")
    rate.set(ylabel="Learning rate", xlabel="Epoch")
    if accuracy is not None:
        _curves(accuracy, table, "accuracy", 100.0)
        accuracy.set_ylabel("Accuracy (%)")
    for ax in filter(None, (loss, accuracy, rate)):
        _finish(ax, table, best_epoch)
    figure.align_ylabels()
    loss.legend(loc="best")
    panel_letters([ax for ax in (loss, accuracy, rate) if ax is not None])
    if best_epoch is not None and accuracy is not None:
        _name_best(accuracy, table, best_epoch)
    return figure


def _marks(table: pd.DataFrame) -> dict[str, Any]:
    """Points as well as lines where there are few epochs: one alone has no line; thin lines for many."""
    few, many = len(table) <= 20, len(table) > 100
    return {
        "marker": "o",
        "markersize": 3.0 if few else 0.0,
        "markeredgewidth": 0,
        "linewidth": 0.9 if many else 1.2,
    }


def _rate(ax: Axes, table: pd.DataFrame) -> None:
    ax.plot(table["epoch"], table["learning_rate"], color=GREEN, **_marks(table))
    highest = float(table["learning_rate"].max())
    ax.set_ylim(0, 1.1 * highest if highest > 0 else 1.0)
    ax.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _curves(ax: Axes, table: pd.DataFrame, quantity: str, scale: float) -> None:
    parts = (("train", BLUE, "-", "o"), ("validation", VERMILLION, (0, (4, 1.5)), "s"))
    for part, colour, line, marker in parts:
        values = scale * table[f"{part}_{quantity}"].astype(float)
        measured = values.notna()
        ax.plot(
            table["epoch"][measured],
            values[measured],
            color=colour,
            linestyle=line,
            label=part,
            **_marks(table) | {"marker": marker},
        )


def _finish(ax: Axes, table: pd.DataFrame, best_epoch: int | None) -> None:
    first, last = float(table["epoch"].min()), float(table["epoch"].max())
    margin = 0.03 * (last - first) or 0.5
    ax.set_xlim(first - margin, last + margin)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    ax.grid(color=LIGHT, linewidth=0.5)
    if best_epoch is not None:
        ax.axvline(best_epoch, color=GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)


def _name_best(ax: Axes, table: pd.DataFrame, best_epoch: int) -> None:
    value = table.loc[table["epoch"] == best_epoch, "validation_accuracy"]
    if value.empty or not np.isfinite(value.iloc[-1]):
        return
    share = 100 * float(value.iloc[-1])
    ax.plot([best_epoch], [share], "*", color=BLACK, markersize=8, markeredgewidth=0, zorder=4)
    ax.set_title(f"★ best: epoch {best_epoch}, validation {share:.2f} %", size=points(8))
