"""Receiver operating characteristic: how well one number tells two kinds of images apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.intervals import wilson
from vitscope.analysis.tables import number
from vitscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Auroc",
    "AurocDifference",
    "RocCurve",
    "auroc",
    "average_precision",
    "delong_test",
    "false_positive_rate",
    "roc_curve",
]

_Z = NormalDist().inv_cdf(0.975)
_HAIR = 1e-9  # 0.95 × 20 is a hair above 19 in binary


@dataclass(frozen=True)
class Auroc:
    """The area under the ROC curve: P(positive > negative) + ½ P(positive = negative).

    Attributes:
        value: In 0 … 1; NaN where there is no positive or no negative.
        variance: DeLong's; NaN where there are fewer than two of either.
        interval: 95 %, in 0 … 1; NaN where the value is.
        n_positive: How many positives there are.
        n_negative: How many negatives there are.
    """

    value: float
    variance: float
    interval: tuple[float, float]
    n_positive: int
    n_negative: int

    def metrics(self) -> dict[str, Any]:
        """Return `auroc` and `auroc_interval` as JSON can hold them: None where not applicable."""
        applies = math.isfinite(self.value)
        return {"auroc": number(self.value), "auroc_interval": list(self.interval) if applies else None}


@dataclass(frozen=True)
class AurocDifference:
    """Two scores of the same images: the difference of their areas, first less second.

    Attributes:
        first: The area of the first score.
        second: The area of the second score.
        value: first − second, in −1 … 1.
        variance: DeLong's, of the difference.
        interval: 95 %, plain: value ± z √variance, clipped to −1 … 1.
        p_value: Two-sided, that the areas are equal; NaN where the variance is 0 and the difference is not.
    """

    first: Auroc
    second: Auroc
    value: float
    variance: float
    interval: tuple[float, float]
    p_value: float

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them: None where not applicable."""
        applies = math.isfinite(self.variance)
        return {
            "auroc_first": number(self.first.value),
            "auroc_second": number(self.second.value),
            "auroc_difference": number(self.value),
            "auroc_difference_interval": list(self.interval) if applies else None,
            "auroc_difference_p_value": number(self.p_value),
        }


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The curve's points, from (0, 0) to (1, 1); straight lines between them, also across ties.

    Attributes:
        false_positive_rate: `[point]`, ascending.
        true_positive_rate: `[point]`, ascending.
        threshold: `[point]`, a score of at least this is called positive; infinite at (0, 0).
    """

    false_positive_rate: Floats
    true_positive_rate: Floats
    threshold: Floats


def auroc(positive: ArrayLike, negative: ArrayLike) -> Auroc:
    """Return the exact area under the ROC curve with DeLong's variance and a 95 % interval.

    A = (1/mn) Σ_ij ψ(x_i, y_j), ψ = 1 where x > y, ½ where x = y, else 0: the Mann–Whitney statistic. With
    the placements V_i = mean_j ψ(x_i, y_j) and W_j = mean_i ψ(x_i, y_j), its variance is
    s²(V)/m + s²(W)/n, s² with one degree of freedom less. O(N log N) by sorting.

    The interval is on the logit scale, logit A ± z √variance / (A(1 − A)), and so stays within 0 … 1. Where
    the variance is 0 or not defined (a perfect separation, all scores equal, a single positive) it says
    nothing of the uncertainty; there it is Wilson's of A in min(m, n) pairs, as many as can be independent.

    *Source*: DeLong, DeLong and Clarke-Pearson 1988; the O(N log N) form, Sun and Xu 2014.

    Args:
        positive: `[image]`, scores of what is to be found; higher means more positive. May be infinite.
        negative: `[image]`, scores of the rest.

    Raises:
        InputError: A score is NaN.
    """
    x, y = _sorted(positive, "positive"), _sorted(negative, "negative")
    if not (x.size and y.size):
        return Auroc(math.nan, math.nan, (math.nan, math.nan), x.size, y.size)
    above, below = _placements(x, y)
    value = float(above.mean())
    variance = _variance(above) / x.size + _variance(below) / y.size
    return Auroc(value, variance, _interval(value, variance, min(x.size, y.size)), x.size, y.size)


def delong_test(first: ArrayLike, second: ArrayLike, positive: ArrayLike) -> AurocDifference:
    """Compare the areas of two scores of the same images.

    The variance of the difference is s²(V₁ − V₂)/m + s²(W₁ − W₂)/n with the placements of `auroc`: the
    covariances of both scores are within it. p = 2 Φ(−|difference| / √variance), which trusts in many images.

    *Source*: DeLong, DeLong and Clarke-Pearson 1988; the O(N log N) form, Sun and Xu 2014.

    Args:
        first: `[image]`, the first score; higher means more positive.
        second: `[image]`, the second score of the same images.
        positive: `[image]`, which of them are positive.

    Raises:
        InputError: Shapes do not fit, a score is NaN, or there are fewer than two positives or negatives.
    """
    kinds = np.asarray(positive, dtype=np.bool_)
    pair = [np.asarray(scores, dtype=np.float64) for scores in (first, second)]
    if any(scores.shape != kinds.shape for scores in pair) or kinds.ndim != 1:
        shapes = ", ".join(str(list(array.shape)) for array in (*pair, kinds))
        raise InputError(f"expected two scores and a kind an image, got {shapes}")
    m, n = int(np.count_nonzero(kinds)), int(np.count_nonzero(~kinds))
    if min(m, n) < 2:
        raise InputError(f"expected at least 2 positives and 2 negatives, got {m} and {n}")
    areas = [auroc(scores[kinds], scores[~kinds]) for scores in pair]
    above, below = zip(*(_placements(scores[kinds], scores[~kinds]) for scores in pair), strict=True)
    value = areas[0].value - areas[1].value
    variance = _variance(above[0] - above[1]) / m + _variance(below[0] - below[1]) / n
    half = _Z * math.sqrt(variance)
    return AurocDifference(
        first=areas[0],
        second=areas[1],
        value=value,
        variance=variance,
        interval=(max(-1.0, value - half), min(1.0, value + half)),
        p_value=_two_sided(value, variance),
    )


def false_positive_rate(positive: ArrayLike, negative: ArrayLike, *, tpr: float = 0.95) -> float:
    """Return the share of negatives called positive where at least `tpr` of the positives are found.

    The threshold is the ⌈tpr · m⌉-th largest of the m positive scores, itself included; what is equal to it
    is called positive on both sides. NaN where there is no positive or no negative.

    *Differs*: some code interpolates between points of the curve; no threshold does that.

    Args:
        positive: `[image]`, scores of what is to be found; higher means more positive.
        negative: `[image]`, scores of the rest.
        tpr: The true positive rate to reach, 0 < tpr ≤ 1.

    Raises:
        InputError: A score is NaN.
        UsageError: `tpr` is out of range.
    """
    if not 0 < tpr <= 1:
        raise UsageError(f"expected a true positive rate above 0 and up to 1, got {tpr}")
    x, y = _sorted(positive, "positive"), _sorted(negative, "negative")
    if not (x.size and y.size):
        return math.nan
    threshold = x[x.size - math.ceil(tpr * x.size - _HAIR)]
    return float(y.size - np.searchsorted(y, threshold)) / y.size


def average_precision(positive: ArrayLike, negative: ArrayLike) -> float:
    """Return the average precision, Σ (R_k − R_{k−1}) P_k over the distinct scores from the largest down.

    It depends on the share of positives: compare it on the same images only. NaN where there is no positive.
    Equal to `sklearn.metrics.average_precision_score`.

    Raises:
        InputError: A score is NaN.
    """
    hits, false, _ = _steps(positive, negative)
    if not hits[-1]:
        return math.nan
    return float(np.sum(np.diff(hits) * (hits[1:] / (hits[1:] + false[1:]))) / hits[-1])


def roc_curve(positive: ArrayLike, negative: ArrayLike, *, points: int = 1000) -> RocCurve:
    """Return the ROC curve, thinned to at most `points` of its corners, evenly along its way.

    Areas and rates are made of all images by `auroc` and `false_positive_rate`, never of these points.

    Raises:
        InputError: A score is NaN, or there is no positive or no negative.
        UsageError: Fewer than two points are asked for.
    """
    if points < 2:
        raise UsageError(f"expected at least 2 points, got {points}")
    hits, false, threshold = _steps(positive, negative)
    if not (hits[-1] and false[-1]):
        raise InputError(
            f"expected positives and negatives, got {int(hits[-1])} and {int(false[-1])}",
            hint="a curve needs some of both",
        )
    across, up = false / false[-1], hits / hits[-1]
    if up.size <= points:
        return RocCurve(across, up, threshold)
    way = across + up  # each corner is further along it than the last
    kept = np.unique(np.searchsorted(way, np.linspace(0, 2, points) - _HAIR).clip(max=way.size - 1))
    return RocCurve(across[kept], up[kept], threshold[kept])


def _sorted(scores: ArrayLike, what: str) -> Floats:
    values = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    if values.size and np.isnan(values[-1]):  # NaN sorts last
        raise InputError(f"expected {what} scores that are numbers, got NaN", hint="leave these images out")
    return values


def _placements(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the share of y below each x, and the share of x above each y; equals count as half."""
    order, ascending = np.sort(x), np.sort(y)

    def below(values: Floats, others: Floats) -> Floats:
        # Sorted queries keep the search in the cache; the ranks go back to where the values were.
        index = np.argsort(values, kind="stable")
        left, right = (np.searchsorted(others, values[index], side=side) for side in ("left", "right"))
        shares = np.empty(values.size)
        shares[index] = (left + right) / (2 * others.size)
        return shares

    return below(x, ascending), 1 - below(y, order)


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else math.nan


def _interval(value: float, variance: float, pairs: int) -> tuple[float, float]:
    # A hair of rounding in the placements is no variance.
    if not variance > 1e-24 or not 0 < value < 1:
        low, high = wilson(value * pairs, pairs).tolist()
        return low, high
    half = _Z * math.sqrt(variance) / (value * (1 - value))
    centre = math.log(value / (1 - value))
    return _logistic(centre - half), _logistic(centre + half)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def _two_sided(value: float, variance: float) -> float:
    if variance > 1e-24:
        return math.erfc(abs(value) / math.sqrt(2 * variance))
    return 1.0 if abs(value) < _HAIR else math.nan


def _steps(positive: ArrayLike, negative: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return how many positives and negatives have at least each distinct score, from none to all."""
    x, y = _sorted(positive, "positive"), _sorted(negative, "negative")
    scores = np.concatenate([x, y])
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], [True] * bool(scores.size)))
    hits = np.cumsum(order < x.size)[last]
    threshold = np.concatenate([[np.inf], scores[last]])
    return np.append(0.0, hits), np.append(0.0, last + 1 - hits), threshold
