"""The embedding's page: points under the mouse show their images; one file, and no request leaves it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vitscope.figures.embedding import settings_line
from vitscope.paths import write_text
from vitscope.report.page_text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vitscope.figures.embedding import ColorBy, Groups
    from vitscope.records.embedding import Embedding

__all__ = ["embedding_page", "write_page"]

_MOST = 10_000  # images of a page
_SIDES = ((32, 75), (32, 55), (24, 60), (24, 35), (16, 40))  # pixels of a thumbnail, and WebP's quality
_ROOM = 9_600_000  # letters of the page, with plotly.js and the sprite
_WIDEST = 16_000  # pixels of a WebP picture's side, which the format limits
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def write_page(
    embeddings: Sequence[Embedding],
    image: Callable[[int], Image.Image],
    path: Path,
    *,
    color: ColorBy = "class",
    superclasses: Groups | None = None,
) -> None:
    """Write the page of embeddings.

    Args:
        embeddings: Of the same images in the same order; a panel each.
        image: An image by its row.
        path: The file.
        color: What colours tell first; the page's reader can choose another.
        superclasses: The groups of the first one's classes, where colours can tell these.
    """
    write_text(path, embedding_page(embeddings, image, color=color, superclasses=superclasses))


def embedding_page(
    embeddings: Sequence[Embedding],
    image: Callable[[int], Image.Image],
    *,
    color: ColorBy = "class",
    superclasses: Groups | None = None,
) -> str:
    """Return the page: plotly.js, the points and one sprite of thumbnails inside it.

    Of more than 10,000 images a seeded sample is shown, and the page says so. Names reach it as JSON with
    every letter that HTML knows escaped, and are only ever set as text. The content security policy lets
    nothing run but both scripts by their SHA-256, and nothing be loaded.
    """
    from plotly.offline import get_plotlyjs

    first = embeddings[0]
    drawn = np.random.default_rng(0).choice(len(first), min(_MOST, len(first)), replace=False)
    rows = np.sort(drawn)
    library, script = get_plotlyjs().replace("</script", "<\\/script"), _part("embedding.js")
    groups = superclasses and {
        "names": [shown(name) for name in superclasses.names],
        "member": superclasses.member.tolist(),
    }
    points = _json({**_points(embeddings, rows), "color": color, "groups": groups})
    sprite, side, columns = _sprite(rows, image, room=_ROOM - len(library.encode()) - len(points))
    text = f'{points[:-1]},"sprite":"{sprite}","side":{side},"columns":{columns}}}'
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
        '<option value="">all</option></select></label> '
        '<label>Colour <select id="color"></select></label> <output id="count"></output></form>\n'
        '<ul id="key"></ul><div id="plots"></div>\n'
        f'<div id="card"><canvas id="thumb" width="{side}" height="{side}"></canvas>'
        '<p id="about" aria-live="polite">Point at an image, or take Tab and the arrow keys.</p></div>\n'
        f'<script type="application/json" id="data">{text}</script>\n'
        f"<script>{library}</script>\n<script>{script}</script>\n</body></html>\n"
    )


def _points(embeddings: Sequence[Embedding], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return the images, each model's answers and each panel's places, as the page's script reads them."""
    first = embeddings[0]
    titles = [f"{each.model} {each.layer} ({each.token})" for each in embeddings]
    said = settings_line(first) if len(embeddings) == 1 else "all aligned to a by Procrustes"
    if len(rows) < len(first):
        said += f"; shown are {len(rows):,} of {len(first):,} images, drawn at random"
    answers: dict[str, dict[str, Any]] = {}
    panels = []
    for title, each in zip(titles, embeddings, strict=True):
        if each.model not in answers:
            answers[each.model] = {
                "model": shown(each.model),
                "classes": None if each.classes == first.classes else [shown(name) for name in each.classes],
                "predicted": each.predicted[rows].tolist(),
                "right": each.correct[rows].astype(int).tolist(),
                "confidence": np.nan_to_num(each.confidence[rows]).round(4).tolist(),
            }
        # Five digits are finer than a screen.
        unit = float(np.ptp(each.points, axis=0).max()) or 1.0
        x, y = ((each.points[rows] - each.points.min(axis=0)) / unit).round(5).T.tolist()
        place = list(answers).index(each.model)
        told = {"title": shown(title), "settings": settings_line(each)}
        panels.append(told | {"answer": place, "x": x, "y": y})
    return {
        "title": shown(titles[0]) if len(embeddings) == 1 else "Embeddings side by side",
        "settings": said,
        "classes": [shown(name) for name in first.classes],
        "names": [shown(first.names[row]) for row in rows],
        "labels": first.labels[rows].tolist(),
        "answers": list(answers.values()),
        "panels": panels,
    }


def _json(data: dict[str, Any]) -> str:
    """Return JSON without a letter that HTML knows."""
    text = json.dumps(data, separators=(",", ":"))
    return "".join(_ESCAPED.get(letter, letter) for letter in text)


def _sprite(
    rows: NDArray[np.int64], image: Callable[[int], Image.Image], *, room: int
) -> tuple[str, int, int]:
    """Return all thumbnails as one picture's address, a thumbnail's side, and how many stand in a row.

    The finest picture whose address has at most `room` letters, else the coarsest.
    """
    count = len(rows)
    columns = max(1, int(np.ceil(np.sqrt(count))))
    largest = min(_SIDES[0][0], _WIDEST // columns)
    sheet = Image.new("RGB", (columns * largest, -(-count // columns) * largest), "white")
    for place, row in enumerate(rows.tolist()):
        small = image(row).convert("RGB").resize((largest, largest), Image.Resampling.BOX)
        sheet.paste(small, (place % columns * largest, place // columns * largest))
    address, side = "", largest
    for wanted, quality in _SIDES:
        side = min(wanted, largest)
        size = (columns * side, -(-count // columns) * side)
        stream = io.BytesIO()
        sheet.resize(size, Image.Resampling.BOX).save(stream, format="WEBP", quality=quality, method=2)
        address = f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
        if len(address) <= room:
            break
    return address, side, columns


def _part(name: str) -> str:
    return (files("vitscope.report") / "templates" / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
