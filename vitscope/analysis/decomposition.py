"""Decomposition: how much of the Brier score is miscalibration, and how much is what cannot be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.calibration import bin_index
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.errors import UsageError
from vitscope.paths import write_json

if TYPE_CHECKING:
    from vitscope.records.predictions import Predictions

__all__ = ["BrierDecomposition", "brier_decomposition"]


@dataclass(frozen=True)
class BrierDecomposition:
    """The Brier score of the top label, mean (c − a)², in its five parts.

    Attributes:
        n: How many images were scored.
        bins: The number of bins of equal width.
        brier: The score itself, in 0 … 1: reliability − resolution + uncertainty + within_bin_variance −
            within_bin_covariance.
        reliability: Mean squared difference of a bin's confidence and accuracy; 0 is best.
        resolution: Mean squared difference of a bin's accuracy and the whole accuracy; more is better.
        uncertainty: ā(1 − ā), which the model's confidences cannot change.
        within_bin_variance: Mean squared difference of a confidence and its bin's mean.
        within_bin_covariance: Twice the mean product of that difference and the outcome's own.
    """

    n: int
    bins: int
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bin_variance: float
    within_bin_covariance: float

    def metrics(self) -> dict[str, Any]:
        """Return the parts under their keys, `brier_top_label` first, which is their sum."""
        return {
            "brier_top_label": self.brier,
            "brier_reliability": self.reliability,
            "brier_resolution": self.resolution,
            "brier_uncertainty": self.uncertainty,
            "brier_within_bin_variance": self.within_bin_variance,
            "brier_within_bin_covariance": self.within_bin_covariance,
        }

    def save(self, folder: Path | str) -> Path:
        """Write `brier_decomposition.json` into the folder and return its path."""
        path = Path(folder) / "brier_decomposition.json"
        write_json(path, {"n": self.n, "bins": self.bins, **self.metrics()})
        return path


def brier_decomposition(source: Predictions | Outcomes, *, bins: int = 15) -> BrierDecomposition:
    """Return the parts of the top label's Brier score, over bins of equal width closed on the right.

    With c = max p, a = 1 where the prediction is right, and means of bins k and of all images:
    REL = Σ n_k(c̄_k − ā_k)²/N, RES = Σ n_k(ā_k − ā)²/N, UNC = ā(1 − ā), WBV = Σ(c − c̄_k)²/N,
    WBC = 2 Σ(a − ā_k)(c − c̄_k)/N, and mean (c − a)² = REL − RES + UNC + WBV − WBC exactly.

    *Source*: Murphy 1973 for the first three; Stephenson, Coelho and Jolliffe 2008, "Two extra components in
    the Brier score decomposition", for the last two, without which the sum is off whenever a bin holds
    different confidences. *Differs*: the score of the top label, not the one over all classes
    (`proper_scores`), which has no such decomposition by confidence.

    The parts have no intervals: reliability and resolution are too large by the bins' noise. Reliability is
    the square of `ece_l2_plugin` of `calibration_errors`, whose `ece_l2` is debiased and has an interval.

    Raises:
        UsageError: There is less than one bin.
        InputError: There are no images.
        NotFiniteError: No image has finite logits.
    """
    if bins < 1:
        raise UsageError(f"expected at least 1 bin, got {bins}")
    scored = outcomes(source).scored
    sure, right = scored.confidence, scored.correct.astype(np.float64)
    index = bin_index(sure, bins)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(index, sure, minlength=bins) / count
        share = np.bincount(index, right, minlength=bins) / count
    off, missed = sure - mean[index], right - share[index]
    whole = float(right.mean())
    return BrierDecomposition(
        n=len(scored),
        bins=bins,
        brier=float(np.mean((sure - right) ** 2)),
        reliability=float(np.mean((mean[index] - share[index]) ** 2)),
        resolution=float(np.mean((share[index] - whole) ** 2)),
        uncertainty=whole * (1 - whole),
        within_bin_variance=float(np.mean(off**2)),
        within_bin_covariance=float(2 * np.mean(missed * off)),
    )
