"""Evidence on a page: how faithful the maps are, and the figures of an embedding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from PIL import Image

from vitscope.analysis.perturbation_curves import mean_curves
from vitscope.errors import InputError
from vitscope.records.faithfulness import METRICS, Faithfulness, is_baseline
from vitscope.report.page_charts import draw_curves
from vitscope.report.page_text import shown, tell
from vitscope.report.sprites import data_address

if TYPE_CHECKING:
    from pathlib import Path

    from vitscope.report.page_charts import Chart
    from vitscope.report.page_runs import Run

__all__ = ["find_embedding", "find_evidence"]

_CURVES = {
    "deletion": ("Deletion", "pixels taken out, %"),
    "insertion": ("Insertion", "pixels put in, %"),
    "road_morf": ("ROAD, most relevant first", "pixels taken out, %"),
    "road_lerf": ("ROAD, least relevant first", "pixels taken out, %"),
}
_WIDEST = 1200  # pixels of a figure on the page
_MOST = 6  # figures of an embedding


def find_evidence(run: Run) -> dict[str, Any] | None:
    """Return the newest faithfulness folder's scores and curves; None where there is none.

    Raises:
        InputError: The folder is damaged.
    """
    folders = run.beside.get("vitscope.faithfulness", ())
    if not folders:
        return None
    told = _read(folders[0] / "faithfulness.json")
    record = Faithfulness.load(folders[0] / "faithfulness.npz")
    metrics = [METRICS[name] for name in record.metrics]
    return {
        "folder": shown(str(folders[0])),
        "n": len(record),
        "target": told.get("target", "predicted"),
        "warnings": [str(each) for each in told.get("warnings", ())],
        "metrics": metrics,
        "rows": [_score_row(row, record) for row in told.get("methods", ())],
        "charts": _charts(record),
    }


def _score_row(row: dict[str, Any], record: Faithfulness) -> dict[str, Any]:
    cells = []
    for name in record.metrics:
        compared = [row[key] for kind in ("random", "centre") if (key := f"{name}_beats_{kind}") in row]
        beats = bool(compared) and all(compared)
        cells.append({"told": tell(row[name], row[f"{name}_interval"]), "beats": beats, "order": row[name]})
    return {
        "method": shown(row["method"]),
        "baseline": is_baseline(row["method"]),
        "verdict": row["verdict"],
        "cells": cells,
    }


def _charts(record: Faithfulness) -> list[Chart]:
    grey = [name for name in record.methods if is_baseline(name)]
    return [
        draw_curves(_CURVES[name][0], curves, x_label=_CURVES[name][1], grey=grey)
        for name, curves in mean_curves(record, replicates=2).items()
        if name in _CURVES
    ]


def find_embedding(run: Run) -> dict[str, Any] | None:
    """Return the newest embedding folder's figures, as pictures; None where there is none."""
    folders = run.beside.get("vitscope.embedding", ())
    if not folders:
        return None
    files = sorted((folders[0] / "figures").glob("*.png"))
    said = _captions(folders[0] / "figures" / "captions.json")
    figures = [
        {"name": shown(said.get(file.stem, file.stem)), "address": _figure(file)} for file in files[:_MOST]
    ]
    return {"folder": shown(str(folders[0])), "figures": figures} if figures else None


def _captions(path: Path) -> dict[str, str]:
    """Return what is said of each figure; nothing where there are no captions."""
    if not path.is_file():
        return {}
    return {name: text for name, text in _read(path).items() if isinstance(text, str)}


def _figure(file: Path) -> str:
    """Return a figure as an address, no wider than a page shows.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with Image.open(file, formats=("PNG",)) as image:
            figure = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{file} cannot be read: {error}", hint="make it again with `vitscope embed`"
        ) from error
    if figure.width > _WIDEST:
        figure = figure.resize(
            (_WIDEST, round(figure.height * _WIDEST / figure.width)), Image.Resampling.LANCZOS
        )
    return data_address(figure)


def _read(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="make its folder again") from error
    return value
