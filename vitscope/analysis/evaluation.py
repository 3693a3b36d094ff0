"""Evaluation: the whole account of one model on one labelled set of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.analysis.accuracy import Accuracy, ClassAccuracy, class_accuracy
from vitscope.analysis.calibration import Reliability, reliability
from vitscope.analysis.confusion import Confusion, confusion
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.scores import ProperScores, proper_scores
from vitscope.paths import write_json

if TYPE_CHECKING:
    from vitscope.records.predictions import Predictions

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every metric of one model on one set of images, each over the same images: those with finite logits.

    Attributes:
        outcomes: One row an image, for the drawing of samples.
        per_class: Accuracy of every class.
        confusion: The confusion matrix and its pairs.
        scores: Negative log-likelihood and Brier score.
        reliability: Accuracy by confidence, and the expected calibration error.
    """

    outcomes: Outcomes
    per_class: ClassAccuracy
    confusion: Confusion
    scores: ProperScores
    reliability: Reliability

    @property
    def accuracy(self) -> Accuracy:
        """The accuracy of all images together."""
        return self.per_class.overall

    def metrics(self) -> dict[str, Any]:
        """Return the flat account as JSON can hold it; what is not applicable is None.

        Keys: `n` (images scored), `n_not_finite` (images left out), `accuracy`, `accuracy_interval`
        [low, high], `top5` (top min(5, classes)), `balanced_accuracy`, `nll`, `brier`, `n_zero_truth`, `ece`,
        `ece_bins`; lists `per_class` (`class`, `n`, `correct`, `accuracy`, `interval`) and `confusion_pairs`
        (`true`, `predicted`, `count`, `share`, `interval`).
        """
        return {
            **self.accuracy.metrics(),
            "balanced_accuracy": self.per_class.balanced,
            **self.scores.metrics(),
            "ece": self.reliability.ece,
            "ece_bins": self.reliability.bins,
            "per_class": self.per_class.rows(),
            "confusion_pairs": self.confusion.rows(),
        }

    def save(self, folder: Path | str) -> list[Path]:
        """Write `metrics.json` and, under `tables/`, a CSV file for each table; return their paths.

        Text is exact in the JSON; in the CSV a cell that a spreadsheet would run gets a leading apostrophe.
        """
        metrics, tables = Path(folder) / "metrics.json", Path(folder) / "tables"
        write_json(metrics, self.metrics())
        return [
            metrics,
            self.per_class.save(tables),
            *self.confusion.save(tables),
            self.reliability.save(tables),
        ]


def evaluate(source: Predictions | Outcomes) -> Evaluation:
    """Compute every metric in one streamed pass over the logits.

    Raises:
        InputError: There are no images.
        NotFiniteError: No image has finite logits.
    """
    rows = outcomes(source)
    return Evaluation(
        outcomes=rows,
        per_class=class_accuracy(rows),
        confusion=confusion(rows),
        scores=proper_scores(rows),
        reliability=reliability(rows),
    )
