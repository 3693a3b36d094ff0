"""Every class's probabilities in bins of equal width: what class-wise calibration is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EDGE", "ClassBins", "bin_classes"]

EDGE = 1e-12
"""A probability that rounding put a hair above an edge belongs below it."""

_HAIR = 1e-9


@dataclass(frozen=True, eq=False)
class ClassBins:
    """Sums over images of one bin of one class's probability p_k; bins closed on the right.

    Attributes:
        count: `[class, bin]`, images whose p_k is in the bin.
        hits: `[class, bin]`, those of them that are of class k.
        mass: `[class, bin]`, the sum of p_k.
    """

    count: NDArray[np.int64]
    hits: NDArray[np.int64]
    mass: NDArray[np.float64]

    @property
    def bins(self) -> int:
        """The number of bins."""
        return int(self.count.shape[1])

    @classmethod
    def empty(cls, classes: int, bins: int) -> ClassBins:
        """Return bins that hold nothing.

        Raises:
            UsageError: There is less than one bin.
        """
        if bins < 1:
            raise UsageError(f"expected at least 1 bin, got {bins}")
        shape = (classes, bins)
        return cls(np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape))

    def __add__(self, other: ClassBins) -> ClassBins:
        return ClassBins(self.count + other.count, self.hits + other.hits, self.mass + other.mass)


def bin_classes(probabilities: NDArray[np.float64], labels: NDArray[np.int64], *, bins: int) -> ClassBins:
    """Sort each probability of a block `[image, class]` into the right-closed bins of its class.

    Nearly all probabilities of many classes lie in the first bin: only those above it are looked up one by
    one, and the first bin's sums are what is left of the columns'.

    Args:
        probabilities: `[image, class]`, in 0 … 1.
        labels: `[image]`.
        bins: The number of bins.
    """
    count, width = probabilities.shape
    flat = np.ravel(probabilities)
    # A hair below the first edge, so that the rounding of one expression alone decides what lies above it.
    above = np.flatnonzero(flat > (1 - _HAIR) / bins)
    image, column = np.divmod(above, width)
    values = flat[above]
    place = np.ceil(values * bins - EDGE).astype(np.int64).clip(1, bins) - 1 + column * bins
    size = width * bins
    hit = labels[image] == column
    counts = np.bincount(place, minlength=size).reshape(width, bins)
    hits = np.bincount(place[hit], minlength=size).reshape(width, bins)
    # Of nothing, bincount gives whole numbers.
    mass = np.bincount(place, weights=values, minlength=size).reshape(width, bins).astype(np.float64)
    counts[:, 0] = count - counts[:, 1:].sum(axis=1)
    hits[:, 0] = np.bincount(labels, minlength=width) - hits[:, 1:].sum(axis=1)
    mass[:, 0] = (probabilities.sum(axis=0) - mass[:, 1:].sum(axis=1)).clip(0.0)
    return ClassBins(counts, hits, mass)
