"""Every class's probabilities in bins of equal width: what class-wise calibration is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EDGE", "ClassBins", "ClassTally"]

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


class ClassTally:
    """Sorts the probabilities of images, some at a time, into the right-closed bins of their classes.

    Nearly all probabilities of many classes lie in the first bin: only those above it are looked up one by
    one, mostly among an image's largest, and the first bin's sums are what is left of the columns'.

    Args:
        classes: The number of classes.
        bins: The number of bins.
    """

    def __init__(self, classes: int, bins: int) -> None:
        self._sums = ClassBins.empty(classes, bins)  # of what lies above the first bin
        self._images = np.zeros(classes, dtype=np.int64)
        self._mass = np.zeros(classes)
        self._found: list[tuple[NDArray[np.integer], NDArray[np.float64], NDArray[np.int64]]] = []

    def add(
        self,
        values: NDArray[np.float64],
        total: NDArray[np.float64],
        top: NDArray[np.int32],
        labels: NDArray[np.int64],
    ) -> None:
        """Add some images, of which p = values / total.

        Args:
            values: `[image, class]`.
            total: `[image]`.
            top: `[image, any]`, the classes of the largest of these values, the largest first.
            labels: `[image]`.
        """
        self._images += np.bincount(labels, minlength=len(self._images))
        self._mass += np.einsum("i,ij->j", 1 / total, values)
        largest = values[np.arange(len(top))[:, None], top] / total[:, None]
        if top.shape[1] < len(self._mass):
            many = np.flatnonzero(largest[:, -1] > self._edge)  # of these, there may be more than the top
            if many.size:
                shares = values[many] / total[many, None]
                shares[np.arange(len(many))[:, None], top[many]] = 0.0
                image, column = np.nonzero(shares > self._edge)
                self._found.append((column, shares[image, column], labels[many[image]]))
        self._found.append((top.ravel(), largest.ravel(), np.repeat(labels, top.shape[1])))

    @property
    def _edge(self) -> float:
        """A hair below the first edge, so that one expression's rounding alone decides what lies above."""
        return (1 - _HAIR) / self._sums.bins

    def settle(self) -> Self:
        """Sort what was added since the last time into bins, and return itself."""
        if not self._found:
            return self
        column, values, labels = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        self._found = []
        above = values > self._edge
        column, values, labels = column[above].astype(np.int64), values[above], labels[above]
        bins, shape, size = self._sums.bins, self._sums.count.shape, self._sums.count.size
        place = np.ceil(values * bins - EDGE).astype(np.int64).clip(1, bins) - 1 + column * bins
        counts = np.bincount(place, minlength=size)
        hits = np.bincount(place[labels == column], minlength=size)
        # Of nothing, bincount gives whole numbers.
        mass = np.bincount(place, weights=values, minlength=size).astype(np.float64)
        self._sums += ClassBins(counts.reshape(shape), hits.reshape(shape), mass.reshape(shape))
        return self

    def __iadd__(self, other: ClassTally) -> Self:
        """Add what another has, of which all is settled."""
        self._sums += other._sums
        self._images += other._images
        self._mass += other._mass
        return self

    def bins(self) -> ClassBins:
        """Return the sums over all images that are settled."""
        count, hits, mass = self._sums.count.copy(), self._sums.hits.copy(), self._sums.mass.copy()
        count[:, 0] = self._images.sum() - count[:, 1:].sum(axis=1)
        hits[:, 0] = self._images - hits[:, 1:].sum(axis=1)
        mass[:, 0] = (self._mass - mass[:, 1:].sum(axis=1)).clip(0.0)
        return ClassBins(count, hits, mass)
