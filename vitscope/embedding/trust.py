"""Trustworthiness: how many neighbours in a projection are neighbours in truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.manifold import trustworthiness

from vitscope.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Trust", "trust"]

_SAMPLE = 5000  # images: all pairs of them are compared
_NEIGHBORS = 12
_WIDE = 2048  # features an image, of more of which a block at a time is in memory
_BLOCK = 1 << 23  # values of a block


class Trust(NamedTuple):
    """Trustworthiness, the k of its neighbours, and the number of images that it is computed on."""

    value: float
    neighbors: int
    sampled: int

    def about(self) -> dict[str, float | int]:
        """Return it by the names that an `Embedding` keeps it under."""
        return {
            "trustworthiness": self.value,
            "trustworthiness_neighbors": self.neighbors,
            "trustworthiness_images": self.sampled,
        }


def trust(
    features: NDArray[np.floating],
    points: NDArray[np.floating],
    *,
    neighbors: int = _NEIGHBORS,
    seed: int = 0,
) -> Trust:
    """Return the trustworthiness of a projection, 0 to 1; about 0.5 where it is at random.

    T(k) = 1 − 2/(nk(2n − 3k − 1)) Σ_i Σ_{j ∈ U_k(i)} (r(i, j) − k), with U_k(i) the k nearest to i in the
    projection that are not among the k nearest by features, and r(i, j) the rank of j by features. Euclidean
    distances. Of more than 5,000 images a seeded sample of 5,000 is compared within itself.

    *Source*: Venna and Kaski 2001, "Neighborhood preservation in nonlinear projection methods"; computed by
    scikit-learn.

    Args:
        features: `[image, feature]`.
        points: `[image, 2]`.
        neighbors: k, made less than half of the images where there are few.
        seed: Of the sample.

    Raises:
        InputError: There are fewer than 3 images, or not as many points.
    """
    if len(features) != len(points) or len(points) < 3:
        raise InputError(f"expected a point for each of at least 3 images, got {len(points)}")
    count = min(len(points), _SAMPLE)
    rows = np.sort(np.random.default_rng(seed).choice(len(points), count, replace=False))
    near = min(neighbors, (count - 1) // 2)
    if features.shape[1] > _WIDE:
        values, metric = _squares(features, rows), "precomputed"
    else:
        values, metric = np.asarray(features[rows], dtype=np.float64), "euclidean"
    found = trustworthiness(values, points[rows], n_neighbors=near, metric=metric)
    return Trust(float(found), near, count)


def _squares(features: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return squared distances between images, which have the ranks of the distances, column by column."""
    products = np.zeros((len(rows), len(rows)))
    step = max(1, _BLOCK // len(rows))
    for start in range(0, features.shape[1], step):
        block = np.asarray(features[:, start : start + step][rows], dtype=np.float64)
        block -= block.mean(axis=0)
        products += block @ block.T
    own = np.diag(products)
    return np.maximum(own[:, None] + own - 2 * products, 0)
