"""What figures of an evaluation's numbers show, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.figures.exhibit import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vitscope.analysis.accuracy import ClassAccuracy
    from vitscope.analysis.calibration import Reliability
    from vitscope.analysis.confidence import ConfidenceHistogram
    from vitscope.analysis.confusion import Confusion
    from vitscope.analysis.corruption import CorruptionResult
    from vitscope.analysis.coverage import ConformalResult
    from vitscope.analysis.openset import OpenSet
    from vitscope.analysis.selective import RiskCoverage
    from vitscope.analysis.smoothing import SmoothCalibration

__all__ = [
    "class_accuracy_data",
    "columns_of",
    "confidence_data",
    "conformal_data",
    "confusion_data",
    "corruptions_data",
    "open_set_data",
    "reliability_data",
    "risk_coverage_data",
]


def columns_of(**columns: Any) -> Table:  # noqa: ANN401 - arrays and sequences
    """Return a table of columns of one length: arrays, or sequences of plain values."""
    plain = (each.tolist() if isinstance(each, np.ndarray) else list(each) for each in columns.values())
    return Table(tuple(columns), [list(row) for row in zip(*plain, strict=True)])


def class_accuracy_data(result: ClassAccuracy) -> Table:
    """Return the accuracy of every class, and of all images in the last row."""
    overall = result.overall
    rows = [
        [row["class"], row["n"], row["correct"], row["accuracy"], *(row["interval"] or (None, None))]
        for row in result.rows()
    ]
    rows.append(["all images", overall.n, overall.correct, overall.value, *overall.interval])
    return Table(("class", "n", "correct", "accuracy", "low", "high"), rows)


def confusion_data(result: Confusion) -> Table:
    """Return the cells of the matrix that hold images, with their share of the true class."""
    true, predicted = result.true, result.predicted
    return columns_of(
        true=[result.classes[place] for place in true.tolist()],
        predicted=[result.classes[place] for place in predicted.tolist()],
        count=result.count,
        share=result.count / result.totals[true],
    )


def reliability_data(results: Mapping[str, tuple[Reliability, SmoothCalibration | None]]) -> Table:
    """Return the bins of each diagram, and then the points of its curve."""
    bins = ("bin_low", "bin_high", "n", "confidence", "accuracy", "low", "high", "band_low", "band_high")
    rows: list[list[Any]] = []
    for panel, (result, smooth) in results.items():
        rows += [[panel, "bin", *row, None] for row in result.rows()]
        if smooth is not None:
            curve = zip(smooth.confidence.tolist(), smooth.accuracy.tolist(), smooth.density.tolist())  # noqa: B905
            nothing = [None] * 4
            rows += [[panel, "curve", None, None, None, x, y, *nothing, density] for x, y, density in curve]
    return Table(("panel", "part", *bins, "density"), rows)


def confidence_data(result: ConfidenceHistogram) -> Table:
    """Return the bins of the histogram."""
    return columns_of(
        bin_low=result.edges[:-1], bin_high=result.edges[1:], right=result.right, wrong=result.wrong
    )


def risk_coverage_data(result: RiskCoverage) -> Table:
    """Return the points of the curve."""
    return columns_of(
        coverage=result.covered / result.n,
        covered=result.covered,
        risk=result.risk,
        low=result.interval[:, 0],
        high=result.interval[:, 1],
        optimal_risk=result.optimal_risk,
        threshold=result.threshold,
    )


def conformal_data(result: ConformalResult) -> Table:
    """Return the coverage by size of the set and by class."""
    rows: list[list[Any]] = []
    for part in result.strata:
        size = f"{part.low}" if part.low == part.high else f"{part.low} to {part.high}"
        rows.append(["size", size, part.n, part.covered, part.covered / part.n, *map(float, part.interval)])
    held = zip(
        *(result.classes, result.class_n.tolist(), result.class_covered.tolist()),
        *(result.class_coverage.tolist(), result.class_interval.tolist()),
        strict=True,
    )
    rows += [["class", name, n, covered, value, *ends] for name, n, covered, value, ends in held]
    return Table(("by", "value", "n", "covered", "coverage", "low", "high"), rows)


def open_set_data(result: OpenSet) -> Table:
    """Return the histogram of each score, and then the points of its ROC curve."""
    rows: list[list[Any]] = []
    for score in result.scores:
        edges = score.edges.tolist()
        bars = zip(edges[:-1], edges[1:], score.known.tolist(), score.foreign.tolist(), strict=True)
        rows += [[score.name, "histogram", *bar, None, None] for bar in bars]
        curve = (score.roc.false_positive_rate.tolist(), score.roc.true_positive_rate.tolist())
        rows += [[score.name, "roc", *[None] * 4, *point] for point in zip(*curve, strict=True)]
    names = ("bin_low", "bin_high", "known", "foreign", "false_positive_rate", "true_positive_rate")
    return Table(("score", "part", *names), rows)


def corruptions_data(result: CorruptionResult) -> Table:
    """Return the error of the clean images, then of each kind and severity."""
    rows: list[list[Any]] = [
        ["none", 0, result.n, float(result.clean_error), *map(float, result.clean_interval)]
    ]
    for row, kind in enumerate(result.kinds):
        for column, severity in enumerate(result.severities):
            ends = result.interval[row, column].tolist()
            scored, error = int(result.n_scored[row, column]), float(result.error[row, column])
            rows.append([kind, severity, scored, error, *ends])
    return Table(("kind", "severity", "n", "error", "low", "high"), rows)
