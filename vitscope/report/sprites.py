"""Sprites: many small pictures in a few sheets, and pictures as addresses that need no file."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CELL", "Sprites", "data_address", "fitted", "make_sprites"]

CELL = 64
"""Pixels of a sprite's side."""

_COLUMNS = 16
_SHEET = 256  # sprites a sheet: a browser decodes one in some milliseconds
_QUALITY = 85
_PAPER = 238  # the grey beside a picture that is not square, and never seen


class Sprites(NamedTuple):
    """Small pictures, row by row in sheets of 16 columns.

    Attributes:
        sheets: Addresses of JPEG pictures.
        sizes: Width and height of each small picture; 0 and 0 of one that could not be read.
        cell: Pixels from one to the next.
        columns: Small pictures a row.
        per_sheet: Small pictures a sheet.
    """

    sheets: list[str]
    sizes: list[tuple[int, int]]
    cell: int
    columns: int
    per_sheet: int


def make_sprites(pictures: Iterable[NDArray[np.uint8] | None]) -> Sprites:
    """Return pictures as sprites, each as large as fits in `CELL`, with its own proportions, none enlarged.

    Args:
        pictures: uint8 `[row, column]` or `[row, column, 3]`; None for one that could not be read.
    """
    sheets: list[str] = []
    sizes: list[tuple[int, int]] = []
    sheet = _blank()
    for number, picture in enumerate(pictures):
        place = number % _SHEET
        if number and not place:
            sheets.append(_as_jpeg(sheet, _SHEET))
            sheet = _blank()
        if picture is None:
            sizes.append((0, 0))
            continue
        small = fitted(picture, CELL)
        sheet.paste(small, (place % _COLUMNS * CELL, place // _COLUMNS * CELL))
        sizes.append(small.size)
    if sizes:
        sheets.append(_as_jpeg(sheet, (len(sizes) - 1) % _SHEET + 1))
    return Sprites(sheets, sizes, CELL, _COLUMNS, _SHEET)


def fitted(picture: NDArray[np.uint8], side: int) -> Image.Image:
    """Return a picture of at most `side` pixels each way, in its own proportions; a smaller one as it is."""
    image = Image.fromarray(picture).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def data_address(image: Image.Image, *, kind: str = "PNG") -> str:
    """Return a picture as a `data:` address."""
    stream = io.BytesIO()
    if kind == "JPEG":
        image.save(stream, format="JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    else:
        image.save(stream, format="PNG", optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _blank() -> Image.Image:
    return Image.new("RGB", (_COLUMNS * CELL, _SHEET // _COLUMNS * CELL), (_PAPER,) * 3)


def _as_jpeg(sheet: Image.Image, count: int) -> str:
    rows = -(-count // _COLUMNS)
    return data_address(sheet.crop((0, 0, min(count, _COLUMNS) * CELL, rows * CELL)), kind="JPEG")
