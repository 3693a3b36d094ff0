"""The numbers of a page: the summary, what was asked for beside it, and every class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.report.page_text import per_cent, shown, tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vitscope.analysis.calibration import Reliability
    from vitscope.analysis.confusion import Confusion
    from vitscope.report.page_runs import Run

__all__ = ["bin_rows", "calibrated_rows", "class_rows", "extra_rows", "summary_rows", "tiles"]

_LISTED = 2000  # classes up to which all are listed
_WEAKEST = 200  # classes listed of more
_BAR = 100.0  # units of a class's bar

_SUMMARY = (
    ("accuracy", "accuracy", True, "images predicted right"),
    ("top5", "top-5 accuracy", True, "true class among the five likeliest"),
    ("balanced_accuracy", "balanced accuracy", True, "mean of the classes' accuracies"),
    ("nll", "negative log-likelihood", False, "mean of ln 1/p of the true class"),
    ("brier", "Brier score", False, "mean squared error of the probabilities, 0 to 2"),
    ("ece", "calibration error", False, "confidence against accuracy, in bins"),
    ("smooth_ece", "smooth calibration error", False, "the same without bins"),
    ("aurc", "area under risk-coverage", False, "error rate where the unsure may be declined"),
    ("error_auroc", "AUROC of errors", False, "how well confidence tells right from wrong"),
)
_FIRST = ("accuracy", "top-5 accuracy", "calibration error")
_SCORES = ("nll", "brier", "ece", "smooth_ece")


def summary_rows(run: Run) -> list[dict[str, Any]]:
    """Return a row a number: title, the number with its interval, and what it means."""
    numbers = run.metrics
    return [
        {
            "title": title,
            "told": tell(numbers[key], numbers.get(f"{key}_interval"), percent=share),
            "meaning": meaning,
        }
        for key, title, share, meaning in _SUMMARY
        if key in numbers and not (key == "top5" and len(run.classes) <= 5)
    ]


def tiles(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of a summary that a reader wants first."""
    return [row for row in rows if row["title"] in _FIRST]


def extra_rows(run: Run) -> list[dict[str, Any]]:
    """Return a row for each analysis that was asked for when the model was evaluated."""
    return [
        {"title": title, "told": tell(value, bounds, percent=share), "meaning": meaning}
        for title, value, bounds, share, meaning in _extras(run.metrics)
    ]


def _extras(numbers: Mapping[str, Any]) -> Iterator[tuple[str, float | None, Any, bool, str]]:
    def of(key: str) -> tuple[float | None, Any]:
        return numbers[key], numbers.get(f"{key}_interval")

    if "superclass_accuracy" in numbers:
        yield "superclass accuracy", *of("superclass_accuracy"), True, "right group of classes"
    if numbers.get("temperature") is not None:
        yield (
            "temperature",
            *of("temperature"),
            False,
            f"fitted on {numbers['temperature_n']:,} held-out images",
        )
    if "conformal_coverage" in numbers:
        promised = f"{100 * (1 - numbers['conformal_alpha']):g} % promised"
        yield "coverage of prediction sets", *of("conformal_coverage"), True, promised
        yield "classes in a prediction set", *of("conformal_mean_size"), False, "on average"
    for name, found in numbers.get("open_sets", {}).items():
        value, bounds = found["open_set_energy_auroc"], found.get("open_set_energy_auroc_interval")
        yield f"AUROC against {shown(name)}", value, bounds, False, "foreign images told by their energy"
    if "label_issues" in numbers:
        yield (
            "doubtful labels",
            numbers["label_issues_share"],
            None,
            True,
            f"{numbers['label_issues']:,} images",
        )
    if "corruption_error" in numbers:
        yield "error on corrupted images", *of("corruption_error"), True, "mean over kinds and severities"


def calibrated_rows(run: Run) -> list[dict[str, Any]]:
    """Return a row a score, before and after temperature scaling; none where it was not asked for."""
    numbers, titles = run.metrics, {key: title for key, title, _, _ in _SUMMARY}
    return [
        {
            "title": titles[key],
            "before": tell(numbers[key], numbers.get(f"{key}_interval")),
            "after": tell(numbers[f"calibrated_{key}"], numbers.get(f"calibrated_{key}_interval")),
        }
        for key in _SCORES
        if f"calibrated_{key}" in numbers
    ]


def class_rows(run: Run, table: Confusion) -> tuple[list[dict[str, Any]], int]:
    """Return a row a class, the lowest accuracy first, those without images last, and how many are left out.

    Above 2,000 classes the 200 lowest are listed.
    """
    taken = _taken_for(table)
    rows = []
    for index, each in enumerate(run.metrics["per_class"]):
        value, bounds = each["accuracy"], each["interval"]
        most = taken.get(index)
        rows.append(
            {
                "name": shown(each["class"]),
                "n": each["n"],
                "correct": each["correct"],
                "told": tell(value, bounds, percent=True),
                "order": 2 if value is None else value,
                "bar": None
                if value is None
                else [round(_BAR * end, 1) for end in (bounds[0], value, bounds[1])],
                "taken": "" if most is None else shown(run.classes[most[0]]),
                "share": 0 if most is None else most[1],
                "taken_share": "" if most is None else per_cent(most[1]),
            }
        )
    rows.sort(key=lambda row: (row["order"], -row["n"]))
    kept = rows if len(rows) <= _LISTED else rows[:_WEAKEST]
    return kept, len(rows) - len(kept)


def _taken_for(table: Confusion) -> dict[int, tuple[int, float]]:
    """Return the class that each is taken for most often, and in which share of its images."""
    found: dict[int, tuple[int, float]] = {}
    for pair in table.pairs:
        found.setdefault(pair.true, (pair.predicted, pair.share))
    return found


def bin_rows(bins: Reliability) -> list[dict[str, Any]]:
    """Return a row a bin of the reliability diagram that has images."""
    rows = []
    for low, high, count, confidence, accuracy, *ends in bins.rows():
        if count:
            told = tell(accuracy, ends[:2], percent=True)
            row = {"range": f"{100 * low:.0f} to {100 * high:.0f} %", "count": count, "told": told}
            rows.append(
                row | {"confidence": tell(confidence, percent=True).value, "gap": _gap(accuracy - confidence)}
            )
    return rows


def _gap(difference: float) -> str:
    text = f"{100 * difference:+.1f}"
    return text.replace("-", "\N{MINUS SIGN}") if np.isfinite(difference) else "n/a"
