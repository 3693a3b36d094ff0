"""Names in place: each group is named where its points are densest, on a plate that hides few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from vitscope.figures.lettering import shorten, text_width
from vitscope.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["COLOURED", "COLOURS", "MARKERS", "write_names"]

COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
MARKERS = ("o", "^", "s")
COLOURED = len(COLOURS) * len(MARKERS)
"""Groups that a colour and a marker tell apart."""
_NAMED = 40  # of more groups, names at most
_HIDDEN = 80.0  # points further that a name goes rather than hide as many images as a group has
_LOOKED_AT = 1000  # images, of all, that names go out of the way of
_KEY = 8.0  # points of a name's marker and the space around it
_EDGE = 1.5  # points that a name keeps from the panel's edge


def write_names(
    ax: Axes,
    places: NDArray[np.float64],
    names: Sequence[str],
    member: NDArray[np.int64],
    *,
    size: tuple[float, float],
    coloured: bool,
) -> None:
    """Write the groups' names near where they are densest, so that none overlaps another or is cut.

    Args:
        ax: Axes whose limits are set.
        places: The points, `[image, 2]`.
        names: A name a group.
        member: Which group a point is of, `[image]`.
        size: Width and height of the axes in points of the paper.
        coloured: Whether points have the group's colour and marker, which then stand beside its name.
    """
    letters = points(7 if len(names) <= COLOURED else 6)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    scaled = (places - [left, low]) / [right - left, high - low] * size
    present = [each for each in range(len(names)) if (member == each).any()]
    anchors = {each: _densest(scaled[member == each]) for each in present}
    if len(present) > COLOURED:
        spread = {each: float(np.median(np.abs(scaled[member == each] - anchors[each]))) for each in present}
        present = sorted(present, key=spread.__getitem__)
    shown = scaled[:: max(1, len(scaled) // _LOOKED_AT)]
    boxes: list[tuple[float, float, float, float]] = []
    for each in present:
        text = shorten(names[each], 0.4 * size[0], size=letters)
        box = (text_width(text, letters) + (_KEY + 2 if coloured else 3), letters * 1.25)
        far = size[0] + size[1] if len(present) <= COLOURED else 12.0
        place = _free(
            anchors[each], box, boxes, size, far=far, images=shown, weight=_HIDDEN * len(present) / len(shown)
        )
        if place is None or len(boxes) >= max(_NAMED, COLOURED):
            continue
        boxes.append((*place, *box))
        if np.hypot(*(np.array(place) - anchors[each])) > letters * 2:
            ends = np.array([anchors[each], place]) / size
            ax.plot(*ends.T, color=GREY, linewidth=0.5, transform=ax.transAxes, zorder=4)
        left = place[0] - box[0] / 2
        at: dict[str, Any] = {"transform": ax.transAxes, "zorder": 6}
        if coloured:
            _mark(ax, (left, place[1]), box, size, each)
        start = left + (_KEY if coloured else 1.5)
        written = ax.text(start / size[0], place[1] / size[1], text, size=letters, va="center", **at)
        written.set_parse_math(False)
        written.set_path_effects([withStroke(linewidth=2.2, foreground="white")])


def _mark(
    ax: Axes, place: tuple[float, float], box: tuple[float, float], size: tuple[float, float], group: int
) -> None:
    """Draw a white plate at a name's place, its left middle, and a group's marker on it: it is no image."""
    plate = Rectangle(
        (place[0] / size[0], (place[1] - box[1] / 2) / size[1]),
        box[0] / size[0],
        box[1] / size[1],
        transform=ax.transAxes,
        facecolor="white",
        edgecolor=GREY,
        linewidth=0.4,
        alpha=0.85,
        zorder=5,
    )
    ax.add_patch(plate)
    style: dict[str, Any] = {
        "color": COLOURS[group % len(COLOURS)],
        "marker": MARKERS[group // len(COLOURS)],
    }
    at = (place[0] + _KEY / 2) / size[0], place[1] / size[1]
    ax.plot(*at, markersize=4, transform=ax.transAxes, zorder=6, **style)


def _densest(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the point of a group with the most of the group around it, in points of the panel."""
    cells = np.floor(places / 12).astype(np.int64)
    kinds, which, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    held = dict(zip(map(tuple, kinds.tolist()), counts.tolist(), strict=True))
    near = [
        sum(held.get((x + right, y + up), 0) for right in (-1, 0, 1) for up in (-1, 0, 1))
        for x, y in kinds.tolist()
    ]
    best = places[which.ravel() == int(np.argmax(near))]
    return np.asarray(best[np.linalg.norm(best - best.mean(axis=0), axis=1).argmin()])


def _free(
    anchor: NDArray[np.float64],
    box: tuple[float, float],
    taken: Sequence[tuple[float, float, float, float]],
    size: tuple[float, float],
    *,
    far: float,
    images: NDArray[np.float64],
    weight: float,
) -> tuple[float, float] | None:
    """Return a middle near the anchor for a box within the panel that overlaps none taken, and hides little.

    Each of `images`, a sample of the points, that it would hide weighs as much as to go `weight` further.
    """
    wide, tall = box
    left, low = wide / 2 + _EDGE, tall / 2 + _EDGE
    best, least = None, np.inf
    for radius in np.arange(0, far, 4.0):
        if radius >= least:
            break
        for angle in np.linspace(0, 2 * np.pi, max(1, int(radius)), endpoint=False) + np.pi / 2:
            x = float(np.clip(anchor[0] + radius * np.cos(angle), left, size[0] - left))
            y = float(np.clip(anchor[1] + radius * np.sin(angle), low, size[1] - low))
            if any(abs(x - a) < (wide + w) / 2 and abs(y - b) < (tall + h) / 2 for a, b, w, h in taken):
                continue
            hidden = np.all(np.abs(images - (x, y)) < (wide / 2 + 1, tall / 2 + 1), axis=1).sum()
            if (cost := radius + weight * hidden) < least:
                best, least = (x, y), cost
    return best
