"""Confusion: which class is taken for which."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.answers import Answers, answers
from vitscope.analysis.intervals import wilson
from vitscope.analysis.tables import write_table
from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["Confusion", "ConfusionPair", "confusion"]

_LARGEST = 2**27  # cells of a matrix in memory: one gigabyte
_WRITTEN = 2000  # classes up to which the matrix is written as a table


@dataclass(frozen=True, slots=True)
class ConfusionPair:
    """One direction of a confusion: images of class `true` that were taken for class `predicted`.

    `share` is of the images of class `true`, in 0 … 1; `low` and `high` are its Wilson 95 % interval.
    """

    true: int
    predicted: int
    count: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Confusion:
    """The confusion matrix, kept as the cells that are not zero, so that any number of classes fits.

    Attributes:
        classes: The class names.
        true: `[cell]`, the cell's true class, ascending.
        predicted: `[cell]`, its predicted class, ascending within a true class.
        count: `[cell]`, its images, at least 1.
    """

    classes: tuple[str, ...]
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def from_counts(cls, classes: Sequence[str], counts: ArrayLike) -> Confusion:
        """Make the record from a matrix of counts, `[true class, predicted class]`."""
        matrix = np.asarray(counts, dtype=np.int64)
        true, predicted = np.nonzero(matrix)
        return cls(tuple(classes), true, predicted, matrix[true, predicted])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The matrix, `[true class, predicted class]`, images.

        Raises:
            InputError: It has more than 2²⁷ cells, a gigabyte.
        """
        width = len(self.classes)
        if width * width > _LARGEST:
            raise InputError(
                f"expected at most {math.isqrt(_LARGEST):,} classes for a whole matrix, got {width:,}",
                hint="the cells that are not zero are in `true`, `predicted` and `count`",
            )
        matrix = np.zeros((width, width), dtype=np.int64)
        matrix[self.true, self.predicted] = self.count
        return matrix

    @cached_property
    def totals(self) -> NDArray[np.int64]:
        """The images of each true class: `[class]`."""
        totals = np.zeros(len(self.classes), dtype=np.int64)
        np.add.at(totals, self.true, self.count)
        return totals

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Counts over the row's total: rows sum to 1; NaN in the row of a class without images."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.counts / self.totals[:, None])

    @cached_property
    def pairs(self) -> tuple[ConfusionPair, ...]:
        """All pairs that occur, each direction by itself, the most frequent first.

        Ranked by count, then share, then the classes' order.
        """
        wrong = self.true != self.predicted
        true, predicted, count = self.true[wrong], self.predicted[wrong], self.count[wrong]
        totals = self.totals[true]
        share, interval = count / totals, wilson(count, totals)
        order = np.lexsort((predicted, true, -share, -count))
        columns = (true, predicted, count, share, interval[:, 0], interval[:, 1])
        return tuple(
            ConfusionPair(*row) for row in zip(*(column[order].tolist() for column in columns), strict=True)
        )

    def rows(self, *, most: int | None = None) -> list[dict[str, Any]]:
        """Return a dictionary a pair: `true`, `predicted`, `count`, `share`, `interval`; the first `most`."""
        return [
            {
                "true": self.classes[pair.true],
                "predicted": self.classes[pair.predicted],
                "count": pair.count,
                "share": pair.share,
                "interval": [pair.low, pair.high],
            }
            for pair in self.pairs[:most]
        ]

    def save(self, folder: Path | str) -> list[Path]:
        """Write `confusion_pairs.csv` and, for up to 2,000 classes, `confusion_counts.csv`; return them."""
        pairs, counts = Path(folder) / "confusion_pairs.csv", Path(folder) / "confusion_counts.csv"
        names = self.classes
        listed = (
            (names[pair.true], names[pair.predicted], pair.count, pair.share, pair.low, pair.high)
            for pair in self.pairs
        )
        write_table(pairs, ("true", "predicted", "count", "share", "low", "high"), listed, percent=("share",))
        if len(names) > _WRITTEN:
            return [pairs]
        lines = ((name, *line) for name, line in zip(names, self.counts.tolist(), strict=True))
        write_table(counts, ("true \\ predicted", *names), lines)
        return [pairs, counts]


def confusion(source: Predictions | Answers) -> Confusion:
    """Count the images of each true class predicted as each class, over images with finite logits.

    Raises:
        NotFiniteError: No image has finite logits.
    """
    scored = answers(source).scored
    width = len(scored.classes)
    cells, count = np.unique(scored.labels * width + scored.predicted, return_counts=True)
    true, predicted = np.divmod(cells, width)
    return Confusion(scored.classes, true, predicted, count)
