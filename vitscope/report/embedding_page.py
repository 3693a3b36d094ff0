"""The embedding's page: points under the mouse show their images; one file, and no request leaves it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vitscope.figures.embedding import settings_line
from vitscope.paths import write_text
from vitscope.report.page_text import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vitscope.records.embedding import Embedding

__all__ = ["embedding_page", "write_page"]

_SIDES = ((32, 75), (32, 55), (24, 60), (24, 35), (16, 40))  # pixels of a thumbnail, and WebP's quality
_BUDGET = 4_200_000  # letters of the sprite: with plotly.js the page stays below 10 MB
_WIDEST = 16_000  # pixels of a WebP picture's side, which the format limits
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def write_page(embedding: Embedding, image: Callable[[int], Image.Image], path: Path) -> None:
    """Write the page of an embedding.

    Args:
        embedding: The record.
        image: An image by its row.
        path: The file.
    """
    write_text(path, embedding_page(embedding, image))


def embedding_page(embedding: Embedding, image: Callable[[int], Image.Image]) -> str:
    """Return the page: plotly.js, the points and one sprite of thumbnails inside it.

    Names reach it as JSON with every letter that HTML knows escaped, and are only ever set as text. The
    content security policy lets nothing run but both scripts by their SHA-256, and nothing be loaded.
    """
    from plotly.offline import get_plotlyjs

    sprite, side, columns = _sprite(embedding, image)
    points = embedding.points.round(4)
    data = {
        "title": shown(f"{embedding.model} {embedding.layer} ({embedding.token})"),
        "settings": settings_line(embedding),
        "classes": [shown(name) for name in embedding.classes],
        "names": [shown(name) for name in embedding.names],
        "labels": embedding.labels.tolist(),
        "predicted": embedding.predicted.tolist(),
        "confidence": np.nan_to_num(embedding.confidence).round(4).tolist(),
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
        "sprite": sprite,
        "side": side,
        "columns": columns,
    }
    text = "".join(_ESCAPED.get(letter, letter) for letter in json.dumps(data, separators=(",", ":")))
    library, script = get_plotlyjs().replace("</script", "<\\/script"), _part("embedding.js")
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src '{_digest(library)}' '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Embedding</title>\n'
        f"<style>{_part('embedding.css')}</style></head><body>\n"
        '<h1 id="title"></h1><p id="settings"></p>\n<form><label>True class <select id="class">'
        '<option value="">all</option></select></label> <label>Prediction <select id="outcome">'
        '<option value="">all</option><option value="right">right</option>'
        '<option value="wrong">wrong</option>'
        '</select></label> <output id="count"></output></form>\n'
        '<div id="plot" role="img" aria-label="Images as points in the plane"></div>\n'
        f'<div id="card"><canvas id="thumb" width="{side}" height="{side}"></canvas>'
        '<p id="about" aria-live="polite">Point at an image.</p></div>\n'
        f'<script type="application/json" id="data">{text}</script>\n'
        f"<script>{library}</script>\n<script>{script}</script>\n</body></html>\n"
    )


def _sprite(embedding: Embedding, image: Callable[[int], Image.Image]) -> tuple[str, int, int]:
    """Return all thumbnails as one picture's address, a thumbnail's side, and how many stand in a row."""
    count = len(embedding)
    columns = max(1, int(np.ceil(np.sqrt(count))))
    largest = min(_SIDES[0][0], _WIDEST // columns)
    sheet = Image.new("RGB", (columns * largest, -(-count // columns) * largest), "white")
    for row in range(count):
        small = image(row).convert("RGB").resize((largest, largest), Image.Resampling.BOX)
        sheet.paste(small, (row % columns * largest, row // columns * largest))
    address, side = "", largest
    for wanted, quality in _SIDES:
        side = min(wanted, largest)
        size = (columns * side, -(-count // columns) * side)
        stream = io.BytesIO()
        sheet.resize(size, Image.Resampling.BOX).save(stream, format="WEBP", quality=quality, method=2)
        address = f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
        if len(address) <= _BUDGET:
            break
    return address, side, columns


def _part(name: str) -> str:
    return (files("vitscope.report") / "templates" / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
