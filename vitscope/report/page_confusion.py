"""Confusion on a page: the matrix as a table or as a picture, and which images are shown of each cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vitscope.analysis.confusion import Confusion, confusion
from vitscope.analysis.ordering import similarity_order
from vitscope.report.page_text import shown, tell
from vitscope.report.sprites import data_address, make_sprites

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vitscope.analysis.outcomes import Outcomes
    from vitscope.report.page_images import Album
    from vitscope.report.page_runs import Run

    Integers = NDArray[np.int64]

__all__ = ["Matrix", "choose_images", "draw_matrix", "gallery"]

_TABLE = 30  # classes up to which each cell is text
_PICTURE = 2000  # classes up to which each cell is a pixel
_PAIRS = 200  # pairs that are listed
_LEVELS = 8  # shades of a table's cells
_FAINTEST = 40  # of 255: a cell with a single image is seen too
_DARK = np.array([0, 65, 138])  # the dark end of the figures' own map
_EACH = 24  # images of one cell at most
SEED = 42


@dataclass(frozen=True, eq=False)
class Matrix:
    """The confusion matrix as the template shows it.

    Attributes:
        classes: The class names as shown, in the order of rows and columns.
        order: `[position]`, the class at each.
        cells: Rows of the table, `(count, shade, label)` each; none where the matrix is a picture or absent.
        picture: The address of the picture, a pixel a cell; empty where there is none.
        pairs: The most frequent confusions.
        others: How many more there are.
    """

    classes: list[str]
    order: list[int]
    cells: list[list[tuple[int, int, str]]]
    picture: str
    pairs: list[dict[str, Any]]
    others: int


def draw_matrix(table: Confusion) -> Matrix:
    """Return the matrix: up to 30 classes a table, up to 2,000 a picture with similar ones side by side."""
    width = len(table.classes)
    order = np.arange(width)
    if _TABLE < width <= _PICTURE:
        order = similarity_order(table).order
    names = [shown(table.classes[index]) for index in order.tolist()]
    pairs = [
        {
            "true": pair.true,
            "predicted": pair.predicted,
            "names": (shown(table.classes[pair.true]), shown(table.classes[pair.predicted])),
            "count": pair.count,
            "total": int(table.totals[pair.true]),
            "share": tell(pair.share, (pair.low, pair.high), percent=True),
            "order": pair.share,
        }
        for pair in table.pairs[:_PAIRS]
    ]
    return Matrix(
        classes=names,
        order=order.tolist(),
        cells=_cells(table, names) if width <= _TABLE else [],
        picture=_as_picture(table, order) if _TABLE < width <= _PICTURE else "",
        pairs=pairs,
        others=max(0, len(table.pairs) - _PAIRS),
    )


def _cells(table: Confusion, names: list[str]) -> list[list[tuple[int, int, str]]]:
    rows = []
    for true, counts in enumerate(table.counts.tolist()):
        total = int(table.totals[true])
        row = []
        for predicted, count in enumerate(counts):
            shade = int(np.ceil(_LEVELS * np.sqrt(count / total))) if total else 0
            said = "right" if true == predicted else f"taken for {names[predicted]}"
            row.append((count, shade, f"{names[true]} {said}: {count:,} of {total:,}"))
        rows.append(row)
    return rows


def _as_picture(table: Confusion, order: Integers) -> str:
    """Return the matrix as a picture: the darker a cell, the larger the square root of its share."""
    width = len(order)
    place = np.empty(width, dtype=np.int64)
    place[order] = np.arange(width)
    levels = np.zeros((width, width), dtype=np.uint8)
    share = table.count / table.totals[table.true]
    levels[place[table.true], place[table.predicted]] = np.maximum(_FAINTEST, np.rint(255 * np.sqrt(share)))
    image = Image.fromarray(levels)
    ramp = np.linspace(0, 1, 256)[:, None]
    image.putpalette(np.rint(255 + ramp * (_DARK - 255)).astype(np.uint8).tobytes())
    return data_address(image)


def choose_images(
    rows: Outcomes, *, most: int, seed: int = SEED, among: NDArray[np.bool_] | None = None
) -> dict[tuple[int, int], Integers]:
    """Return which images are shown of each cell, drawn at random, the most confident first.

    Three quarters of `most` are for wrong predictions. Of every cell as many are shown as can be of all, up
    to 24; where one of each is too many, one of the most frequent.

    Args:
        rows: The outcomes.
        most: How many images in all.
        seed: The seed of the draw.
        among: `[image]`, the images that are at hand; all without it.
    """
    known = np.flatnonzero(rows.finite if among is None else rows.finite & among)
    known = np.random.default_rng(seed).permutation(known)
    width = len(rows.classes)
    cell = rows.labels[known] * width + rows.predicted[known]
    known = known[np.argsort(cell, kind="stable")]
    keys, start, count = np.unique(np.sort(cell), return_index=True, return_counts=True)
    right = keys // width == keys % width
    chosen: dict[tuple[int, int], Integers] = {}
    left = most
    for part, budget in ((~right, most * 3 // 4), (right, most)):
        each = _shares(count[part], min(budget, left))
        left -= int(each.sum())
        for key, first, number in zip(keys[part], start[part], each, strict=True):
            if number:
                found = known[first : first + number]
                found = found[np.argsort(-rows.confidence[found], kind="stable")]
                chosen[int(key // width), int(key % width)] = found
    return chosen


def _shares(count: Integers, most: int) -> Integers:
    """Return how many images of each cell are shown: min(count, k) with the largest k that fits."""
    each = max((k for k in range(_EACH + 1) if np.minimum(count, k).sum() <= most), default=0)
    if each:
        return np.minimum(count, each)
    shares = np.zeros_like(count)
    shares[np.argsort(-count, kind="stable")[:most]] = 1
    return shares


def gallery(run: Run, album: Album | None, *, most: int) -> Mapping[str, Any]:
    """Return what the page's script needs to show the images of a cell, as JSON can hold it; names exact.

    `classes`, `cells` (true class, predicted class, count, numbers of images), `images` (name, confidence,
    width and height of its sprite), the sprites' `sheets` and how they are laid out.
    """
    table = confusion(run.rows)
    chosen = {} if album is None else choose_images(run.rows, most=most, among=album.rows >= 0)
    rows = [int(row) for found in chosen.values() for row in found]
    sprites = make_sprites(album.picture(row) for row in rows) if album is not None else make_sprites(())
    first, places = 0, {}
    for key, found in chosen.items():
        places[key] = (first, len(found))
        first += len(found)
    names, sure = run.predictions.names, run.rows.confidence
    corners = zip(table.true.tolist(), table.predicted.tolist(), table.count.tolist(), strict=True)
    return {
        "classes": list(run.classes),
        "cells": [
            [true, predicted, count, *places.get((true, predicted), (0, 0))]
            for true, predicted, count in corners
        ],
        "images": [
            [names[row], round(float(sure[row]), 4), *size]
            for row, size in zip(rows, sprites.sizes, strict=True)
        ],
        "sheets": sprites.sheets,
        "cell": sprites.cell,
        "columns": sprites.columns,
        "per_sheet": sprites.per_sheet,
        "seed": SEED,
    }
