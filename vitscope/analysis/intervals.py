"""Intervals of proportions."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["wilson"]


def wilson(successes: ArrayLike, trials: ArrayLike, *, confidence: float = 0.95) -> NDArray[np.float64]:
    """Return the Wilson score interval of a proportion.

    With p = k/n and z the normal quantile: centre (p + z²/2n)/(1 + z²/n), half-width
    z/(1 + z²/n)·√(p(1 − p)/n + z²/4n²). No continuity correction.

    *Source*: Wilson 1927; recommended over the normal interval by Brown, Cai and DasGupta 2001.

    Args:
        successes: k, any shape, in 0 … n.
        trials: n, of the same shape.
        confidence: The nominal coverage, in (0, 1).

    Returns:
        `[…, 2]`: low and high, in 0 … 1, exactly 0 where k = 0 and exactly 1 where k = n; NaN where n = 0.

    Raises:
        UsageError: k is not in 0 … n, or the confidence is not in (0, 1).
    """
    if not 0 < confidence < 1:
        raise UsageError(f"expected a confidence between 0 and 1, got {confidence}")
    hits, count = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    if np.any((hits < 0) | (hits > count)):
        raise UsageError("expected successes between 0 and the number of trials")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / count
        scale = 1 + z**2 / count
        centre = (share + z**2 / (2 * count)) / scale
        half = z / scale * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low = np.where(hits == 0, 0.0, centre - half)
    high = np.where(hits == count, 1.0, centre + half)
    bounds = np.stack([low, high], axis=-1)
    return np.where((count > 0)[..., None], bounds, np.nan)
