"""Principal components of features that may lie on disk: a block of rows at a time is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

from vitscope.errors import NotFiniteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["check_finite", "principal_components"]

_SMALL = 2048  # columns, or rows, of which all products are made
_BLOCK = 1 << 23  # values in memory at a time
_SPARE = 20  # directions beyond those wanted, and
_ROUNDS = 8  # how often all are multiplied by the covariance, where they are found from random ones


def check_finite(features: NDArray[np.floating]) -> None:
    """Refuse features that are not finite, block by block.

    Raises:
        NotFiniteError: One is not.
    """
    for rows in _blocks(*features.shape):
        if not np.isfinite(features[rows]).all():
            raise NotFiniteError("a feature is not finite", hint="use another layer or checkpoint")


def principal_components(
    features: NDArray[np.floating], wanted: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the images' first principal components `[image, wanted]`, and their shares of variance.

    Each has the sign that makes its largest loading positive; those that there are not are 0. Exact, by the
    eigenvectors of the covariance or, of few images, of their products with each other, unless both images
    and features are more than 2,048. Then by randomised subspace iteration from a fixed seed, eight rounds.

    *Source*: Halko et al. 2011, arXiv 0909.4061, algorithm 4.4.

    Args:
        features: `[image, feature]`, finite, in memory or mapped to it.
        wanted: How many.
    """
    count, width = features.shape
    points, shares = np.zeros((count, wanted)), np.zeros(wanted)
    mean = np.asarray(np.mean(features, axis=0, dtype=np.float64))
    total = sum(float(((features[rows] - mean) ** 2).sum()) for rows in _blocks(count, width))
    if np.ptp(features, axis=0).max() == 0:  # all images alike have no components
        return points, shares
    kept = min(wanted, count, width)
    if width <= _SMALL:
        loadings = _of_covariance(features, mean, kept)
    elif count <= _SMALL:
        loadings = _of_few(features, mean, kept)
    else:
        loadings = _of_random(features, mean, kept)
    signs = np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(kept)])
    points[:, :kept] = _times(features, mean, loadings * np.where(signs == 0, 1, signs))
    shares[:kept] = (points[:, :kept] ** 2).sum(axis=0) / total
    return points, shares


def _of_covariance(
    features: NDArray[np.floating], mean: NDArray[np.float64], kept: int
) -> NDArray[np.float64]:
    width = features.shape[1]
    covariance = np.zeros((width, width))
    for rows in _blocks(*features.shape):
        block = features[rows] - mean
        covariance += block.T @ block
    return np.asarray(eigh(covariance, subset_by_index=(width - kept, width - 1))[1][:, ::-1])


def _of_few(features: NDArray[np.floating], mean: NDArray[np.float64], kept: int) -> NDArray[np.float64]:
    count, width = features.shape
    products = np.zeros((count, count))
    for columns in _blocks(width, count):
        block = features[:, columns] - mean[columns]
        products += block @ block.T
    values, found = eigh(products, subset_by_index=(count - kept, count - 1))
    values, found = values[::-1], found[:, ::-1]
    # What is nothing but rounding has no direction.
    there = values > 1e-12 * values[0]
    return _back(features, mean, np.where(there, found / np.sqrt(np.where(there, values, 1)), 0))


def _of_random(features: NDArray[np.floating], mean: NDArray[np.float64], kept: int) -> NDArray[np.float64]:
    width = features.shape[1]
    directions = np.random.default_rng(0).normal(size=(width, kept + _SPARE))
    for _ in range(_ROUNDS):
        directions = _back(features, mean, _times(features, mean, np.linalg.qr(directions)[0]))
    basis = np.linalg.qr(directions)[0]
    points = _times(features, mean, basis)
    turn = eigh(points.T @ points)[1][:, ::-1]
    return np.asarray(basis @ turn[:, :kept])


def _times(
    features: NDArray[np.floating], mean: NDArray[np.float64], directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the centred features along directions, `[image, direction]`."""
    made = np.empty((len(features), directions.shape[1]))
    for rows in _blocks(*features.shape):
        made[rows] = (features[rows] - mean) @ directions
    return made


def _back(
    features: NDArray[np.floating], mean: NDArray[np.float64], images: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return sums of the centred features, weighted by image: `[feature, sum]`."""
    made = np.zeros((features.shape[1], images.shape[1]))
    for rows in _blocks(*features.shape):
        made += (features[rows] - mean).T @ images[rows]
    return made


def _blocks(count: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK // width)
    return (slice(start, start + step) for start in range(0, count, step))
