"""Selective prediction: how often a model is wrong where it may decline the images it is unsure of."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.bootstrap import REPLICATES, Statistic, bootstrap
from vitscope.analysis.intervals import wilson
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.ranking import Certainty, RiskLayout, Ties, certainties
from vitscope.analysis.roc import Auroc, auroc
from vitscope.analysis.tables import write_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]

__all__ = [
    "RiskCoverage",
    "risk_coverage",
    "weighted_areas",
]

COVERAGES = (80, 90, 95)  # per cent, at which the risk is told
RISKS = (1, 5)  # per cent, at which the coverage is told
_POINTS = 1000
_STILL = 1e-14  # the spread of draws, below which it is rounding
_HAIR = 1e-9  # 0.8 × 5 is a hair above 4 in binary, and 0.05 × 20 a hair off 1


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The risk-coverage curve: the error rate among the surest images, over their share of all.

    Attributes:
        by: What the images are ranked by.
        n: How many images were scored.
        errors: How many of them are predicted wrong.
        aurc: The area under the curve, in 0 … 1; less is better.
        optimal: The area if every wrong image ranked below every right one.
        aurc_interval: 95 %, see `with_intervals`; None where none was asked for, or fewer than two images are
            right or wrong: one says nothing of how much it varies.
        excess_interval: The same of `excess`; None in the same cases, and where the ranking is perfect.
        error_auroc: How well the ranking tells right predictions (positive) from wrong ones.
        covered: `[point]`, how many of the surest images are kept, 1 … n; not every number where n is large.
        risk: `[point]`, their error rate, its expected value where the cut goes through ties.
        interval: `[point, 2]`, the risk's Wilson 95 %, each point by itself.
        optimal_risk: `[point]`, the risk if every wrong image ranked below every right one.
        threshold: `[point]`, the certainty of the last image kept: the least of those tied.
        risks: `(risk, low, high)` at 80, 90 and 95 % coverage, by the coverage in per cent.
        coverages: The coverage at 1 and 5 % risk, by the risk in per cent.
    """

    by: Certainty
    n: int
    errors: int
    aurc: float
    optimal: float
    aurc_interval: tuple[float, float] | None
    excess_interval: tuple[float, float] | None
    error_auroc: Auroc
    covered: NDArray[np.int64]
    risk: Floats
    interval: Floats
    optimal_risk: Floats
    threshold: Floats
    risks: dict[int, tuple[float, float, float]]
    coverages: dict[int, float]

    @property
    def excess(self) -> float:
        """What the ranking loses: the area less the optimum, at least 0."""
        return max(0.0, self.aurc - self.optimal)

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them; `error_auroc` is None where all are right or wrong."""
        failures = self.error_auroc.metrics()
        told: dict[str, Any] = {
            "aurc": self.aurc,
            "aurc_interval": _listed(self.aurc_interval),
            "aurc_optimal": self.optimal,
            "excess_aurc": self.excess,
            "excess_aurc_interval": _listed(self.excess_interval),
            "error_auroc": failures["auroc"],
            "error_auroc_interval": failures["auroc_interval"],
        }
        for coverage, (risk, low, high) in self.risks.items():
            told |= {
                f"risk_at_{coverage}_coverage": risk,
                f"risk_at_{coverage}_coverage_interval": [low, high],
            }
        return told | {f"coverage_at_{risk}_risk": share for risk, share in self.coverages.items()}

    def with_intervals(self, draws: Mapping[str, Floats]) -> RiskCoverage:
        """Return the same with the 95 % intervals that these draws of `weighted_areas` give.

        An area is treated as a share of n* = θ(1 − θ) / v images, v the variance of the draws, and has the
        Clopper-Pearson interval of k = θ n* among n*: `Beta`'s 2.5 % point of (k, n* − k + 1), and its
        97.5 % point of (k + 1, n* − k). With fewer than two right or wrong images there is none.

        Simulated with six models, four with an error of 5 %, one of 2 % and one of 21 %, 1000
        samples of 300 draws each, these intervals and the percentiles of the same draws held the true value
        in this share of the samples that have one, the least and the most of the six:

        ======  ============  ============  ============  ============
        images  AURC          percentile    excess        percentile
        ======  ============  ============  ============  ============
        100     0.91 … 0.99   0.85 … 0.96   0.89 … 0.94   0.82 … 0.90
        200     0.92 … 0.97   0.87 … 0.95   0.90 … 0.97   0.82 … 0.93
        500     0.93 … 0.97   0.88 … 0.94   0.91 … 0.96   0.87 … 0.94
        ======  ============  ============  ============  ============

        *Source*: Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of
        positive counts estimated from survey data", for shares of weighted images.
        """
        if not 2 <= self.errors <= self.n - 2:
            return self
        excess = np.maximum(draws["aurc"] - draws["aurc_optimal"], 0.0)
        return replace(
            self,
            aurc_interval=_effective_share(self.aurc, draws["aurc"]),
            excess_interval=_effective_share(self.excess, excess),
        )

    def save(self, folder: Path | str) -> Path:
        """Write `risk_coverage.csv`, the curve, into the folder and return its path."""
        path = Path(folder) / "risk_coverage.csv"
        columns = (
            self.covered / self.n,
            self.covered,
            self.risk,
            *self.interval.T,
            self.optimal_risk,
            self.threshold,
        )
        names = ("coverage", "covered", "risk", "low", "high", "optimal_risk", "threshold")
        rows = zip(*(column.tolist() for column in columns), strict=True)
        write_table(path, names, rows, percent=("coverage", "risk", "optimal_risk"))
        return path


def risk_coverage(
    source: Predictions | Outcomes,
    *,
    by: Certainty = "confidence",
    replicates: int = REPLICATES,
    seed: int = 0,
) -> RiskCoverage:
    """Return the risk-coverage curve, the area under it, its excess over the optimum, and their intervals.

    With the N images ranked by certainty, AURC = (1/N) Σ_i (errors among the i surest) / i. Images that are
    tied stand in any order, and every number is its expected value over those orders: five tied images, two
    of them wrong, have a risk of 0.4 at each coverage. With K errors the best ranking has
    (1/N) Σ_i max(0, i − (N − K)) / i, and the excess is what is above it.

    The risk at a coverage is that of the ⌈coverage · N⌉ surest images, with Wilson's interval. The coverage
    at a risk is the largest that a threshold gives, so never cutting through ties, with a risk no greater; 0
    where there is none. That threshold is chosen and judged on the same images: expect a little less of it on
    new ones. `error_auroc` is the same number whichever of right and wrong is called positive.

    *Source*: Geifman, Uziel and El-Yaniv 2019, arXiv 1805.08206.
    *Differs*: common code lets tied images stand as a sort happens to leave them, which makes the number
    depend on the order of the data; and some approximate the optimum by r + (1 − r) ln(1 − r).

    Args:
        source: Predictions, or their outcomes.
        by: What to rank by.
        replicates: How often to draw images anew for the intervals of the areas; 0 for no intervals.
        seed: The seed of those draws.

    Raises:
        UsageError: `by` or `replicates` is none of these.
        NotFiniteError: No image has finite logits.
    """
    scored = outcomes(source).scored
    certainty, wrong = certainties(scored, by), ~scored.correct
    ties, layout = Ties.of(certainty, wrong), RiskLayout.of(certainty, wrong)
    n, errors = len(ties), int(np.count_nonzero(wrong))
    covered = np.unique(np.linspace(1, n, min(n, _POINTS)).round().astype(np.int64))
    expected = ties.errors(covered)
    groups = np.searchsorted(ties.stop, covered)
    made = RiskCoverage(
        by=by,
        n=n,
        errors=errors,
        aurc=layout.area(np.ones(n))[0],
        optimal=layout.optimum(errors),
        aurc_interval=None,
        excess_interval=None,
        error_auroc=auroc(certainty[~wrong], certainty[wrong]),
        covered=covered,
        risk=expected / covered,
        interval=wilson(expected, covered),
        optimal_risk=(covered - (n - errors)).clip(0) / covered,
        threshold=ties.certainty[groups] * (-1.0 if by == "entropy" else 1.0),
        risks={coverage: _risk_at(ties, coverage) for coverage in COVERAGES},
        coverages={risk: _coverage_at(ties, risk) for risk in RISKS},
    )
    if not replicates:
        return made
    drawn = bootstrap(weighted_areas(scored, by=by), n, replicates=replicates, seed=seed)
    return made.with_intervals(drawn)


def weighted_areas(source: Predictions | Outcomes, *, by: Certainty = "confidence") -> dict[str, Statistic]:
    """Return `aurc` and `aurc_optimal` as functions of the scored images' weights, as if rows were repeated.

    Args:
        source: Predictions, or their outcomes.
        by: What to rank by.
    """
    scored = outcomes(source).scored
    layout = RiskLayout.of(certainties(scored, by), ~scored.correct)
    wrong = (~scored.correct).astype(np.float64)
    return {
        "aurc": lambda weights: layout.area(weights)[0],
        "aurc_optimal": lambda weights: layout.optimum(float(weights @ wrong)),
    }


def _effective_share(estimate: float, draws: Floats) -> tuple[float, float] | None:
    """Return the interval of `RiskCoverage.with_intervals`; None where only rounding varies."""
    from scipy.special import betaincinv

    variance = float(np.var(draws))
    if variance < _STILL**2 or not 0 < estimate < 1:
        return None
    images = estimate * (1 - estimate) / variance
    share = estimate * images
    low = betaincinv(share, images - share + 1, 0.025)
    return float(low), float(betaincinv(share + 1, images - share, 0.975))


def _risk_at(ties: Ties, coverage: int) -> tuple[float, float, float]:
    kept = np.array([max(1, math.ceil(coverage * len(ties) / 100 - _HAIR))])
    expected = ties.errors(kept)
    low, high = wilson(expected, kept)[0].tolist()
    return float(expected[0] / kept[0]), low, high


def _coverage_at(ties: Ties, risk: int) -> float:
    low_enough = np.flatnonzero(np.cumsum(ties.wrong) <= ties.stop * (risk / 100) + _HAIR)
    return float(ties.stop[low_enough[-1]] / len(ties)) if low_enough.size else 0.0


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
