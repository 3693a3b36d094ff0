"""The tables of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.estimates import METRICS
from vitscope.analysis.tables import write_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from vitscope.analysis.comparison import Comparison

__all__ = ["save_tables"]

_PAPER = ("accuracy", "nll", "ece")
_PAIR = ("model", "reference")


def save_tables(comparison: Comparison, folder: Path) -> list[Path]:
    """Write a CSV file, with its LaTeX, for each table and return the paths of the CSV files.

    `comparison`: a line a model, with the metrics of a paper. `estimates`: every metric of every model.
    `differences`: every metric of every two models. `mcnemar`: a test of every two. `class_differences`:
    a line a class of every two. `agreement`: who is right where. `disagreements`: every image on which the
    predictions differ.
    """
    bounds = (bound for metric in _PAPER for bound in (metric, f"{metric}_low", f"{metric}_high"))
    counts = ("only_model", "only_reference")
    tables: dict[str, tuple[tuple[str, ...], Iterable[list[Any]], tuple[str, ...]]] = {
        "comparison": (("model", *bounds), _models(comparison), ("accuracy", "ece")),
        "estimates": (("model", "metric", "value", "low", "high"), _estimates(comparison), ()),
        "differences": ((*_PAIR, "metric", "difference", "low", "high"), _differences(comparison), ()),
        "mcnemar": (
            (*_PAIR, *counts, "accuracy_difference", "low", "high", "p", "p_mid", "p_holm"),
            _tests(comparison),
            ("accuracy_difference",),
        ),
        "class_differences": (
            (*_PAIR, "class", "n", "difference", "low", "high", *counts, "p", "p_holm"),
            _classes(comparison),
            ("difference",),
        ),
        "disagreements": (("image", "true", *comparison.models), _disagreements(comparison), ()),
    }
    for name, (columns, rows, percent) in tables.items():
        write_table(folder / f"{name}.csv", columns, rows, percent=percent)
    return [*(folder / f"{name}.csv" for name in tables), comparison.agreement.save(folder)]


def _models(comparison: Comparison) -> Iterator[list[Any]]:
    chosen = [METRICS.index(name) for name in _PAPER]
    for name, values, intervals in _by_model(comparison):
        bounds = np.column_stack([values, intervals])[chosen]
        yield [name, *bounds.ravel().tolist()]


def _estimates(comparison: Comparison) -> Iterator[list[Any]]:
    for name, values, intervals in _by_model(comparison):
        for metric, value, bounds in zip(METRICS, values.tolist(), intervals.tolist(), strict=True):
            yield [name, metric, value, *bounds]


def _by_model(comparison: Comparison) -> Iterator[tuple[str, Any, Any]]:
    estimates = comparison.estimates
    return zip(comparison.models, estimates.values, estimates.intervals, strict=True)


def _differences(comparison: Comparison) -> Iterator[list[Any]]:
    for each in comparison.differences:
        columns = zip(METRICS, each.values.tolist(), each.intervals.tolist(), strict=True)
        for metric, value, bounds in columns:
            yield [each.model, each.reference, metric, value, *bounds]


def _tests(comparison: Comparison) -> Iterator[list[Any]]:
    for each in comparison.differences:
        counts = (each.overlap.only_model, each.overlap.only_reference)
        value = (counts[0] - counts[1]) / each.overlap.n
        tests = (each.p, each.p_mid, each.p_holm)
        yield [each.model, each.reference, *counts, value, *each.score_interval, *tests]


def _classes(comparison: Comparison) -> Iterator[list[Any]]:
    for each in comparison.differences:
        yield from ([each.model, each.reference, *row] for row in each.classes.rows())


def _disagreements(comparison: Comparison) -> Iterator[list[Any]]:
    for row in comparison.disputed.tolist():
        said = [comparison.classes[each.predicted[row]] for each in comparison.outcomes]
        name = comparison.names[row] if comparison.names else str(row)
        yield [name, comparison.classes[comparison.outcomes[0].labels[row]], *said]
