"""Proper scores of the predicted probabilities: negative log-likelihood and Brier score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.tables import number
from vitscope.paths import write_json

if TYPE_CHECKING:
    from vitscope.records.predictions import Predictions

__all__ = ["ProperScores", "proper_scores"]


@dataclass(frozen=True)
class ProperScores:
    """Scores that are best, in expectation, where the probabilities are true.

    Attributes:
        n: How many images were scored.
        nll: Mean negative log-likelihood in nats, at least 0; infinite where a true class has probability 0.
        brier: Mean Brier score over all classes, in 0 … 2.
        n_zero_truth: How many images have probability 0 for their true class, which only probabilities can.
    """

    n: int
    nll: float
    brier: float
    n_zero_truth: int

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them: an infinite `nll` is None; `n_zero_truth` says why."""
        return {"nll": number(self.nll), "brier": self.brier, "n_zero_truth": self.n_zero_truth}

    def save(self, folder: Path | str) -> Path:
        """Write `scores.json` into the folder and return its path."""
        path = Path(folder) / "scores.json"
        write_json(path, {"n": self.n, **self.metrics()})
        return path


def proper_scores(source: Predictions | Outcomes) -> ProperScores:
    """Return the negative log-likelihood and the Brier score, over images with finite logits.

    NLL = mean(logsumexp z − z_y), never the log of a clipped p. Brier = mean(Σp² − 2p_y + 1).

    *Source*: Brier 1950. *Differs*: scikit-learn's binary Brier score is half of this one.

    Raises:
        NotFiniteError: No image has finite logits.
    """
    scored = outcomes(source).scored
    return ProperScores(
        n=len(scored),
        nll=abs(float(np.mean(scored.log_truth))),
        brier=float(np.mean(scored.square_sum - 2 * scored.truth + 1)),
        n_zero_truth=int(np.count_nonzero(np.isneginf(scored.log_truth))),
    )
