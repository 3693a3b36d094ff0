"""The bootstrap: how much a number would change with other images of the same kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["REPLICATES", "Statistic", "bootstrap", "resampled_weights"]

REPLICATES = 1000
"""How often a single model's images are drawn anew; comparisons take twice as many."""

_THREADS = min(4, os.cpu_count() or 1)

Statistic = Callable[["NDArray[np.float64]"], float]
"""A number of a weighted set of images: `[image]` weights, whole numbers ≥ 0 summing to their count.

With every weight 1 it is the number itself. It must not change the weights.
"""


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

    with ThreadPoolExecutor(_THREADS) as pool:
        values = np.array(list(pool.map(draw, range(replicates)))).reshape(replicates, len(statistics))
    return dict(zip(statistics, values.T, strict=True))
