"""Differences: two models on the same images, metric by metric and class by class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.estimates import METRICS, Estimates
from vitscope.analysis.significance import LEVEL, holm, mcnemar_exact, mcnemar_mid, tango
from vitscope.analysis.tables import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vitscope.analysis.agreement import Overlap
    from vitscope.analysis.outcomes import Outcomes

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["ClassDifferences", "Difference", "adjusted", "difference"]


@dataclass(frozen=True, eq=False)
class ClassDifferences:
    """How much more often a model is right than the reference, class by class.

    Attributes:
        classes: The class names.
        n: `[class]`, images of the class.
        only_model: `[class]`, those that the model alone has right.
        only_reference: `[class]`, those that the reference alone has right.
        value: `[class]`, (only_model − only_reference)/n, in −1 … 1; NaN where there is no image.
        interval: `[class, 2]`, Tango's 95 % score interval of one class by itself; NaN where there is none.
        p: `[class]`, McNemar's exact p-value; NaN where there is no image.
        p_holm: `[class]`, the same, adjusted for the number of classes with images.
    """

    classes: tuple[str, ...]
    n: Integers
    only_model: Integers
    only_reference: Integers
    value: Floats
    interval: Floats
    p: Floats
    p_holm: Floats

    def swapped(self) -> ClassDifferences:
        """Return the differences with model and reference in each other's place."""
        return replace(
            self,
            only_model=self.only_reference,
            only_reference=self.only_model,
            value=0.0 - self.value,
            interval=_mirrored(self.interval),
        )

    def rows(self) -> list[list[Any]]:
        """Return a row a class: its name and the attributes in order, the interval as two values."""
        columns = (
            self.n,
            self.value,
            *self.interval.T,
            self.only_model,
            self.only_reference,
            self.p,
            self.p_holm,
        )
        values = zip(*(column.tolist() for column in columns), strict=True)
        return [[name, *row] for name, row in zip(self.classes, values, strict=True)]


@dataclass(frozen=True, eq=False)
class Difference:
    """A model compared with a reference on the same images; every difference is model − reference.

    Attributes:
        model: The model's name.
        reference: The reference's name.
        values: `[metric]`, in the order of `METRICS`; NaN where one of both is not finite.
        intervals: `[metric, 2]`, paired bootstrap 95 %.
        score_interval: Tango's 95 % score interval of the difference of accuracies.
        overlap: Who is right where.
        p: McNemar's exact p-value of equal accuracies.
        p_mid: Its mid-p-value.
        p_holm: The exact one, adjusted for the number of pairs of models.
        classes: The same, class by class.
    """

    model: str
    reference: str
    values: Floats
    intervals: Floats
    score_interval: tuple[float, float]
    overlap: Overlap
    p: float
    p_mid: float
    p_holm: float
    classes: ClassDifferences

    def swapped(self) -> Difference:
        """Return the comparison with model and reference in each other's place."""
        low, high = self.score_interval
        return replace(
            self,
            model=self.reference,
            reference=self.model,
            values=0.0 - self.values,
            intervals=_mirrored(self.intervals),
            score_interval=(0.0 - high, 0.0 - low),
            overlap=self.overlap.swapped(),
            classes=self.classes.swapped(),
        )

    def metrics(self) -> dict[str, Any]:
        """Return the flat account as JSON can hold it; what is not applicable is None."""
        flat: dict[str, Any] = {"model": self.model, "reference": self.reference}
        for name, value, (low, high) in zip(METRICS, self.values, self.intervals, strict=True):
            flat[f"{name}_difference"] = number(value)
            bounds = [float(low), float(high)]
            flat[f"{name}_difference_interval"] = bounds if np.isfinite(bounds).all() else None
        return flat | {
            "accuracy_difference_score_interval": list(self.score_interval),
            "only_model_right": self.overlap.only_model,
            "only_reference_right": self.overlap.only_reference,
            "mcnemar_p": self.p,
            "mcnemar_mid_p": self.p_mid,
            "mcnemar_p_holm": self.p_holm,
            "agreement": self.overlap.same,
            "error_consistency": number(self.overlap.error_consistency),
            "classes_that_differ": int(np.count_nonzero(self.classes.p_holm < LEVEL)),
        }


def difference(
    names: tuple[str, str],
    pair: tuple[int, int],
    rows: Sequence[Outcomes],
    estimates: Estimates,
    overlap: Overlap,
) -> Difference:
    """Compare one model with another.

    Args:
        names: The model's and the reference's.
        pair: Their indices.
        rows: All models' scored outcomes of the same images.
        estimates: All models' metrics.
        overlap: Who of the two is right where.

    Returns:
        The comparison, its `p_holm` not yet adjusted.
    """
    model, reference = pair
    values, intervals = estimates.difference(model, reference)
    only_model, only_reference = overlap.only_model, overlap.only_reference
    low, high = tango(only_model, only_reference, overlap.n).tolist()
    p = float(mcnemar_exact(only_model, only_reference))
    return Difference(
        *names,
        values=values,
        intervals=intervals,
        score_interval=(low, high),
        overlap=overlap,
        p=p,
        p_mid=float(mcnemar_mid(only_model, only_reference)),
        p_holm=p,
        classes=_class_differences(rows[model], rows[reference]),
    )


def adjusted(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Return the differences with `p_holm` adjusted for their number."""
    together = holm([each.p for each in differences]).tolist()
    return tuple(replace(each, p_holm=p) for each, p in zip(differences, together, strict=True))


def _class_differences(model: Outcomes, reference: Outcomes) -> ClassDifferences:
    width = len(reference.classes)

    def count(chosen: NDArray[np.bool_] | slice) -> Integers:
        return np.bincount(reference.labels[chosen], minlength=width)

    total = count(slice(None))
    only_model, only_reference = (
        count(model.correct & ~reference.correct),
        count(reference.correct & ~model.correct),
    )
    p = np.where(total > 0, mcnemar_exact(only_model, only_reference), np.nan)
    with np.errstate(invalid="ignore"):
        value = (only_model - only_reference) / total
    return ClassDifferences(
        classes=reference.classes,
        n=total,
        only_model=only_model,
        only_reference=only_reference,
        value=value,
        interval=tango(only_model, only_reference, total),
        p=p,
        p_holm=holm(p),
    )


def _mirrored(intervals: Floats) -> Floats:
    return 0.0 - intervals[..., ::-1]
