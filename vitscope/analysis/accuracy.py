"""Accuracy: overall, top-k and of every class, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.answers import Answers, answers
from vitscope.analysis.intervals import wilson
from vitscope.analysis.tables import number, write_table
from vitscope.errors import UsageError
from vitscope.paths import write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.bootstrap import Statistic
    from vitscope.records.predictions import Predictions

__all__ = ["Accuracy", "ClassAccuracy", "accuracy", "class_accuracy", "weighted_balanced_accuracy"]


@dataclass(frozen=True)
class Accuracy:
    """How often a model is right.

    Attributes:
        n: How many images were scored: those with finite logits.
        n_not_finite: How many were left out because their logits are not finite.
        correct: How many predictions are right.
        value: correct / n, in 0 … 1.
        interval: The Wilson 95 % interval.
        k: The k of `top_k`.
        top_k: The share of images whose label is among the k largest scores, in 0 … 1.
        top_k_interval: Its Wilson 95 % interval.
    """

    n: int
    n_not_finite: int
    correct: int
    value: float
    interval: tuple[float, float]
    k: int
    top_k: float
    top_k_interval: tuple[float, float]

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them; `top5` stands for min(5, classes)."""
        return {
            "n": self.n,
            "n_not_finite": self.n_not_finite,
            "accuracy": self.value,
            "accuracy_interval": list(self.interval),
            f"top{self.k}": self.top_k,
            f"top{self.k}_interval": list(self.top_k_interval),
        }

    def save(self, folder: Path | str) -> Path:
        """Write `accuracy.json` into the folder and return its path."""
        path = Path(folder) / "accuracy.json"
        write_json(path, self.metrics())
        return path


@dataclass(frozen=True, eq=False)
class ClassAccuracy:
    """How often a model is right on each class: the class's recall.

    Attributes:
        classes: The class names.
        n: `[class]`, scored images of the class.
        correct: `[class]`, those predicted right.
        accuracy: `[class]`, correct / n; NaN where the class has no image.
        interval: `[class, 2]`, Wilson 95 %; NaN where the class has no image.
        overall: The accuracy of all images together.
    """

    classes: tuple[str, ...]
    n: NDArray[np.int64]
    correct: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    interval: NDArray[np.float64]
    overall: Accuracy

    @property
    def balanced(self) -> float:
        """The mean of the classes' accuracies, over the classes that have images."""
        return float(np.nanmean(self.accuracy))

    @property
    def balanced_interval(self) -> tuple[float, float]:
        """A 95 % interval of `balanced`, b = Σ p_k/K of the K classes that have images.

        It is made of two, from the lower of their low ends to the higher of their high ends:

        - of the classes' Wilson intervals (l_k, u_k): b − √Σ(p_k − l_k)²/K … b + √Σ(u_k − p_k)²/K;
        - Wilson's of the share b of K²/Σ(1/n_k) images, the number that would make b as uncertain were the
          classes equally hard.

        The first alone held the true value in only 72 % of samples of 100 images of 100 classes, since the
        interval of a class's few images is short on the side where most of them are; the second in 80 % where
        a rare class is the hard one. Both together held it in 91 to 100 % of 4,000 samples in each of 156
        cases: 100 or 1,000 images, 2, 10 or 100 classes, evenly or unevenly many of each, errors of 0 to
        50 %, alike or not.

        *Source*: Zou and Donner 2008, the method of variance estimates recovery (MOVER), for the first.
        """
        full = self.n > 0
        share, (low, high) = self.accuracy[full], self.interval[full].T
        effective = len(share) ** 2 / float((1 / self.n[full]).sum())
        ends = wilson(self.balanced * effective, effective)
        below = self.balanced - float(np.linalg.norm(share - low)) / len(share)
        above = self.balanced + float(np.linalg.norm(high - share)) / len(share)
        return max(0.0, min(below, float(ends[0]))), min(1.0, max(above, float(ends[1])))

    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary a class: `class`, `n`, `correct`, `accuracy`, `interval`; None where n/a."""
        return [
            {
                "class": name,
                "n": int(count),
                "correct": int(correct),
                "accuracy": number(share),
                "interval": [number(low), number(high)] if count else None,
            }
            for name, count, correct, share, (low, high) in zip(
                self.classes, self.n, self.correct, self.accuracy, self.interval, strict=True
            )
        ]

    def save(self, folder: Path | str) -> Path:
        """Write `per_class.csv` into the folder and return its path; n/a is an empty cell."""
        path = Path(folder) / "per_class.csv"
        rows = (
            (row["class"], row["n"], row["correct"], row["accuracy"], *(row["interval"] or (None, None)))
            for row in self.rows()
        )
        write_table(path, ("class", "n", "correct", "accuracy", "low", "high"), rows, percent=("accuracy",))
        return path


def accuracy(source: Predictions | Answers, *, k: int = 5) -> Accuracy:
    """Return the share of right predictions, its Wilson 95 % interval, and top-k accuracy.

    A label is in the top min(k, classes) where fewer than k classes come before it; classes with equal scores
    stand in the order of their indices, so that top-1 is exactly the accuracy of the first arg max.

    *Differs*: `sklearn.metrics.top_k_accuracy_score` breaks ties by the larger index. Images with logits that
    are not finite are counted and left out, not scored as class 0 as arg max over NaN would have it.

    Args:
        source: Predictions, or their answers or outcomes.
        k: How many classes count as the top.

    Raises:
        UsageError: k is less than 1.
        NotFiniteError: No image has finite logits.
    """
    if k < 1:
        raise UsageError(f"expected k of at least 1, got {k}")
    rows = answers(source)
    scored = rows.scored
    correct = int(np.count_nonzero(scored.correct))
    within = int(np.count_nonzero(scored.rank < k))
    bounds = wilson([correct, within], len(scored)).tolist()
    return Accuracy(
        n=len(scored),
        n_not_finite=rows.n_not_finite,
        correct=correct,
        value=correct / len(scored),
        interval=tuple(bounds[0]),
        k=k,
        top_k=within / len(scored),
        top_k_interval=tuple(bounds[1]),
    )


def class_accuracy(source: Predictions | Answers) -> ClassAccuracy:
    """Return each class's accuracy with its Wilson 95 % interval, over images with finite logits.

    Raises:
        NotFiniteError: No image has finite logits.
    """
    rows = answers(source)
    scored = rows.scored
    width = len(scored.classes)
    count = np.bincount(scored.labels, minlength=width)
    correct = np.bincount(scored.labels[scored.correct], minlength=width)
    with np.errstate(invalid="ignore"):
        share = correct / count
    return ClassAccuracy(
        classes=scored.classes,
        n=count,
        correct=correct,
        accuracy=share,
        interval=wilson(correct, count),
        overall=accuracy(rows),
    )


def weighted_balanced_accuracy(source: Predictions | Answers) -> Statistic:
    """Return the mean of the classes' accuracies as a function of the scored images' weights.

    A class of which no image has any weight is left out of the mean.
    """
    scored = answers(source).scored
    width = len(scored.classes)
    right = np.flatnonzero(scored.correct)
    labels = scored.labels[right]

    def balanced(weights: NDArray[np.float64]) -> float:
        count = np.bincount(scored.labels, weights=weights, minlength=width)
        hits = np.bincount(labels, weights=weights[right], minlength=width)
        return float(np.mean(hits[count > 0] / count[count > 0]))

    return balanced
