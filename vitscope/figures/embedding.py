"""An embedding for print: images as points, classes named in place; several side by side."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from vitscope.errors import InputError
from vitscope.figures.arrangement import page_height
from vitscope.figures.lettering import shorten, text_width
from vitscope.figures.scatter import Named, draw_key, draw_points
from vitscope.figures.style import GREY, current_style, new_figure, points, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.records.embedding import Embedding

__all__ = ["ColorBy", "Groups", "draw_embedding", "draw_embeddings", "settings_line"]

ColorBy = Literal["class", "correct", "confidence", "superclass"]

_METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
_NARROWEST = 1.5  # inches of a panel, where there are several
_FULL = 0.97  # share of a line that is written on: on a screen letters are a little wider
_GAP, _LINE, _TITLE = 0.06, 0.13, 0.2  # inches between panels, of a line of small letters, of a title


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
    return _draw([embedding], color, superclasses)


@styled
def draw_embeddings(
    embeddings: Sequence[Embedding], *, color: ColorBy = "class", superclasses: Groups | None = None
) -> Figure:
    """Draw embeddings of the same images side by side, as many in a row as are 1.5 inches wide.

    A panel's own numbers stand below it, and what all have in common below the figure.

    Args:
        embeddings: Of the same images in the same order, those after the first aligned to it.
        color: As of `draw_embedding`.
        superclasses: As of `draw_embedding`, of the first one's classes.

    Returns:
        A new figure of column width.

    Raises:
        InputError: They are not of the same images, or there is none.
    """
    if not embeddings or any(each.names != embeddings[0].names for each in embeddings):
        raise InputError("expected embeddings of the same images in the same order")
    return _draw(embeddings, color, superclasses)


def settings_line(embedding: Embedding) -> str:
    """Return what made an embedding, and its trustworthiness, in one line."""
    return ", ".join(_parts(embedding))


def _parts(embedding: Embedding) -> list[str]:
    value, how = _trust(embedding)
    trusted = [f"{value} ({how})"] if value else []
    return [*_settings(embedding), *trusted, *_residual(embedding)]


def _settings(embedding: Embedding) -> list[str]:
    about = embedding.about
    parts = [_METHODS.get(embedding.method, embedding.method)]
    parts += [f"perplexity {about['perplexity']:.3g}"] if "perplexity" in about else []
    parts += [f"{about['n_neighbors']} neighbours"] if "n_neighbors" in about else []
    parts += [f"seed {about.get('seed', 0)}", f"n = {len(embedding):,}"]
    if "variance" in about:
        parts.append(" + ".join(f"{100 * share:.0f}" for share in about["variance"]) + " % of variance")
    return parts


def _trust(embedding: Embedding) -> tuple[str, str]:
    about = embedding.about
    if "trustworthiness" not in about:
        return "", ""
    sample = about["trustworthiness_images"]
    of = f", of {sample:,} drawn" if sample < len(embedding) else ""
    return (
        f"trustworthiness {about['trustworthiness']:.3f}",
        f"k = {about['trustworthiness_neighbors']}{of}",
    )


def _residual(embedding: Embedding) -> list[str]:
    about = embedding.about
    return [f"residual {about['procrustes_residual']:.3f}"] if "procrustes_residual" in about else []


def _draw(embeddings: Sequence[Embedding], color: ColorBy, superclasses: Groups | None) -> Figure:
    figure = new_figure(1.0)
    # In inches of the paper itself; all that is not the panels grows with the letters.
    width, scale = float(figure.get_figwidth()), current_style().venue.scale
    gap = _GAP * scale
    columns = _columns(len(embeddings), width / scale)
    rows = -(-len(embeddings) // columns)
    side = (width - (columns + 1) * gap) / columns
    extents = [np.ptp(each.points, axis=0) for each in embeddings]
    tall = side * float(np.clip(max(down / max(across, 1e-12) for across, down in extents), 0.5, 1))
    below, foot = _notes(embeddings, color, 72 * side, 72 * (width - 2 * gap))
    key = color in ("correct", "confidence")
    under = scale * (0.05 + _LINE * (len(foot) + key))
    beside = scale * (_TITLE + 0.06 + _LINE * max(map(len, below)))
    tall = min(tall, max((scale * page_height() - under) / rows - beside, side / 2))
    row = tall + beside
    height = under + rows * row
    figure.set_layout_engine(None)
    figure.set_figheight(height)
    named = _named(embeddings[0], color, superclasses)
    for place, embedding in enumerate(embeddings):
        left = gap + place % columns * (side + gap)
        top = height - place // columns * row - scale * _TITLE
        ax = figure.add_axes((left / width, (top - tall) / height, side / width, tall / height))
        _title(ax, embedding, ascii_lowercase[place] if len(embeddings) > 1 else "", 72 * side)
        draw_points(ax, embedding, color, named, size=(72 * side, 72 * tall))
        _write(figure, below[place], (left, top - tall - scale * _LINE))
    _write(figure, foot, (gap, scale * (0.05 + _LINE * (len(foot) - 1))))
    if key:
        draw_key(figure, color, (gap, scale * (0.06 + _LINE * len(foot))))
    return figure


def _columns(count: int, width: float) -> int:
    """Return how many panels stand in a row: all of them where they are wide enough, else two."""
    return count if count * (_NARROWEST + _GAP) + _GAP <= width else min(count, 2)


def _named(embedding: Embedding, color: ColorBy, superclasses: Groups | None) -> Named:
    if color == "superclass" and superclasses is not None:
        return Named(superclasses.names, superclasses.member[embedding.labels])
    return Named(embedding.classes, embedding.labels)


def _title(ax: Axes, embedding: Embedding, letter: str, width: float) -> None:
    parts = (embedding.model, embedding.layer, embedding.token and f"({embedding.token})")
    indent = points(10) if letter else 0.0
    text = shorten(" ".join(filter(None, parts)), width - indent, size=points(7))
    ax.set_title(text, size=points(7), loc="left", x=indent / width, pad=3, parse_math=False)
    if letter:
        ax.set_title(letter, size=points(8), weight="bold", x=0, ha="left", pad=3)


def _notes(
    embeddings: Sequence[Embedding], color: ColorBy, side: float, width: float
) -> tuple[list[list[str]], list[str]]:
    """Return the lines below each panel, and those below the figure."""
    wrong = [f"{int((~each.correct).sum()):,} wrong" if color == "correct" else "" for each in embeddings]
    if len(embeddings) == 1:
        return [[]], _wrapped([*_parts(embeddings[0]), *filter(None, wrong)], width)
    own = [
        [*_settings(each), _trust(each)[0], *_residual(each), said]
        for each, said in zip(embeddings, wrong, strict=True)
    ]
    shared = [part for part in own[0] if all(part in parts for parts in own)]
    ways = dict.fromkeys(how for each in embeddings if (how := _trust(each)[1]))
    said = [f"trustworthiness with {how}" for how in ways]
    if any(_residual(each) for each in embeddings):
        said.append(f"{', '.join(ascii_lowercase[1 : len(embeddings)])} aligned to a by Procrustes")
    below = [_wrapped([part for part in parts if part and part not in shared], side) for parts in own]
    return below, _wrapped([*filter(None, shared), *said], width)


def _wrapped(parts: Sequence[str], width: float) -> list[str]:
    """Return the parts with commas between, on as many lines as they need."""
    size, lines = points(6), [""]
    for part in parts:
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        if lines[-1] and text_width(f"{longer},", size) > _FULL * width:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] = longer
    return [shorten(line, width, size=size) for line in lines if line]


def _write(figure: Figure, lines: Sequence[str], place: tuple[float, float]) -> None:
    """Write small lines, the first with its foot at a place in inches, the others below it."""
    width, height = figure.get_size_inches()
    for number, line in enumerate(lines):
        down = number * _LINE * current_style().venue.scale
        text = figure.text(place[0] / width, (place[1] - down) / height, line, size=points(6), color=GREY)
        text.set_parse_math(False)
