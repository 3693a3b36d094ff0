"""Calibration: whether a confidence of 80 % means right in 80 % of the cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.answers import Answers, answers
from vitscope.analysis.classbins import EDGE
from vitscope.analysis.consistency import consistency_band
from vitscope.analysis.intervals import wilson
from vitscope.analysis.tables import write_table
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["Reliability", "bin_index", "reliability"]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Accuracy against confidence in bins of equal width, closed on the right.

    Attributes:
        n: How many images were scored.
        edges: `[bin + 1]`, from 0 to 1; bin i holds edges[i] < c ≤ edges[i + 1], and c = 0 is in the first.
        count: `[bin]`, images.
        accuracy: `[bin]`, share of right predictions; NaN in an empty bin.
        confidence: `[bin]`, mean confidence; NaN in an empty bin.
        interval: `[bin, 2]`, Wilson 95 % of the accuracy; NaN in an empty bin.
        band: `[bin, 2]`, where the accuracy would be in 95 % of samples were the model calibrated; NaN in an
            empty bin.
        ece: Expected calibration error, in 0 … 1.
    """

    n: int
    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    confidence: NDArray[np.float64]
    interval: NDArray[np.float64]
    band: NDArray[np.float64]
    ece: float

    @property
    def bins(self) -> int:
        """The number of bins, empty ones too."""
        return len(self.count)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row a bin: edges, count, confidence, accuracy, its interval's and the band's ends."""
        columns = (
            self.edges[:-1],
            self.edges[1:],
            self.count,
            self.confidence,
            self.accuracy,
            *self.interval.T,
            *self.band.T,
        )
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def save(self, folder: Path | str) -> Path:
        """Write `reliability.csv` into the folder and return its path; an empty bin has empty cells."""
        path = Path(folder) / "reliability.csv"
        bins = ("bin_low", "bin_high", "n", "confidence", "accuracy")
        names = (*bins, "low", "high", "band_low", "band_high")
        shares = ("confidence", "accuracy", "band_low", "band_high")
        write_table(path, names, self.rows(), percent=shares)
        return path


def bin_index(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Return the bin of each confidence: clip(⌈cM − 1e−12⌉ − 1, 0, M − 1), M bins closed on the right.

    c = 1 falls in the last bin and c = 0 in the first.
    """
    index = np.ceil(confidence * bins - EDGE).astype(np.int64) - 1
    return np.asarray(index.clip(0, bins - 1))


def reliability(source: Predictions | Answers, *, bins: int = 15, seed: int = 0) -> Reliability:
    """Return accuracy and mean confidence in bins of equal width, and the expected calibration error.

    ECE = Σ_bins |Σ_{i in bin} (a_i − c_i)| / N with c = max p and a = 1 where the prediction is right.

    *Source*: Guo et al. 2017, arXiv 1706.04599; the 15 bins and their right-closed edges are theirs.
    *Differs*: torchmetrics and netcal close bins on the left, torchmetrics with one bin more for c = 1; on
    small samples their numbers can differ from these by a factor of two.

    Args:
        source: Predictions, or their answers or outcomes.
        bins: The number of bins M.
        seed: The seed of the consistency band's draws.

    Raises:
        UsageError: There is less than one bin.
        NotFiniteError: No image has finite logits.
    """
    if bins < 1:
        raise UsageError(f"expected at least 1 bin, got {bins}")
    scored = answers(source).scored
    index = bin_index(scored.confidence, bins)
    count = np.bincount(index, minlength=bins)
    hits = np.bincount(index, weights=scored.correct, minlength=bins)
    mass = np.bincount(index, weights=scored.confidence, minlength=bins)
    with np.errstate(invalid="ignore"):
        share, mean = hits / count, mass / count
    return Reliability(
        n=len(scored),
        edges=np.arange(bins + 1) / bins,
        count=count,
        accuracy=share,
        confidence=mean,
        interval=wilson(hits, count),
        band=consistency_band(count, mean, seed=seed),
        ece=float(np.abs(hits - mass).sum() / len(scored)),
    )
