"""Open set: whether a model's answers tell images of known classes from images of none of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.foreignness import foreignness
from vitscope.analysis.roc import Auroc, RocCurve, auroc, average_precision, false_positive_rate, roc_curve
from vitscope.analysis.tables import number, write_table
from vitscope.errors import InputError, NotFiniteError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.unlabelled import Answers
    from vitscope.records.storage import RowReader

    Floats = NDArray[np.float64]
    Table = NDArray[np.floating] | RowReader

__all__ = ["OpenSet", "OpenSetScore", "open_set"]

_BINS = 50


@dataclass(frozen=True, eq=False)
class OpenSetScore:
    """How well one score, higher for more foreign, finds the foreign images.

    Attributes:
        name: `max_probability`, `max_logit`, `energy` or `knn`.
        auroc: The area under the ROC curve, with DeLong's interval; the same whichever is called positive.
        fpr_foreign_positive: The share of known images called foreign where 95 % of the foreign are found.
        fpr_known_positive: The share of foreign images called known where 95 % of the known are kept.
        aupr_foreign_positive: Average precision of finding foreign images; depends on their share.
        aupr_known_positive: Average precision of finding known images.
        roc: The curve, foreign positive.
        edges: `[bin + 1]`, of the histograms.
        known: `[bin]`, known images; those beyond the edges are in the outermost bins.
        foreign: `[bin]`, foreign images.
    """

    name: str
    auroc: Auroc
    fpr_foreign_positive: float
    fpr_known_positive: float
    aupr_foreign_positive: float
    aupr_known_positive: float
    roc: RocCurve
    edges: Floats
    known: NDArray[np.int64]
    foreign: NDArray[np.int64]

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them."""
        return {
            **self.auroc.metrics(),
            "fpr_at_95_tpr_foreign_positive": self.fpr_foreign_positive,
            "fpr_at_95_tpr_known_positive": self.fpr_known_positive,
            "aupr_foreign_positive": self.aupr_foreign_positive,
            "aupr_known_positive": self.aupr_known_positive,
        }


@dataclass(frozen=True, eq=False)
class OpenSet:
    """Every score's account of one set of foreign images.

    Attributes:
        scores: One a score, `max_probability` first.
        n_known: How many known images were scored.
        n_foreign: How many foreign images were scored.
        n_known_not_finite: Known images left out because a logit or a feature is not finite.
        n_foreign_not_finite: The same of foreign images.
    """

    scores: tuple[OpenSetScore, ...]
    n_known: int
    n_foreign: int
    n_known_not_finite: int
    n_foreign_not_finite: int

    def metrics(self) -> dict[str, Any]:
        """Return flat keys as JSON can hold them, like `open_set_energy_auroc`."""
        counts = {
            "open_set_n_known": self.n_known,
            "open_set_n_foreign": self.n_foreign,
            "open_set_n_known_not_finite": self.n_known_not_finite,
            "open_set_n_foreign_not_finite": self.n_foreign_not_finite,
        }
        return counts | {
            f"open_set_{score.name}_{key}": value
            for score in self.scores
            for key, value in score.metrics().items()
        }

    def save(self, folder: Path | str) -> Path:
        """Write `open_set.csv`, one row a score, into the folder and return its path."""
        path = Path(folder) / "open_set.csv"
        names = (
            "score",
            "n_known",
            "n_foreign",
            "auroc",
            "auroc_low",
            "auroc_high",
            "fpr_at_95_tpr_foreign_positive",
            "fpr_at_95_tpr_known_positive",
            "aupr_foreign_positive",
            "aupr_known_positive",
        )
        rows = (
            (
                score.name,
                self.n_known,
                self.n_foreign,
                number(score.auroc.value),
                *score.auroc.interval,
                score.fpr_foreign_positive,
                score.fpr_known_positive,
                score.aupr_foreign_positive,
                score.aupr_known_positive,
            )
            for score in self.scores
        )
        write_table(path, names, rows)
        return path


def open_set(
    known: Answers,
    foreign: Answers,
    *,
    temperature: float = 1.0,
    bank: Table | None = None,
    k: int = 50,
) -> OpenSet:
    """Measure how well a model's answers tell foreign images from known ones, by the scores of `foreignness`.

    Foreign images are the positive class. Labels are never looked at: pass a foreign set's outputs as
    `Unlabelled`, which has none. For each score: the area under the ROC curve, the false positive rate at a
    true positive rate of 95 % in both orientations, which differ and which papers mix up, and the average
    precision in both. All scores are of the same images: those finite throughout, features too where they
    are used.

    *Source*: Hendrycks and Gimpel 2017, arXiv 1610.02136 (the task and its measures).

    Args:
        known: Outputs on images of the model's classes: `Predictions`, or `Unlabelled`.
        foreign: Outputs of the same model on images of none of its classes.
        temperature: T of the energy.
        bank: `[image, feature]`, features of training or validation images of the same model, for the
            distance to neighbours; both sets must then have features. Never those of the test images.
        k: Which nearest neighbour counts.

    Raises:
        InputError: The outputs do not fit each other or the bank, or there are no images.
        NotFiniteError: A set has images, and none is finite throughout.
        UsageError: `temperature` or `k` is out of range, or the bank is one of the sets.
    """
    _check(known, foreign, bank)
    sides = [foreignness(answers, temperature=temperature, bank=bank, k=k) for answers in (known, foreign)]
    finite = [np.isfinite(list(side.values())).all(axis=0) for side in sides]
    for mask, what in zip(finite, ("known", "foreign"), strict=True):
        if not mask.any():
            raise NotFiniteError(f"none of the {mask.size} {what} images has finite outputs")
    (at_home, abroad), (kept, found) = sides, finite
    return OpenSet(
        scores=tuple(_score(name, at_home[name][kept], abroad[name][found]) for name in at_home),
        n_known=int(np.count_nonzero(kept)),
        n_foreign=int(np.count_nonzero(found)),
        n_known_not_finite=int(np.count_nonzero(~kept)),
        n_foreign_not_finite=int(np.count_nonzero(~found)),
    )


def _check(known: Answers, foreign: Answers, bank: Table | None) -> None:
    widths = known.logits.shape[1], foreign.logits.shape[1]
    if widths[0] != widths[1] or known.kind != foreign.kind:
        raise InputError(
            f"expected outputs of the same model, got {widths[0]} classes as {known.kind} and {widths[1]} as "
            f"{foreign.kind}"
        )
    if not (len(known.logits) and len(foreign.logits)):
        raise InputError(
            f"expected known and foreign images, got {len(known.logits)} and {len(foreign.logits)}"
        )
    if bank is not None and (bank is known.features or bank is foreign.features):
        raise UsageError(
            "expected a bank of other images than those to be scored, got the same features",
            hint="each image would be its own nearest neighbour: use training or validation images",
        )


def _score(name: str, known: Floats, foreign: Floats) -> OpenSetScore:
    edges = _edges(known, foreign)
    counts = [np.histogram(side.clip(edges[0], edges[-1]), bins=edges)[0] for side in (known, foreign)]
    return OpenSetScore(
        name=name,
        auroc=auroc(foreign, known),
        fpr_foreign_positive=false_positive_rate(foreign, known),
        fpr_known_positive=false_positive_rate(-known, -foreign),
        aupr_foreign_positive=average_precision(foreign, known),
        aupr_known_positive=average_precision(-known, -foreign),
        roc=roc_curve(foreign, known),
        edges=edges,
        known=counts[0],
        foreign=counts[1],
    )


def _edges(known: Floats, foreign: Floats) -> Floats:
    """Return common edges that a few far outliers do not stretch."""
    quantiles = [np.quantile(side, [0.002, 0.998]) for side in (known, foreign)]
    low, high = min(pair[0] for pair in quantiles), max(pair[1] for pair in quantiles)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _BINS + 1)
