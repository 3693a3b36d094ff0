"""Similarity of two maps: of their order, and of their structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.stats import rankdata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["spearman", "structural_similarity"]

_WINDOW = 7
_C1, _C2 = 0.01**2, 0.03**2


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> Floats:
    """Return Spearman's correlation of each pair of maps, `[image]`: Pearson's of the ranks, ties averaged.

    A map without differences has no order: 1 with another such map, 0 with any other.

    Args:
        one: `[image, row, column]`.
        other: Of the same shape.
    """
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (one, other)]
    first, second = (each - each.mean(axis=1, keepdims=True) for each in ranks)
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    flat = [(each**2).sum(axis=1) == 0 for each in (first, second)]
    found = (first * second).sum(axis=1) / np.where(scale > 0, scale, 1)
    return np.where(flat[0] & flat[1], 1.0, found)


def structural_similarity(one: NDArray[np.floating], other: NDArray[np.floating]) -> Floats:
    """Return the structural similarity (SSIM) of each pair of maps, `[image]`, both scaled to 0 … 1 first.

    The mean over all windows that lie within the map of
    (2·μ₁μ₂ + C₁)(2·σ₁₂ + C₂)/((μ₁² + μ₂² + C₁)(σ₁² + σ₂² + C₂)), with C₁ = 0.01², C₂ = 0.03². Windows are of
    7 × 7 cells with equal weights, smaller on a smaller map: of its shorter side, or one less where that is
    even. Variances are those of samples (n − 1). A map without differences is 0 throughout.

    *Source*: Wang et al. 2004, "Image quality assessment"; window, weights and variances are the defaults of
    scikit-image, with which Adebayo et al. 2018 measured.

    Args:
        one: `[image, row, column]`.
        other: Of the same shape.
    """
    first, second = (_scaled(maps) for maps in (one, other))
    shorter = min(one.shape[1:])
    side = min(_WINDOW, shorter - (shorter + 1) % 2)
    of_samples = side**2 / max(1, side**2 - 1)
    mean1, mean2 = _means(first, side), _means(second, side)
    variance1 = of_samples * (_means(first**2, side) - mean1**2)
    variance2 = of_samples * (_means(second**2, side) - mean2**2)
    covariance = of_samples * (_means(first * second, side) - mean1 * mean2)
    above = (2 * mean1 * mean2 + _C1) * (2 * covariance + _C2)
    below = (mean1**2 + mean2**2 + _C1) * (variance1 + variance2 + _C2)
    return np.asarray((above / below).mean(axis=(1, 2)))


def _scaled(maps: NDArray[np.floating]) -> Floats:
    values = maps.astype(np.float64)
    low = values.min(axis=(1, 2), keepdims=True)
    extent = values.max(axis=(1, 2), keepdims=True) - low
    return np.asarray((values - low) / np.where(extent > 0, extent, 1))


def _means(maps: Floats, side: int) -> Floats:
    """Return the mean of every window, `[image, row, column]`, across and then down."""
    across = sliding_window_view(maps, side, axis=2).mean(axis=-1)
    return np.asarray(sliding_window_view(across, side, axis=1).mean(axis=-1))
