"""Proper scores of the predicted probabilities: negative log-likelihood and Brier score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.bootstrap import REPLICATES, bootstrap, enough, interval
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.tables import number
from vitscope.paths import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vitscope.analysis.bootstrap import Statistic
    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]

__all__ = ["ProperScores", "proper_scores", "weighted_scores"]


@dataclass(frozen=True)
class ProperScores:
    """Scores that are best, in expectation, where the probabilities are true.

    Attributes:
        n: How many images were scored.
        nll: Mean negative log-likelihood in nats, at least 0; infinite where a true class has probability 0.
        brier: Mean Brier score over all classes, in 0 … 2.
        n_zero_truth: How many images have probability 0 for their true class, which only probabilities
            can, or logits further apart than a float holds.
        nll_interval: 95 % interval; None where it was not asked for, where `nll` is infinite, and where fewer
            than five predictions are right, or wrong.
        brier_interval: 95 % interval; None where it was not asked for, or where fewer than five are.
    """

    n: int
    nll: float
    brier: float
    n_zero_truth: int
    nll_interval: tuple[float, float] | None = None
    brier_interval: tuple[float, float] | None = None

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them: an infinite `nll` is None; `n_zero_truth` says why.

        Keys: `nll`, `nll_interval`, `brier`, `brier_interval`, `n_zero_truth`.
        """
        return {
            "nll": number(self.nll),
            "nll_interval": list(self.nll_interval) if self.nll_interval else None,
            "brier": self.brier,
            "brier_interval": list(self.brier_interval) if self.brier_interval else None,
            "n_zero_truth": self.n_zero_truth,
        }

    def with_intervals(self, draws: Mapping[str, Floats], correct: NDArray[np.bool_]) -> ProperScores:
        """Return the same numbers with the percentile intervals of these draws of `weighted_scores`.

        There are none where too few predictions are right, or wrong: `vitscope.analysis.bootstrap.enough`.

        Args:
            draws: `[replicate]` by name.
            correct: `[image]`, where the predictions are right.
        """
        if not enough(correct):
            return self
        return replace(
            self,
            nll_interval=interval(draws["nll"], self.nll, low=0),
            brier_interval=interval(draws["brier"], self.brier, low=0, high=2),
        )

    def save(self, folder: Path | str) -> Path:
        """Write `scores.json` into the folder and return its path."""
        path = Path(folder) / "scores.json"
        write_json(path, {"n": self.n, **self.metrics()})
        return path


def proper_scores(
    source: Predictions | Outcomes, *, replicates: int = REPLICATES, seed: int = 0
) -> ProperScores:
    """Return the negative log-likelihood and the Brier score, over images with finite logits.

    NLL = mean(logsumexp z − z_y), never the log of a clipped p. Brier = mean(Σp² − 2p_y + 1).

    *Source*: Brier 1950. *Differs*: scikit-learn's binary Brier score is half of this one.

    Args:
        source: Predictions, or their outcomes.
        replicates: How often the bootstrap draws images anew; 0 for no intervals.
        seed: The bootstrap's seed.

    Raises:
        InputError: There are no images.
        NotFiniteError: No image has finite logits.
    """
    scored = outcomes(source).scored
    scores = ProperScores(
        n=len(scored),
        nll=float(np.mean(-scored.log_truth)) + 0.0,
        brier=float(np.mean(_brier(scored))),
        n_zero_truth=int(np.count_nonzero(np.isneginf(scored.log_truth))),
    )
    if not replicates:
        return scores
    draws = bootstrap(weighted_scores(scored), len(scored), replicates=replicates, seed=seed)
    return scores.with_intervals(draws, scored.correct)


def weighted_scores(source: Predictions | Outcomes) -> dict[str, Statistic]:
    """Return `nll` and `brier` as functions of the scored images' weights.

    The likelihood is infinite where an image of probability 0 for its true class has any weight.
    """
    scored = outcomes(source).scored
    impossible = np.isneginf(scored.log_truth)
    loss = np.where(impossible, 0.0, -scored.log_truth)
    square = _brier(scored)
    zero = np.flatnonzero(impossible)

    def nll(weights: Floats) -> float:
        return float(np.inf if weights[zero].any() else weights @ loss / weights.sum())

    def brier(weights: Floats) -> float:
        return float(weights @ square / weights.sum())

    return {"nll": nll, "brier": brier}


def _brier(scored: Outcomes) -> Floats:
    return np.asarray(scored.square_sum - 2 * scored.truth + 1)
