"""Evaluation: the whole account of one model on one labelled set of images."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.analysis.accuracy import Accuracy, ClassAccuracy, class_accuracy
from vitscope.analysis.bootstrap import REPLICATES, bootstrap
from vitscope.analysis.calibration import Reliability, reliability
from vitscope.analysis.confidence import ConfidenceHistogram, confidence_histogram
from vitscope.analysis.confusion import Confusion, confusion
from vitscope.analysis.decomposition import BrierDecomposition, brier_decomposition
from vitscope.analysis.miscalibration import (
    CalibrationErrors,
    calibration_errors,
    weighted_calibration_errors,
)
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.scores import ProperScores, proper_scores, weighted_scores
from vitscope.analysis.selective import RiskCoverage, risk_coverage, weighted_areas
from vitscope.analysis.smoothing import SmoothCalibration, smooth_calibration
from vitscope.analysis.superclasses import Superclasses, SuperclassResult, superclass_accuracy
from vitscope.analysis.tables import write_table
from vitscope.paths import write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vitscope.analysis.calibrated import Calibrated
    from vitscope.analysis.corruption import CorruptionResult
    from vitscope.analysis.coverage import ConformalResult
    from vitscope.analysis.labels import LabelIssues
    from vitscope.analysis.openset import OpenSet
    from vitscope.records.predictions import Predictions

__all__ = ["Evaluation", "evaluate", "file_name"]

_PAIRS = 1000  # confused pairs that the JSON lists; the table has all
_NOT_DRAWN = ("ece_max", "ece_l2", "ece_l2_squared")  # no interval is made of draws of these


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every metric of one model on one set of images, each over the same images: those with finite logits.

    Attributes:
        outcomes: One row an image, for the drawing of samples.
        per_class: Accuracy of every class.
        confusion: The confusion matrix and its pairs.
        scores: Negative log-likelihood and Brier score.
        decomposition: The parts of the top label's Brier score.
        errors: Calibration errors.
        reliability: Accuracy by confidence, in bins.
        smooth: Accuracy by confidence, without bins.
        confidence: Confidence of right and wrong predictions.
        selective: The risk-coverage curve.
        superclasses: Accuracy by groups of classes, where there are any.
        calibrated: The same model after temperature scaling, where it was asked for.
        conformal: Prediction sets, where they were asked for.
        open_sets: Each set of foreign images by its name.
        corruptions: Errors on corrupted images, where they were asked for.
        label_issues: Images whose labels are doubtful, where they were asked for.
    """

    outcomes: Outcomes
    per_class: ClassAccuracy
    confusion: Confusion
    scores: ProperScores
    decomposition: BrierDecomposition
    errors: CalibrationErrors
    reliability: Reliability
    smooth: SmoothCalibration
    confidence: ConfidenceHistogram
    selective: RiskCoverage
    superclasses: SuperclassResult | None = None
    calibrated: Calibrated | None = None
    conformal: ConformalResult | None = None
    open_sets: Mapping[str, OpenSet] = field(default_factory=dict)
    corruptions: CorruptionResult | None = None
    label_issues: LabelIssues | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names."""
        return self.outcomes.classes

    @property
    def accuracy(self) -> Accuracy:
        """The accuracy of all images together."""
        return self.per_class.overall

    def metrics(self) -> dict[str, Any]:
        """Return the flat account as JSON can hold it; what is not applicable is None.

        `docs/metrics.md` lists the keys, each with its convention. `key_interval` is the 95 % interval
        [low, high] of `key`. Keys of analyses that were not asked for are absent. Not flat are the lists
        `per_class`, `confusion_pairs` (the 1,000 most frequent) and the object `open_sets`, which has the
        keys of each set of foreign images under the set's name.
        """
        parts = (self.superclasses, self.calibrated, self.conformal, self.corruptions, self.label_issues)
        optional = [part.metrics() for part in parts if part is not None]
        if self.open_sets:
            optional.append({"open_sets": {name: part.metrics() for name, part in self.open_sets.items()}})
        return {
            **self.accuracy.metrics(),
            "balanced_accuracy": self.per_class.balanced,
            "balanced_accuracy_interval": list(self.per_class.balanced_interval),
            **self.scores.metrics(),
            **self.decomposition.metrics(),
            **self.errors.metrics(),
            **self.confidence.metrics(),
            **self.selective.metrics(),
            **{key: value for part in optional for key, value in part.items()},
            "per_class": self.per_class.rows(),
            "confusion_pairs": self.confusion.rows(most=_PAIRS),
        }

    def save(self, folder: Path | str) -> list[Path]:
        """Write `metrics.json` and, under `tables/`, CSV and LaTeX of each table; return the main paths.

        Text is exact in the JSON; in the CSV a cell that a spreadsheet would run gets a leading apostrophe.
        """
        metrics, tables = Path(folder) / "metrics.json", Path(folder) / "tables"
        told = self.metrics()
        write_json(metrics, told)
        write_table(tables / "metrics.csv", ("metric", "value", "low", "high"), _rows(told))
        parts = (
            *(self.per_class, self.confusion, self.reliability, self.confidence, self.selective),
            *(self.superclasses, self.calibrated, self.conformal, self.corruptions, self.label_issues),
        )
        written = [part.save(tables) for part in parts if part is not None]
        for name, part in self.open_sets.items():
            written.append(part.save(tables / file_name(name)))
        lists = (paths if isinstance(paths, list) else [paths] for paths in written)
        return [metrics, tables / "metrics.csv", *(path for paths in lists for path in paths)]


def evaluate(
    source: Predictions | Outcomes,
    *,
    bins: int = 15,
    replicates: int = REPLICATES,
    seed: int = 0,
    superclasses: Superclasses | None = None,
) -> Evaluation:
    """Compute every metric in one streamed pass over the logits, and the intervals by one bootstrap.

    Args:
        source: Predictions, or their outcomes, made with as many bins.
        bins: The number of bins of the calibration errors and of the reliability diagram.
        replicates: How often the bootstrap draws images anew, the same for all numbers; 0 for no intervals
            but those made of Wilson's.
        seed: The bootstrap's seed.
        superclasses: Groups of the classes.

    Raises:
        InputError: There are no images, or the superclasses are of other classes.
        NotFiniteError: No image has finite logits.
        UsageError: There is less than one bin.
    """
    rows = outcomes(source, bins=bins)
    made = Evaluation(
        outcomes=rows,
        per_class=class_accuracy(rows),
        confusion=confusion(rows),
        scores=proper_scores(rows, replicates=0),
        decomposition=brier_decomposition(rows, bins=bins),
        errors=calibration_errors(rows, bins=bins, replicates=0),
        reliability=reliability(rows, bins=bins),
        smooth=smooth_calibration(rows),
        confidence=confidence_histogram(rows),
        selective=risk_coverage(rows, replicates=0),
        superclasses=None if superclasses is None else superclass_accuracy(rows, superclasses),
    )
    return _with_intervals(made, replicates=replicates, seed=seed) if replicates else made


def _rows(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float | int, float | None, float | None]]:
    """Yield each number of the flat account with its interval."""
    for key, value in metrics.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = metrics.get(f"{key}_interval") or (None, None)
            yield key, value, low, high


def file_name(name: str) -> str:
    """Return a name, such as that of a data set or a folder, as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[-60:] or "unnamed"


def _with_intervals(made: Evaluation, *, replicates: int, seed: int) -> Evaluation:
    """Return the same with intervals, of one bootstrap whose draws all numbers share."""
    scored = made.outcomes.scored
    statistics = {
        **weighted_scores(scored),
        **weighted_calibration_errors(scored, bins=made.errors.bins),
        **weighted_areas(scored),
    }
    for name in _NOT_DRAWN:
        del statistics[name]
    draws = bootstrap(statistics, len(scored), replicates=replicates, seed=seed)
    return replace(
        made,
        scores=made.scores.with_intervals(draws, scored.correct),
        errors=made.errors.with_intervals(draws, scored.correct),
        selective=made.selective.with_intervals(draws),
    )
