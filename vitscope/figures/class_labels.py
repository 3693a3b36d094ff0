"""Labels along a matrix of classes: every class where there is room, else every k-th, or the groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.patches import Rectangle

from vitscope.figures.lettering import plain, shorten, text_width
from vitscope.figures.style import BLACK, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitscope.analysis.ordering import ClassOrder

__all__ = ["ClassLabels", "draw_groups", "draw_labels"]

_LONG = 100.0  # points that a name may take
_PITCH = 6.6  # points from name to name that letters of the least size need
_THIN = 4.0  # points below which an outline would hide what it is around
_STEPS = (1, 2, 3, 4, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000)


class ClassLabels(NamedTuple):
    """What stands along both axes.

    Attributes:
        places: Where on the axis, in classes.
        names: What is written there, as short as it must be.
        size: Points.
        every: Every how many classes is named; 0 where groups are.
    """

    places: list[float]
    names: list[str]
    size: float
    every: int

    @classmethod
    def of(cls, order: ClassOrder, cell: float, *, room: float = _LONG) -> ClassLabels:
        """Choose labels for cells of `cell` points: all classes, else groups, else every k-th class.

        A name takes at most `room` points.

        Groups are named where they have the room, if together they have half of the classes.
        """
        blocks = [block for block in order.blocks() if (block[2] - block[1]) * cell >= _PITCH]
        covered = sum(end - first for _, first, end in blocks)
        if cell < _PITCH and covered >= len(order.classes) / 2:
            places = [(first + end - 1) / 2 for _, first, end in blocks]
            return cls(places, [shorten(name, room, size=6) for name, _, _ in blocks], 6.0, 0)
        count = len(order.classes)
        every = next((step for step in _STEPS if step * cell >= _PITCH), count)
        size = 7.0 if every * cell >= 8 else 6.0
        chosen = range(0, count, every)
        names = [shorten(order.classes[order.order[place]], room, size=size) for place in chosen]
        return cls([float(place) for place in chosen], names, size, every)

    @property
    def longest(self) -> float:
        """The points that the longest name takes."""
        return max((text_width(name, self.size) for name in self.names), default=0.0)


def draw_labels(ax: Axes, labels: ClassLabels, *, cell: float) -> None:
    """Label both axes; the classes across are only named where all are, being the same as those down."""
    whole = labels.every == 1
    side = cell * abs(float(np.diff(ax.get_ylim())[0]))
    note = _note(labels.every)
    texts = (f"True class{note}", f"True{note}", "True class")
    ax.set_ylabel(next((text for text in texts if text_width(text, 8) <= side), texts[-1]))
    ax.set_xlabel("Predicted class" if whole else "Predicted class, in the same order")
    ax.set_yticks(labels.places, labels.names)
    plain(ax.get_yticklabels())
    # A tick tells which row a name belongs to where rows are thinner than letters.
    length = 0.0 if whole or not labels.every else 2.5
    ax.tick_params(axis="y", length=length, labelsize=points(labels.size))
    if whole:
        ax.set_xticks(labels.places, labels.names)
        plain(ax.get_xticklabels())
        turned = labels.longest >= 0.9 * cell
        ax.tick_params(axis="x", length=0, labelsize=points(labels.size), labelrotation=90 if turned else 0)
    else:
        ax.set_xticks(labels.places if labels.every else [], [])
        ax.tick_params(axis="x", length=length)


def draw_groups(ax: Axes, order: ClassOrder, *, cell: float, named: bool) -> None:
    """Outline each group's square on the diagonal; `named` writes its name on the right."""
    for name, first, end in order.blocks():
        width = end - first
        if cell * width < _THIN:
            continue
        square = Rectangle((first - 0.5, first - 0.5), width, width, fill=False, edgecolor=BLACK)
        square.set_linewidth(0.8 if cell * width > 20 else 0.4)
        ax.add_patch(square)
        if named:
            _name_group(ax, shorten(name, 0.95 * width * cell, size=6), (first + end - 1) / 2)


def _name_group(ax: Axes, text: str, row: float) -> None:
    ax.annotate(
        text,
        (1, row),
        xycoords=ax.get_yaxis_transform(),
        xytext=(3, 0),
        textcoords="offset points",
        rotation=270,
        ha="left",
        va="center",
        size=points(6),
        annotation_clip=False,
    )


def _note(every: int) -> str:
    if every <= 1:
        return "" if every else ", by group"
    ordinal = {2: "second", 3: "third"}.get(every, f"{every}th")
    return f", every {ordinal} named"
