"""An embedding for print: images as points, classes named in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from matplotlib.colors import Normalize

from vitscope.figures.lettering import shorten
from vitscope.figures.name_plates import COLOURED, COLOURS, MARKERS, write_names
from vitscope.figures.style import (
    GREY,
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
        for each in range(len(names)) if len(names) <= COLOURED else ():
            chosen = member == each
            colour = COLOURS[each % len(COLOURS)]
            ax.scatter(x[chosen], y[chosen], color=colour, marker=MARKERS[each // len(COLOURS)], **style)
        if len(names) > COLOURED:
            ax.scatter(x, y, color=GREY, **style)
    named = len(names) <= COLOURED and color in ("class", "superclass")
    write_names(ax, embedding.points, names, member, size=size, coloured=named)


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
