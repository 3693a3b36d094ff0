"""Evidence on a page: how faithful the maps are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitscope.analysis.perturbation_curves import mean_curves
from vitscope.records.faithfulness import METRICS, Faithfulness, is_baseline
from vitscope.report.page_charts import draw_curves
from vitscope.report.page_files import read_json, reading
from vitscope.report.page_text import shown, tell

if TYPE_CHECKING:
    from vitscope.report.page_axes import Chart
    from vitscope.report.page_runs import Run

__all__ = ["find_evidence"]

_CURVES = {
    "deletion": ("Deletion", "pixels taken out, %"),
    "insertion": ("Insertion", "pixels put in, %"),
    "road_morf": ("ROAD, most relevant first", "pixels taken out, %"),
    "road_lerf": ("ROAD, least relevant first", "pixels taken out, %"),
}


def find_evidence(run: Run) -> dict[str, Any] | None:
    """Return the newest faithfulness folder's scores and curves; None where there is none.

    Raises:
        InputError: The folder is damaged.
    """
    folders = run.beside.get("vitscope.faithfulness", ())
    if not folders:
        return None
    path = folders[0] / "faithfulness.json"
    told = read_json(path, maker="faithfulness")
    record = Faithfulness.load(folders[0] / "faithfulness.npz")
    with reading(path, maker="faithfulness"):
        return {
            "folder": shown(str(folders[0])),
            "n": len(record),
            "target": told.get("target", "predicted"),
            "warnings": [str(each) for each in told.get("warnings", ())],
            "metrics": [METRICS[name] for name in record.metrics],
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
