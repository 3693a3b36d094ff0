"""Confidence: how sure a model is where it is right, and where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.answers import Answers, answers
from vitscope.analysis.calibration import bin_index
from vitscope.analysis.tables import number, write_table
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["ConfidenceHistogram", "confidence_histogram"]


@dataclass(frozen=True, eq=False)
class ConfidenceHistogram:
    """How confident right and wrong predictions are, in bins of equal width, closed on the right.

    Attributes:
        edges: `[bin + 1]`, from 0 to 1; bin i holds edges[i] < c ≤ edges[i + 1], and c = 0 is in the first.
        right: `[bin]`, right predictions.
        wrong: `[bin]`, wrong predictions.
        mean_right: Mean confidence of the right predictions, 0 … 1; NaN where there is none.
        mean_wrong: Mean confidence of the wrong predictions, 0 … 1; NaN where there is none.
    """

    edges: NDArray[np.float64]
    right: NDArray[np.int64]
    wrong: NDArray[np.int64]
    mean_right: float
    mean_wrong: float

    def metrics(self) -> dict[str, Any]:
        """Return `mean_confidence_right` and `mean_confidence_wrong`; None where there is no such image."""
        return {
            "mean_confidence_right": number(self.mean_right),
            "mean_confidence_wrong": number(self.mean_wrong),
        }

    def save(self, folder: Path | str) -> Path:
        """Write `confidence.csv` into the folder and return its path: a line a bin."""
        path = Path(folder) / "confidence.csv"
        columns = (self.edges[:-1], self.edges[1:], self.right, self.wrong)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        write_table(path, ("bin_low", "bin_high", "right", "wrong"), rows)
        return path


def confidence_histogram(source: Predictions | Answers, *, bins: int = 20) -> ConfidenceHistogram:
    """Count right and wrong predictions by their confidence c = max p, over images with finite logits.

    The bins are those of `reliability`: i = clip(⌈cM − 1e−12⌉ − 1, 0, M − 1).

    Args:
        source: Predictions, or their answers or outcomes.
        bins: The number of bins M.

    Raises:
        UsageError: There is less than one bin.
        NotFiniteError: No image has finite logits.
    """
    if bins < 1:
        raise UsageError(f"expected at least 1 bin, got {bins}")
    scored = answers(source).scored
    index = bin_index(scored.confidence, bins)
    hit = scored.correct
    return ConfidenceHistogram(
        edges=np.arange(bins + 1) / bins,
        right=np.bincount(index[hit], minlength=bins),
        wrong=np.bincount(index[~hit], minlength=bins),
        mean_right=float(scored.confidence[hit].mean()) if hit.any() else np.nan,
        mean_wrong=float(scored.confidence[~hit].mean()) if not hit.all() else np.nan,
    )
