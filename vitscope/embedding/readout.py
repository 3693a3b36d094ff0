"""Readout: how well the class is read from each layer's frozen features, by neighbours and by a probe."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from vitscope.errors import InputError, NotFiniteError
from vitscope.records.embedding import LayerReadout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["halves", "read_layers"]

_NEIGHBORS = 20
_STEPS = 200  # of the probe's solver


def read_layers(
    features: Mapping[str, NDArray[np.floating]],
    labels: NDArray[np.int64],
    *,
    seed: int = 0,
    neighbors: int = _NEIGHBORS,
    token: str = "",
) -> LayerReadout:
    """Return kNN and linear-probe accuracy of each layer's features, on images that nothing was fitted on.

    The images are divided in halves, class by class. Features are standardised by the first half's mean and
    standard deviation. kNN: the majority of the k nearest by Euclidean distance; probe: multinomial logistic
    regression with scikit-learn's L2 penalty (C = 1). Intervals are Wilson's, 95 %.

    *Source*: Alain and Bengio 2016, arXiv 1610.01644 (probes); scikit-learn's classifiers.

    Args:
        features: By layer, `[image, feature]`.
        labels: `[image]`.
        seed: Of the division.
        neighbors: k, at most as many as the median class has images that are fitted on: more would be of
            other classes however well these are apart.
        token: What the features are of, to be kept.

    Raises:
        InputError: Fewer than two classes are left on either side.
        NotFiniteError: A feature is not finite.
    """
    fitted, tested = halves(labels, seed=seed)
    if len(np.unique(labels[fitted])) < 2 or not len(tested):
        raise InputError("expected images of at least two classes, two or more of each")
    sizes = np.unique(labels[fitted], return_counts=True)[1]
    near = max(1, min(neighbors, int(np.median(sizes))))
    found: dict[str, list[int]] = {"knn": [], "probe": []}
    for values in features.values():
        known, unknown = _standardised(values, fitted, tested)
        machines = {
            "knn": KNeighborsClassifier(near),
            "probe": LogisticRegression(max_iter=_STEPS),
        }
        for name, machine in machines.items():
            with warnings.catch_warnings():
                # A probe that stops early is a little worse: it is a lower bound either way.
                warnings.simplefilter("ignore", ConvergenceWarning)
                machine.fit(known, labels[fitted])
            found[name].append(int((machine.predict(unknown) == labels[tested]).sum()))
    hits = {name: np.array(values, dtype=np.int64) for name, values in found.items()}
    return LayerReadout(
        layers=tuple(features),
        hits=hits,
        intervals={name: _wilson(values, len(tested)) for name, values in hits.items()},
        n=len(tested),
        fitted=len(fitted),
        neighbors=near,
        token=token,
        seed=seed,
    )


def halves(labels: NDArray[np.int64], *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of two halves of the images, of each class alike; an odd one is in the first."""
    order = np.random.default_rng(seed).permutation(len(labels))
    first, second = [], []
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        first.append(of_class[::2])
        second.append(of_class[1::2])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def _standardised(
    values: NDArray[np.floating], fitted: NDArray[np.int64], tested: NDArray[np.int64]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return both halves in memory, in the type of the features, which may lie on disk."""
    known, unknown = values[fitted], values[tested]
    if not (np.isfinite(known).all() and np.isfinite(unknown).all()):
        raise NotFiniteError("a feature is not finite", hint="use another checkpoint")
    mean, spread = known.mean(axis=0, dtype=np.float64), known.std(axis=0, dtype=np.float64)
    mean, spread = (each.astype(values.dtype) for each in (mean, np.where(spread > 0, spread, 1)))
    return (known - mean) / spread, (unknown - mean) / spread


def _wilson(hits: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    ends = [binomtest(int(each), n).proportion_ci(method="wilson") for each in hits]
    return np.array([[end.low, end.high] for end in ends], dtype=np.float64).reshape(len(hits), 2)
