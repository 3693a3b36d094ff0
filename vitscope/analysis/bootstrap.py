"""The bootstrap: how much a number would change with other images of the same kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import numpy as np

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["REPLICATES", "Method", "Statistic", "bootstrap", "enough", "interval", "resampled_weights"]

REPLICATES = 1000
"""How often a single model's images are drawn anew; comparisons take twice as many."""

_RARE = 5
_STILL = 1e-12  # draws that differ by less of their size differ by rounding
_TAILS = (0.025, 0.975)
_THREADS = min(4, os.cpu_count() or 1)

Statistic = Callable[["NDArray[np.float64]"], float]
"""A number of a weighted set of images: `[image]` weights, whole numbers ≥ 0 summing to their count.

With every weight 1 it is the number itself. It must not change the weights.
"""

Method = Literal["percentile", "basic", "squared"]
"""How an interval is made of draws; see `interval`."""


def resampled_weights(count: int, *, replicate: int, seed: int = 0) -> NDArray[np.float64]:
    """Return how often each of `count` images is drawn in one replicate: `[image]`, summing to `count`.

    It depends on nothing but the arguments, so that several models, and several statistics, that are given
    the same images see the same draws.
    """
    draws = np.random.default_rng((seed, replicate)).integers(count, size=count)
    return np.bincount(draws, minlength=count).astype(np.float64)


def bootstrap(
    statistics: Mapping[str, Statistic], count: int, *, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Compute statistics of images drawn with replacement, all statistics of the same draws.

    *Source*: Efron 1979, "Bootstrap methods: another look at the jackknife".

    Args:
        statistics: Functions of the images' weights, by name.
        count: The number of images.
        replicates: How often to draw.
        seed: The seed; the result is the same for the same seed, whatever the number of threads.

    Returns:
        `[replicate]` a statistic, by name; NaN where a statistic is not defined for a draw.

    Raises:
        UsageError: There is less than one image or replicate.
    """
    if count < 1 or replicates < 1:
        raise UsageError(
            f"expected at least one image and one replicate, got {count} images and {replicates} replicates"
        )

    def draw(replicate: int) -> list[float]:
        weights = resampled_weights(count, replicate=replicate, seed=seed)
        weights.flags.writeable = False
        return [statistic(weights) for statistic in statistics.values()]

    from threadpoolctl import threadpool_limits

    # Threads of our own do the work: a dot product that starts more of them waits for a core each time.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(_THREADS) as pool:
        values = np.array(list(pool.map(draw, range(replicates)))).reshape(replicates, len(statistics))
    return dict(zip(statistics, values.T, strict=True))


def enough(correct: NDArray[np.bool_]) -> bool:
    """Return whether at least five predictions are right, and five wrong: `[image]`.

    Fewer than that, and no bootstrap can know how often the rare kind occurs: where none is wrong, the draws
    hardly vary at all. Simulated with calibrated models and 100 images, 300 samples each, the intervals of
    the likelihood and of the Brier score held the true value in this share of samples, the lower of the two;
    those of the calibration errors, which is 0, in at least 88 % of all and 97 % of those with enough:

    ==========  ===========  ============  ===========
    wrong       all samples  with enough   have enough
    ==========  ===========  ============  ===========
    1 %         0.62         none have it  0.00
    2 %         0.87         0.92          0.04
    5 %         0.89         0.95          0.54
    10 %        0.91         0.94          0.97
    ==========  ===========  ============  ===========
    """
    right = int(np.count_nonzero(correct))
    return min(right, len(correct) - right) >= _RARE


def interval(
    values: NDArray[np.float64],
    estimate: float,
    *,
    method: Method = "percentile",
    low: float = -np.inf,
    high: float = np.inf,
) -> tuple[float, float] | None:
    """Return the 95 % interval of a number from its bootstrap draws, or None where there is none.

    With q the 2.5 % and 97.5 % quantiles of the draws:

    - `percentile`: (q₁, q₂), for means and other numbers without bias.
    - `basic`: (2θ̂ − q₂, 2θ̂ − q₁), which takes off the bias, where that is the same for every θ.
    - `squared`: the basic interval of θ², for calibration errors. Such an error is a length: noise of
      variance v makes E θ̂² = θ² + v, and drawing adds v once more, E θ*² = θ̂² + v, so that it is on the
      scale of squares that the bias is taken off. The upper end lies above θ̂ by at least as much as q₂ above
      the draws' mean.

    Simulated with a calibrated model and three miscalibrated ones (true errors 0.01 to 0.05), 200 samples
    each, the intervals of the equal-width, equal-mass, L2 and smooth error held the true value in this share
    of samples, the least and the most of the sixteen cases of each size:

    ==========  ============  ============
    images               500          5000
    ==========  ============  ============
    percentile   0.00 … 0.90   0.00 … 0.91
    basic        0.13 … 0.90   0.00 … 0.91
    squared      0.97 … 1.00   0.94 … 1.00
    ==========  ============  ============

    *Source*: Efron and Tibshirani 1993, chapters 13 and 14, for the first two.

    Args:
        values: `[replicate]`; those that are not finite are left out.
        estimate: θ̂, the number of the images themselves; at least 0 for `squared`.
        method: As above.
        low: The least value that the number can have.
        high: The largest.

    Returns:
        The interval within `low` … `high`; None where the estimate is not finite, more than half of the
        draws are not, or they do not vary: of images all alike, nothing can be told of others.
    """
    finite = values[np.isfinite(values)]
    if not np.isfinite(estimate) or 2 * len(finite) < len(values):
        return None
    if np.ptp(finite) <= _STILL * np.abs(finite).max():
        return None
    first, last = np.quantile(finite, _TAILS)
    if method == "percentile":
        ends = first, last
    elif method == "basic":
        ends = 2 * estimate - last, 2 * estimate - first
    else:
        low_square, high_square = 2 * estimate**2 - last**2, 2 * estimate**2 - first**2
        above = estimate + last - finite.mean()
        ends = max(0.0, low_square) ** 0.5, max(above, max(0.0, high_square) ** 0.5)
    return float(np.clip(ends[0], low, high)), float(np.clip(ends[1], low, high))
