"""Confusion: which class is taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.intervals import wilson
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.tables import write_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["Confusion", "ConfusionPair", "confusion"]


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
    """The confusion matrix.

    Attributes:
        classes: The class names.
        counts: `[true class, predicted class]`, images.
    """

    classes: tuple[str, ...]
    counts: NDArray[np.int64]

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Counts over the row's total: rows sum to 1; NaN in the row of a class without images."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.counts / self.counts.sum(axis=1, keepdims=True))

    @cached_property
    def pairs(self) -> tuple[ConfusionPair, ...]:
        """All pairs that occur, each direction by itself, the most frequent first.

        Ranked by count, then share, then the classes' order.
        """
        true, predicted = np.nonzero(self.counts)
        wrong = true != predicted
        true, predicted = true[wrong], predicted[wrong]
        count, share = self.counts[true, predicted], self.shares[true, predicted]
        interval = wilson(count, self.counts.sum(axis=1)[true])
        order = np.lexsort((predicted, true, -share, -count))
        columns = (true, predicted, count, share, interval[:, 0], interval[:, 1])
        return tuple(
            ConfusionPair(*row) for row in zip(*(column[order].tolist() for column in columns), strict=True)
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary a pair: `true`, `predicted`, `count`, `share`, `interval`."""
        return [
            {
                "true": self.classes[pair.true],
                "predicted": self.classes[pair.predicted],
                "count": pair.count,
                "share": pair.share,
                "interval": [pair.low, pair.high],
            }
            for pair in self.pairs
        ]

    def save(self, folder: Path | str) -> list[Path]:
        """Write `confusion_pairs.csv` and `confusion_counts.csv` into the folder and return their paths."""
        pairs, counts = Path(folder) / "confusion_pairs.csv", Path(folder) / "confusion_counts.csv"
        names = self.classes
        listed = (
            (names[pair.true], names[pair.predicted], pair.count, pair.share, pair.low, pair.high)
            for pair in self.pairs
        )
        write_table(pairs, ("true", "predicted", "count", "share", "low", "high"), listed)
        lines = ((name, *line) for name, line in zip(names, self.counts.tolist(), strict=True))
        write_table(counts, ("true \\ predicted", *names), lines)
        return [pairs, counts]


def confusion(source: Predictions | Outcomes) -> Confusion:
    """Count the images of each true class predicted as each class, over images with finite logits.

    Raises:
        NotFiniteError: No image has finite logits.
    """
    scored = outcomes(source).scored
    width = len(scored.classes)
    flat = np.bincount(scored.labels * width + scored.predicted, minlength=width * width)
    return Confusion(classes=scored.classes, counts=flat.reshape(width, width))
