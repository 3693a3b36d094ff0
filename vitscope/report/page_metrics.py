"""The numbers of an evaluation as a page takes them: checked to be what `vitscope evaluate` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_whole"]

_MOST_BINS = 1000
_NUMBERS = (
    *("n", "n_not_finite", "accuracy", "top5", "balanced_accuracy", "nll", "brier", "ece", "smooth_ece"),
    *("aurc", "error_auroc", "superclass_accuracy", "temperature", "conformal_coverage", "corruption_error"),
    *("conformal_mean_size", "label_issues", "calibrated_nll", "calibrated_brier", "calibrated_ece"),
    "calibrated_smooth_ece",
)
# Numbers that are told together.
_PARTNERS = {
    "temperature": "temperature_n",
    "conformal_coverage": "conformal_alpha",
    "label_issues": "label_issues_share",
}


def is_whole(metrics: Mapping[str, Any], classes: tuple[str, ...]) -> bool:
    """Tell whether numbers are numbers, intervals pairs of them, and every class is there once, in order."""
    rows = metrics.get("per_class", [])
    bins = metrics.get("ece_bins", 1)
    return (
        all(_is_pair(value) for key, value in metrics.items() if key.endswith("_interval"))
        and all(_is_number(metrics[key]) for key in (*_NUMBERS, *_PARTNERS.values()) if key in metrics)
        and all(partner in metrics for key, partner in _PARTNERS.items() if metrics.get(key) is not None)
        and isinstance(bins, int)
        and 1 <= bins <= _MOST_BINS
        and isinstance(rows, list)
        and (not rows or [row.get("class") if isinstance(row, dict) else None for row in rows] == [*classes])
        and all(_is_class(row) for row in rows)
        and all(
            isinstance(each, dict) and _is_number(each.get("open_set_energy_auroc", ""))
            for each in _values(metrics.get("open_sets", {}))
        )
    )


def _is_class(row: Mapping[str, Any]) -> bool:
    value, bounds = row.get("accuracy"), row.get("interval")
    whole = isinstance(row.get("n"), int) and isinstance(row.get("correct"), int)
    return whole and _is_number(value) and (value is None or (bounds is not None and _is_pair(bounds)))


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_pair(value: object) -> bool:
    return value is None or (
        isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and None not in value
    )


def _values(found: object) -> list[object]:
    return list(found.values()) if isinstance(found, dict) else [found]
