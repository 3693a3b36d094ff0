"""An embedding for print: images as points, classes named in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.patheffects import withStroke

from vitscope.figures.lettering import shorten, text_width
from vitscope.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    current_style,
    new_figure,
    points,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.records.embedding import Embedding

__all__ = ["ColorBy", "Groups", "draw_embedding", "draw_embeddings", "settings_line"]

ColorBy = Literal["class", "correct", "confidence", "superclass"]

_COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
_MARKERS = ("o", "^", "s")
_COLOURED = len(_COLOURS) * len(_MARKERS)  # groups that a colour and a marker tell apart
_NAMED = 40  # of more groups, names at most
_COVER = 0.3  # share of the panel that points cover at most
_METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
_FOOT = 0.42  # inches below the panels


class Groups(NamedTuple):
    """Groups of classes to colour by: a name each, and `[class]` which group a class is of."""

    names: tuple[str, ...]
    member: NDArray[np.int64]


@styled
def draw_embedding(
    embedding: Embedding, *, color: ColorBy = "class", superclasses: Groups | None = None
) -> Figure:
    """Draw images as points in the plane; each class is named where it is densest.

    Up to 21 classes have a colour and a marker of their own. Of more, colours would tell nothing: points are
    grey, and up to 40 of the most compact classes are named. Points are small and pale where there are many.

    Args:
        embedding: The record.
        color: What colours tell: the class, right or wrong, the confidence, or the superclass.
        superclasses: The groups, where colours tell these.

    Returns:
        A new figure of column width.
    """
    return _draw([embedding], color, superclasses, "")


@styled
def draw_embeddings(
    embeddings: Sequence[Embedding],
    *,
    color: ColorBy = "class",
    superclasses: Groups | None = None,
    residual: float | None = None,
) -> Figure:
    """Draw two embeddings of the same images side by side, the second aligned to the first.

    Args:
        embeddings: Both.
        color: As of `draw_embedding`.
        superclasses: As of `draw_embedding`.
        residual: The share of variance that the alignment left over, to be written below.

    Returns:
        A new figure of column width.
    """
    note = "" if residual is None else f"right aligned by Procrustes, residual {residual:.3f}"
    return _draw(embeddings, color, superclasses, note)


def settings_line(embedding: Embedding) -> str:
    """Return what made an embedding, and its trustworthiness, in one line."""
    about = embedding.about
    parts = [_METHODS.get(embedding.method, embedding.method)]
    parts += [f"perplexity {about['perplexity']:.3g}"] if "perplexity" in about else []
    parts += [f"{about['n_neighbors']} neighbours"] if "n_neighbors" in about else []
    parts += [f"{100 * sum(about['variance']):.0f} % of variance"] if "variance" in about else []
    parts += [f"seed {about.get('seed', 0)}", f"n = {len(embedding):,}"]
    if "trustworthiness" in about:
        sample = about["trustworthiness_images"]
        of = f", of {sample:,} drawn" if sample < len(embedding) else ""
        parts.append(
            f"trustworthiness {about['trustworthiness']:.3f} (k = {about['trustworthiness_neighbors']}{of})"
        )
    return ", ".join(parts)


def _draw(embeddings: Sequence[Embedding], color: ColorBy, superclasses: Groups | None, note: str) -> Figure:
    count = len(embeddings)
    figure = new_figure(1.0)
    # In inches of the paper itself; all that is not the panels grows with the letters.
    width, scale = float(figure.get_figwidth()), current_style().venue.scale
    gap = 0.06 * scale
    side = (width - (count + 1) * gap) / count
    extents = [np.ptp(each.points, axis=0) for each in embeddings]
    tall = side * float(np.clip(max(down / max(across, 1e-12) for across, down in extents), 0.5, 1))
    lines = [*dict.fromkeys(settings_line(each) for each in embeddings), *([note] if note else [])]
    foot = scale * ((_FOOT if color in ("correct", "confidence") else 0.24) + 0.13 * (len(lines) - 1))
    height = tall + foot + 0.2 * scale
    figure.set_layout_engine(None)
    figure.set_figheight(height)
    for place, embedding in enumerate(embeddings):
        left = gap + place * (side + gap)
        ax = figure.add_axes((left / width, foot / height, side / width, tall / height))
        title = " ".join(
            filter(None, (embedding.model, embedding.layer, embedding.token and f"({embedding.token})"))
        )
        ax.set_title(shorten(title, 72 * side, size=points(7)), size=points(7), loc="left", pad=3)
        _panel(ax, embedding, color, superclasses, (72 * side, 72 * tall))
    if color in ("correct", "confidence"):
        _key(
            figure, embeddings[0], color, (gap / width, (foot - 0.15 * scale) / height, 0.12 * scale / height)
        )
    for number, line in enumerate(reversed(lines)):
        text = shorten(line, 72 * (width - 2 * gap), size=points(6))
        figure.text(gap / width, scale * (0.05 + 0.13 * number) / height, text, size=points(6), color=GREY)
    return figure


def _panel(
    ax: Axes, embedding: Embedding, color: ColorBy, superclasses: Groups | None, size: tuple[float, float]
) -> None:
    ax.set(xticks=[], yticks=[])
    _limits(ax, embedding.points, size)
    x, y = embedding.points.T
    n = len(embedding)
    area = float(np.clip(_COVER * size[0] * size[1] / n, 0.25, 14))
    alpha = float(np.clip(3 / np.log10(max(n, 10)) ** 1.5, 0.35, 0.9))
    style: dict[str, Any] = {"s": area, "alpha": alpha, "linewidths": 0, "rasterized": True}
    if color == "confidence":
        values = np.nan_to_num(embedding.confidence)
        order = np.argsort(-values, kind="stable")  # doubtful ones are seen
        ax.scatter(x[order], y[order], c=values[order], cmap="viridis", norm=Normalize(0, 1), **style)
    elif color == "correct":
        right = embedding.correct
        ax.scatter(x[right], y[right], color=SKY, **style)
        ax.scatter(x[~right], y[~right], color=VERMILLION, marker="^", **style | {"alpha": 0.9})
    names, member = _groups(embedding, color, superclasses)
    if color in ("class", "superclass"):
        for each in range(len(names)) if len(names) <= _COLOURED else ():
            chosen = member == each
            colour = _COLOURS[each % len(_COLOURS)]
            ax.scatter(x[chosen], y[chosen], color=colour, marker=_MARKERS[each // len(_COLOURS)], **style)
        if len(names) > _COLOURED:
            ax.scatter(x, y, color=GREY, **style)
    named = len(names) <= _COLOURED and color in ("class", "superclass")
    _name(ax, embedding.points, names, member, size=size, coloured=named)


def _groups(
    embedding: Embedding, color: ColorBy, superclasses: Groups | None
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    if color == "superclass" and superclasses is not None:
        return superclasses.names, superclasses.member[embedding.labels]
    return embedding.classes, embedding.labels


def _limits(ax: Axes, places: NDArray[np.float64], size: tuple[float, float]) -> None:
    """Show all points, a unit the same length both ways."""
    low, high = places.min(axis=0), places.max(axis=0)
    unit = max(float(((high - low) / size).max()), 1e-12) * 1.06
    middle, half = (low + high) / 2, np.array(size) * unit / 2
    ax.set(xlim=(middle[0] - half[0], middle[0] + half[0]), ylim=(middle[1] - half[1], middle[1] + half[1]))


def _name(
    ax: Axes,
    places: NDArray[np.float64],
    names: Sequence[str],
    member: NDArray[np.int64],
    *,
    size: tuple[float, float],
    coloured: bool,
) -> None:
    """Write the groups' names where they are densest, moved so that none overlaps and none is cut."""
    letters = points(7 if len(names) <= _COLOURED else 6)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    scaled = (places - [left, low]) / [right - left, high - low] * size
    present = [each for each in range(len(names)) if (member == each).any()]
    anchors = {each: _densest(scaled[member == each]) for each in present}
    if len(present) > _COLOURED:
        spread = {each: float(np.median(np.abs(scaled[member == each] - anchors[each]))) for each in present}
        present = sorted(present, key=spread.__getitem__)
    boxes: list[tuple[float, float, float, float]] = []
    for each in present:
        text = shorten(names[each], 0.4 * size[0], size=letters)
        box = (text_width(text, letters) + (12 if coloured else 3), letters * 1.25)
        far = size[0] + size[1] if len(present) <= _COLOURED else 12.0
        place = _free(anchors[each], box, boxes, size, far)
        if place is None or len(boxes) >= max(_NAMED, _COLOURED):
            continue
        boxes.append((*place, *box))
        colour = _COLOURS[each % len(_COLOURS)] if coloured else BLACK
        if np.hypot(*(np.array(place) - anchors[each])) > letters * 2:
            ends = np.array([anchors[each], place]) / size
            ax.plot(*ends.T, color=GREY, linewidth=0.5, transform=ax.transAxes, zorder=4)
        x, y = place[0] / size[0], place[1] / size[1]
        written = ax.text(
            x, y, text, size=letters, ha="center", va="center", transform=ax.transAxes, zorder=5
        )
        written.set_parse_math(False)
        written.set_path_effects([withStroke(linewidth=2.2, foreground="white")])
        if coloured:
            marker, start = _MARKERS[each // len(_COLOURS)], x - (box[0] - 9) / 2 / size[0]
            at: dict[str, Any] = {
                "transform": ax.transAxes,
                "zorder": 5,
                "edgecolors": "white",
                "linewidths": 0.8,
            }
            written.set_x(x + 4 / size[0])
            ax.scatter([start - 3 / size[0]], [y], s=22, color=colour, marker=marker, **at)


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
    far: float,
) -> tuple[float, float] | None:
    """Return the nearest middle for a box within the panel that overlaps none that is taken."""
    wide, tall = box
    for radius in np.arange(0, far, 4.0):
        for angle in np.linspace(0, 2 * np.pi, max(1, int(radius)), endpoint=False) + np.pi / 2:
            x = float(np.clip(anchor[0] + radius * np.cos(angle), wide / 2, size[0] - wide / 2))
            y = float(np.clip(anchor[1] + radius * np.sin(angle), tall / 2, size[1] - tall / 2))
            if all(abs(x - a) >= (wide + w) / 2 or abs(y - b) >= (tall + h) / 2 for a, b, w, h in taken):
                return x, y
    return None


def _key(figure: Figure, embedding: Embedding, color: ColorBy, place: tuple[float, float, float]) -> None:
    left, bottom, tall = place
    if color == "confidence":
        ramp = figure.add_axes((left + 0.12, bottom, 0.25, tall * 0.6))
        ramp.imshow(np.linspace(0, 1, 128)[None], aspect="auto", cmap="viridis")
        ramp.set_axis_off()
        figure.text(left, bottom, "confidence 0", size=points(6))
        figure.text(left + 0.38, bottom, "1", size=points(6))
        return
    right = int(embedding.correct.sum())
    for at, marker, colour, text in (
        (0.0, "o", SKY, f"right: {right:,}"),
        (0.3, "^", VERMILLION, f"wrong: {len(embedding) - right:,}"),
    ):
        key = figure.add_axes((left + at, bottom, 0.02, tall))
        key.plot([0], [0], marker, color=colour, markersize=4)
        key.set_axis_off()
        figure.text(left + at + 0.03, bottom, text, size=points(6))
