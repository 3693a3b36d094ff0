"""What `vitscope evaluate` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitscope.cli.console import result, table

if TYPE_CHECKING:
    from vitscope.report.evaluation import EvaluationReport

__all__ = ["summarise"]

_SHOWN = 5
_LARGE = 1e6  # from here on numbers are written like 1.234e+06
_SCORES = (
    ("negative log-likelihood", "nll"),
    ("Brier score", "brier"),
    ("calibration error", "ece"),
    ("smooth calibration error", "smooth_ece"),
    ("area under risk-coverage", "aurc"),
)


def summarise(report: EvaluationReport) -> None:
    """Print the numbers that a reader wants first, each with its 95 % interval."""
    metrics = report.evaluation.metrics()
    low, high = metrics["accuracy_interval"]
    result(
        f"accuracy  {metrics['accuracy']:.2%}  (95 % interval {low:.2%} to {high:.2%}, n = {metrics['n']:,})"
    )
    if metrics["n_not_finite"]:
        result(
            f"{metrics['n_not_finite']:,} images with logits that are not finite are left out of every number"
        )
    _scores(metrics)
    _optional(metrics)
    _classes(metrics)
    result(f"\nwritten to {report.folder}: metrics.json, tables/, figures/, predictions/")


def _scores(metrics: dict[str, Any]) -> None:
    rows = [
        ("top-5 accuracy", *_percent(metrics, "top5")),
        ("balanced accuracy", *_percent(metrics, "balanced_accuracy")),
        *((name, *_number(metrics, key)) for name, key in _SCORES),
    ]
    result("")
    table([("", "value", "95 % interval"), *rows])


def _optional(metrics: dict[str, Any]) -> None:
    """Print the analyses that were asked for, each in a line or two."""
    if "superclass_accuracy" in metrics:
        value, bounds = _percent(metrics, "superclass_accuracy")
        result(f"\nsuperclass accuracy {value} ({bounds})")
    if "temperature" in metrics:
        _temperature(metrics)
    if "conformal_coverage" in metrics:
        value, bounds = _percent(metrics, "conformal_coverage")
        promised = 1 - metrics["conformal_alpha"]
        result(
            f"\nprediction sets for {promised:.1%} coverage: {value} covered ({bounds}), "
            f"{metrics['conformal_mean_size']:.2f} classes a set"
        )
    for name, found in metrics.get("open_sets", {}).items():
        value, bounds = _number(found, "open_set_energy_auroc")
        missed = found["open_set_energy_fpr_at_95_tpr_foreign_positive"]
        result(
            f"\nforeign images, {name}: AUROC of the energy {value} ({bounds}), "
            f"{missed:.1%} of known images flagged where 95 % of the foreign are"
        )
    if "label_issues" in metrics:
        result(f"\ndoubtful labels: {metrics['label_issues']:,} ({metrics['label_issues_share']:.2%})")
    if "corruption_error" in metrics:
        value, bounds = _percent(metrics, "corruption_error")
        result(f"\nmean error on corrupted images {value} ({bounds}), {metrics['corruption_generator']}")


def _temperature(metrics: dict[str, Any]) -> None:
    if metrics["temperature"] is None:
        result(f"\nno temperature: {metrics['temperature_reason']}")
        return
    value, bounds = _number(metrics, "temperature")
    result(f"\ntemperature {value} ({bounds}), fitted on {metrics['temperature_n']:,} held-out images")
    rows = [
        (name, _number(metrics, key)[0], _number(metrics, f"calibrated_{key}")[0])
        for name, key in _SCORES
        if f"calibrated_{key}" in metrics
    ]
    table([("", "before", "after"), *rows])


def _classes(metrics: dict[str, Any]) -> None:
    measured = [row for row in metrics["per_class"] if row["accuracy"] is not None]
    weakest = sorted(measured, key=lambda row: row["accuracy"])[:_SHOWN]
    result("\nweakest classes")
    rows = [(row["class"], f"{row['accuracy']:.1%}", f"{row['correct']}/{row['n']}") for row in weakest]
    table([("class", "accuracy", "right"), *rows])
    if pairs := metrics["confusion_pairs"][:_SHOWN]:
        result("\nmost confused")
        shown = [
            (f"{row['true']} taken for {row['predicted']}", f"{row['share']:.1%}", str(row["count"]))
            for row in pairs
        ]
        table([("pair", "share", "images"), *shown])


def _percent(metrics: dict[str, Any], key: str) -> tuple[str, str]:
    value, bounds = metrics[key], metrics.get(f"{key}_interval")
    if value is None:
        return "n/a", ""
    return f"{value:.2%}", "" if bounds is None else f"{bounds[0]:.2%} to {bounds[1]:.2%}"


def _number(metrics: dict[str, Any], key: str) -> tuple[str, str]:
    value, bounds = metrics[key], metrics.get(f"{key}_interval")
    if value is None:
        return "n/a", ""
    return _written(value), "" if bounds is None else f"{_written(bounds[0])} to {_written(bounds[1])}"


def _written(value: float) -> str:
    return f"{value:z.4f}" if abs(value) < _LARGE else f"{value:.4g}"
