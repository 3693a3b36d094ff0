"""Miscalibration: how far confidence and accuracy are apart, in one number of several kinds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.binsums import BinSums
from vitscope.analysis.bootstrap import REPLICATES, bootstrap, enough, interval
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.smoothing import weighted_smooth_ece
from vitscope.paths import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vitscope.analysis.bootstrap import Statistic
    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]

__all__ = ["CalibrationErrors", "calibration_errors", "weighted_calibration_errors"]

# The statistic whose draws make a number's interval. The debiased error's own draws would be debiased of
# their images' noise and not of the bootstrap's; the interval's method takes off both.
_DRAWN = {
    "ece": "ece",
    "ece_equal_mass": "ece_equal_mass",
    "ece_l2": "ece_l2_plugin",
    "smooth_ece": "smooth_ece",
}


@dataclass(frozen=True)
class CalibrationErrors:
    """The calibration error by its several definitions, all in 0 … 1 and 0 for perfect calibration.

    All but `ece_l2` are too large, the more so the fewer images a bin has; their intervals are not.

    Attributes:
        n: How many images were scored.
        bins: The number of bins M.
        ece: Over bins of equal width.
        ece_equal_mass: Over bins of equally many images.
        ece_classwise: The mean over all classes of the error of that class's probability.
        ece_max: The largest difference of a bin that has images.
        ece_l2: The root mean square difference, debiased; 0 where its square comes out negative.
        ece_l2_squared: Its square before that, which may be negative.
        ece_l2_plugin: The root mean square difference, not debiased.
        smooth_ece: Without bins; also the width of the kernel that is used.
        intervals: 95 % intervals by the names above, where they were asked for and are defined.
    """

    n: int
    bins: int
    ece: float
    ece_equal_mass: float
    ece_classwise: float
    ece_max: float
    ece_l2: float
    ece_l2_squared: float
    ece_l2_plugin: float
    smooth_ece: float
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them; an interval that was not made is None.

        Keys: `ece`, `ece_interval`, `ece_bins`, `ece_equal_mass`, `ece_equal_mass_interval`, `ece_classwise`,
        `ece_max`, `ece_l2`, `ece_l2_interval`, `smooth_ece`, `smooth_ece_interval`, `smooth_ece_sigma`.

        `ece_classwise` has no interval, since every draw would need all probabilities again. `ece_max` has
        none because none holds: it is the noise of the emptiest bin, and no method covered it in more than
        80 % of simulated samples.
        """
        intervals = {name: list(bounds) for name, bounds in self.intervals.items()}
        return {
            "ece": self.ece,
            "ece_interval": intervals.get("ece"),
            "ece_bins": self.bins,
            "ece_equal_mass": self.ece_equal_mass,
            "ece_equal_mass_interval": intervals.get("ece_equal_mass"),
            "ece_classwise": self.ece_classwise,
            "ece_max": self.ece_max,
            "ece_l2": self.ece_l2,
            "ece_l2_interval": intervals.get("ece_l2"),
            "smooth_ece": self.smooth_ece,
            "smooth_ece_interval": intervals.get("smooth_ece"),
            "smooth_ece_sigma": self.smooth_ece,
        }

    def with_intervals(self, draws: Mapping[str, Floats], correct: NDArray[np.bool_]) -> CalibrationErrors:
        """Return the same numbers with the intervals of these draws of `weighted_calibration_errors`.

        There are none where too few predictions are right, or wrong: `vitscope.analysis.bootstrap.enough`.

        Args:
            draws: `[replicate]` by name.
            correct: `[image]`, where the predictions are right.
        """
        if not enough(correct):
            return self
        made = {
            name: interval(draws[drawn], getattr(self, drawn), method="squared", low=0, high=1)
            for name, drawn in _DRAWN.items()
        }
        return replace(self, intervals={name: bounds for name, bounds in made.items() if bounds})

    def save(self, folder: Path | str) -> Path:
        """Write `calibration.json` into the folder and return its path."""
        path = Path(folder) / "calibration.json"
        write_json(path, {"n": self.n, **self.metrics()})
        return path


def calibration_errors(
    source: Predictions | Outcomes, *, bins: int = 15, replicates: int = REPLICATES, seed: int = 0
) -> CalibrationErrors:
    """Return the calibration error by its several definitions, with bootstrap intervals.

    With c = max p, a = 1 where the prediction is right, and bins k of n_k images:

    - ECE = Σ_k |Σ_{i in k} (a_i − c_i)| / N, bins of equal width closed on the right (Guo et al. 2017, arXiv
      1706.04599).
    - Equal mass: the same over the bins that `numpy.array_split` makes of the images in a stable sort by
      confidence (Nguyen and O'Connor 2015, arXiv 1508.05154). Images of equal confidence may fall on both
      sides of an edge, in their own order: with many ties the number depends on it.
    - Class-wise: the mean over classes of the ECE of p_k against [y = k] (Kull et al. 2019, arXiv
      1910.12656). All classes count: for one without images p_k ought to be 0, which can be scored.
    - Maximum: max_k |ā_k − c̄_k| over bins with images (Guo et al.).
    - Debiased L2: √Σ_k (n_k/N)·[(ā_k − c̄_k)² − ā_k(1 − ā_k)/(n_k − 1)], bins of equal width (Kumar et al.
      2019, arXiv 1909.10155). A bin of one image counts 0, as in their package, and so does a negative sum.
    - Smooth: see `smooth_calibration`.

    *Differs*: torchmetrics and netcal close bins on the left, torchmetrics with one bin more for c = 1.

    Args:
        source: Predictions, or their outcomes, made with as many bins.
        bins: The number of bins.
        replicates: How often the bootstrap draws images anew; 0 for no intervals.
        seed: The bootstrap's seed.

    Raises:
        UsageError: There is less than one bin, or the outcomes' class bins are of another number.
        InputError: There are no images.
        NotFiniteError: No image has finite logits.
    """
    rows = outcomes(source, bins=bins)
    scored = rows.scored
    statistics = weighted_calibration_errors(scored, bins=bins)
    weights = np.ones(len(scored))
    weights.flags.writeable = False
    values = {name: statistic(weights) for name, statistic in statistics.items()}
    errors = CalibrationErrors(
        n=len(scored),
        bins=bins,
        ece=values["ece"],
        ece_equal_mass=values["ece_equal_mass"],
        ece_classwise=_classwise(rows),
        ece_max=values["ece_max"],
        ece_l2=values["ece_l2"],
        ece_l2_squared=values["ece_l2_squared"],
        ece_l2_plugin=values["ece_l2_plugin"],
        smooth_ece=values["smooth_ece"],
    )
    if not replicates:
        return errors
    chosen = {name: statistics[name] for name in _DRAWN.values()}
    draws = bootstrap(chosen, len(scored), replicates=replicates, seed=seed)
    return errors.with_intervals(draws, scored.correct)


def weighted_calibration_errors(source: Predictions | Outcomes, *, bins: int = 15) -> dict[str, Statistic]:
    """Return each number of `CalibrationErrors` but the class-wise one as a function of the images' weights.

    Raises:
        UsageError: There is less than one bin.
    """
    scored = outcomes(source).scored
    sums = BinSums(scored, bins=bins)

    def ece(weights: Floats) -> float:
        return float(np.abs(sums.equal_width(weights)[2]).sum() / weights.sum())

    def equal_mass(weights: Floats) -> float:
        return float(np.abs(sums.equal_mass(weights)).sum() / weights.sum())

    def largest(weights: Floats) -> float:
        weight, _, residual = sums.equal_width(weights)
        return float(np.max(np.abs(residual[weight > 0] / weight[weight > 0])))

    return {
        "ece": ece,
        "ece_equal_mass": equal_mass,
        "ece_max": largest,
        "ece_l2": lambda weights: max(0.0, _square(sums, weights, debiased=True)) ** 0.5,
        "ece_l2_squared": lambda weights: _square(sums, weights, debiased=True),
        "ece_l2_plugin": lambda weights: _square(sums, weights, debiased=False) ** 0.5,
        "smooth_ece": weighted_smooth_ece(scored),
    }


def _square(sums: BinSums, weights: Floats, *, debiased: bool) -> float:
    """Return Σ_k (n_k/N)(ā_k − c̄_k)², less what the noise of ā_k adds to it if asked."""
    weight, hits, residual = sums.equal_width(weights)
    if not debiased:
        full = weight > 0
        return float((residual[full] ** 2 / weight[full]).sum() / weights.sum())
    several = weight > 1  # of one image alone, noise and error cannot be told apart
    count, share = weight[several], hits[several] / weight[several]
    terms = (residual[several] / count) ** 2 - share * (1 - share) / (count - 1)
    return float((count * terms).sum() / weights.sum())


def _classwise(rows: Outcomes) -> float:
    """Return the mean over classes of Σ_bins |hits − Σp| / N."""
    bins = rows.class_bins
    return float(np.abs(bins.hits - bins.mass).sum() / (len(rows.scored) * len(rows.classes)))
