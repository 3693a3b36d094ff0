"""Scatter: images as points of one panel, coloured by what they are or by how they are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.colors import Normalize, to_rgb

from vitscope.figures.name_plates import COLOURED, COLOURS, MARKERS, write_names
from vitscope.figures.style import GREY, LIGHT, SKY, VERMILLION, current_style, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.records.embedding import Embedding

__all__ = ["Named", "draw_key", "draw_points"]

_COVER = 0.3  # share of the panel that points cover at most
_TURNS = 12  # parts of the images, drawn one after another, so that no group lies over all others


class Named(NamedTuple):
    """The groups that names in place tell of: a name each, and `[image]` which group an image is of."""

    names: tuple[str, ...]
    member: NDArray[np.int64]


def draw_points(
    ax: Axes, embedding: Embedding, color: str, named: Named, *, size: tuple[float, float]
) -> None:
    """Draw one embedding into a frame without ticks: its places mean nothing but near and far.

    Args:
        ax: Empty axes.
        embedding: The record.
        color: `class` or `superclass`: the groups; `correct`: right or wrong; `confidence`.
        named: The groups.
        size: Width and height of the axes in points of the paper.
    """
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=LIGHT)
    _limits(ax, embedding.points, size)
    n = len(embedding)
    unit = current_style().venue.scale ** 2
    area = float(np.clip(_COVER * size[0] * size[1] / n, 0.25 * unit, 14 * unit))
    alpha = float(np.clip(3 / np.log10(max(n, 10)) ** 1.5, 0.35, 0.9))
    style: dict[str, Any] = {"s": area, "alpha": alpha, "linewidths": 0, "rasterized": True}
    grouped = color in ("class", "superclass")
    told = grouped and len(named.names) <= COLOURED
    x, y = embedding.points.T
    if color == "confidence":
        values = np.nan_to_num(embedding.confidence)
        order = np.argsort(-values, kind="stable")  # doubtful ones are seen
        ax.scatter(x[order], y[order], c=values[order], cmap="viridis", norm=Normalize(0, 1), **style)
    elif color == "correct":
        right = embedding.correct
        ax.scatter(x[right], y[right], color=SKY, **style)
        ax.scatter(x[~right], y[~right], color=VERMILLION, marker="^", **style | {"alpha": 0.9})
    elif told:
        _groups(ax, embedding.points, named.member, style)
    else:
        ax.scatter(x, y, color=GREY, **style)
    write_names(ax, embedding.points, named.names, named.member, size=size, coloured=told)


def _groups(ax: Axes, places: NDArray[np.float64], member: NDArray[np.int64], style: dict[str, Any]) -> None:
    colours = np.array([to_rgb(colour) for colour in COLOURS])
    turn = np.random.default_rng(0).integers(_TURNS, size=len(member))
    for part in range(_TURNS):
        for number, marker in enumerate(MARKERS):
            chosen = (turn == part) & (member // len(COLOURS) == number)
            if chosen.any():
                own = colours[member[chosen] % len(COLOURS)]
                ax.scatter(places[chosen, 0], places[chosen, 1], c=own, marker=marker, **style)


def _limits(ax: Axes, places: NDArray[np.float64], size: tuple[float, float]) -> None:
    """Show all points, a unit the same length both ways."""
    low, high = places.min(axis=0), places.max(axis=0)
    unit = max(float(((high - low) / size).max()), 1e-12) * 1.06
    middle, half = (low + high) / 2, np.array(size) * unit / 2
    ax.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))


def draw_key(figure: Figure, color: str, place: tuple[float, float]) -> None:
    """Draw what colours tell where that is no group: right and wrong, or the range of confidence.

    Args:
        figure: The figure.
        color: `correct` or `confidence`.
        place: Its left end and its foot, in inches.
    """
    scale = current_style().venue.scale
    inches = figure.get_size_inches()

    def beside(right: float, wide: float, text: str) -> Axes:
        left, foot = place[0] + right * scale, place[1]
        figure.text((left + (wide + 0.04) * scale) / inches[0], foot / inches[1], text, size=points(6))
        return figure.add_axes(
            (left / inches[0], foot / inches[1], wide * scale / inches[0], 0.07 * scale / inches[1])
        )

    if color == "confidence":
        figure.text(place[0] / inches[0], place[1] / inches[1], "confidence 0", size=points(6))
        ramp = beside(0.5, 1.0, "1")
        ramp.imshow(np.linspace(0, 1, 128)[None], aspect="auto", cmap="viridis")
        ramp.set_axis_off()
        return
    for right, marker, colour, text in ((0.0, "o", SKY, "right"), (0.5, "^", VERMILLION, "wrong")):
        key = beside(right, 0.08, text)
        key.plot([0], [0], marker, color=colour, markersize=4 * scale)
        key.set_axis_off()
