"""The comparison of a page's runs: numbers with intervals beside each other, and paired tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.comparison import compare
from vitscope.analysis.estimates import METRICS
from vitscope.analysis.matching import Labelling, check_same_images
from vitscope.analysis.significance import LEVEL
from vitscope.errors import InputError
from vitscope.report.page_text import p_value, per_cent, shown, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitscope.analysis.differences import Difference
    from vitscope.report.page_runs import Run
    from vitscope.report.page_text import Told

__all__ = ["compare_runs", "overview"]

_SHARES = ("accuracy", "top5", "balanced_accuracy")
_SHORT = ("accuracy", "top-5", "balanced", "NLL", "Brier", "ECE")
_TITLES = {
    "accuracy": "accuracy",
    "top5": "top-5 accuracy",
    "balanced_accuracy": "balanced accuracy",
    "nll": "negative log-likelihood",
    "brier": "Brier score",
    "ece": "calibration error",
}
_CLASSES = 12  # classes that differ, at most, of each pair


def overview(runs: Sequence[Run]) -> dict[str, Any]:
    """Return a row a run: each metric with its interval, and the accuracy's place on a common line."""
    ends = np.array([run.metrics["accuracy_interval"] for run in runs], dtype=np.float64)
    low, high = float(ends.min()), float(ends.max())
    margin = max(0.1 * (high - low), 1e-6)
    low, extent = low - margin, high - low + 2 * margin
    rows = []
    for run, bounds in zip(runs, ends, strict=True):
        value = run.metrics["accuracy"]
        places = [round(200 * (place - low) / extent, 1) for place in (bounds[0], value, bounds[1])]
        rows.append(
            {
                "name": shown(run.name),
                "cells": [_cell(run, metric) for metric in METRICS],
                "places": places,
                "n": run.metrics["n"],
            }
        )
    titles = [(short, _TITLES[metric]) for short, metric in zip(_SHORT, METRICS, strict=True)]
    return {"titles": titles, "rows": rows}


def _cell(run: Run, metric: str) -> dict[str, Any]:
    value = run.metrics.get(metric)
    told = tell(value, run.metrics.get(f"{metric}_interval"), percent=metric in _SHARES)
    return {"told": told, "order": np.inf if value is None else value}


def compare_runs(runs: Sequence[Run]) -> dict[str, Any]:
    """Return paired differences and tests of every two runs, or why there are none.

    `reason` is empty where they are of the same images; else there are no `pairs`.
    """
    try:
        check_same_images({run.name: Labelling.of(run.predictions) for run in runs})
    except InputError as error:
        return {"reason": shown(str(error)), "pairs": []}
    found = compare({run.name: run.rows for run in runs})
    return {"reason": "", "n": found.n, "pairs": [_pair(each) for each in found.differences]}


def _pair(each: Difference) -> dict[str, Any]:
    columns = zip(METRICS, each.values.tolist(), each.intervals.tolist(), strict=True)
    return {
        "model": shown(each.model),
        "reference": shown(each.reference),
        "metrics": [
            {"title": _TITLES[metric], "told": _difference(metric, value, bounds)}
            for metric, value, bounds in columns
        ],
        "only_model": each.overlap.only_model,
        "only_reference": each.overlap.only_reference,
        "agreement": per_cent(each.overlap.same),
        "p": p_value(each.p),
        "p_holm": p_value(each.p_holm),
        "differs": each.p_holm < LEVEL,
        "classes": _classes(each),
        "level": LEVEL,
    }


def _difference(metric: str, value: float, bounds: Sequence[float]) -> Told:
    return tell(value, bounds, percent=metric in _SHARES, difference=True)


def _classes(each: Difference) -> list[dict[str, Any]]:
    """Return the classes that differ for certain, the largest difference first."""
    table = each.classes
    certain = np.flatnonzero(table.p_holm < LEVEL)
    certain = certain[np.argsort(-np.abs(table.value[certain]), kind="stable")][:_CLASSES]
    return [
        {
            "name": shown(table.classes[place]),
            "told": _difference("accuracy", float(table.value[place]), table.interval[place].tolist()),
            "p": p_value(float(table.p_holm[place])),
        }
        for place in certain.tolist()
    ]
