"""Coverage: whether prediction sets hold the true class as often as promised, and how large they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vitscope.analysis.conformal import TEST, ConformalPredictor, check_width
from vitscope.analysis.conformity import ScoredRows, map_scored
from vitscope.analysis.intervals import wilson
from vitscope.analysis.tables import number, write_table
from vitscope.errors import InputError, NotFiniteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["ConformalResult", "SizeStratum", "evaluate_conformal"]

_Z = NormalDist().inv_cdf(0.975)
_SHARES = ("coverage",)
_BREAKS = (0, 1, 2, 4, 7, 11, 101)  # where strata of set sizes begin, as in Angelopoulos et al. 2021


class SizeStratum(NamedTuple):
    """The images whose sets have `low` to `high` classes, and how many of those sets hold the true one."""

    low: int
    high: int
    n: int
    covered: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % of covered / n."""
        low, high = wilson(self.covered, self.n).tolist()
        return low, high


@dataclass(frozen=True, eq=False)
class ConformalResult:
    """What prediction sets are worth on labelled images that they were not fitted on.

    Attributes:
        predictor: What made the sets.
        classes: The class names.
        n_not_finite: How many images were left out because their logits are not finite.
        sizes: `[classes + 1]`, how many images have a set of that size, from the empty one.
        covered: `[classes + 1]`, how many of those sets hold the true class.
        class_n: `[class]`, images of the class.
        class_covered: `[class]`, how many of their sets hold it.
    """

    predictor: ConformalPredictor
    classes: tuple[str, ...]
    n_not_finite: int
    sizes: Integers
    covered: Integers
    class_n: Integers
    class_covered: Integers

    @property
    def n(self) -> int:
        """How many images were scored."""
        return int(self.sizes.sum())

    @property
    def coverage(self) -> float:
        """The share of sets that hold the true class."""
        return int(self.covered.sum()) / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % of the coverage of this predictor; `coverage_range` is over predictors."""
        low, high = wilson(int(self.covered.sum()), self.n).tolist()
        return low, high

    @property
    def mean_size(self) -> float:
        """The mean number of classes in a set."""
        return float(self.sizes @ np.arange(self.sizes.size)) / self.n

    @property
    def mean_size_interval(self) -> tuple[float, float] | None:
        """Normal 95 %, mean ± z s / √n within 0 … classes; None for a single image."""
        if self.n < 2:
            return None
        squares = (np.arange(self.sizes.size) - self.mean_size) ** 2
        half = _Z * math.sqrt(float(self.sizes @ squares) / (self.n - 1) / self.n)
        return max(0.0, self.mean_size - half), min(float(len(self.classes)), self.mean_size + half)

    @property
    def class_coverage(self) -> Floats:
        """The share of each class's images whose set holds it: `[class]`, NaN where it has no image."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.class_covered / self.class_n)

    @property
    def class_interval(self) -> Floats:
        """Wilson's 95 % of each class's coverage: `[class, 2]`, NaN where it has no image."""
        return wilson(self.class_covered, self.class_n)

    @property
    def strata(self) -> tuple[SizeStratum, ...]:
        """Coverage by size of the set, in ranges of sizes that occur, from the empty set up."""
        ends = (*_BREAKS[1:], max(_BREAKS[-1] + 1, self.sizes.size))
        parts = (
            SizeStratum(
                low=low,
                high=min(end, self.sizes.size) - 1,
                n=int(self.sizes[low:end].sum()),
                covered=int(self.covered[low:end].sum()),
            )
            for low, end in zip(_BREAKS, ends, strict=True)
        )
        return tuple(part for part in parts if part.n)

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them: None where not applicable.

        `conformal_coverage_range` is the central 95 % of what such a predictor covers, whatever the model:
        Beta's, see `ConformalPredictor.coverage_range`. An infinite `conformal_threshold` is None.
        """
        made, single = self.predictor, int(self.sizes[1])
        low, high = wilson(int(self.covered[1]), single).tolist()
        size_interval = self.mean_size_interval
        return {
            "conformal_method": made.score.method,
            "conformal_alpha": made.alpha,
            "conformal_n_calibration": made.n,
            "conformal_threshold": number(made.threshold),
            "conformal_n": self.n,
            "conformal_coverage": self.coverage,
            "conformal_coverage_interval": list(self.interval),
            "conformal_coverage_range": list(made.coverage_range),
            "conformal_mean_size": self.mean_size,
            "conformal_mean_size_interval": None if size_interval is None else list(size_interval),
            "conformal_empty_share": int(self.sizes[0]) / self.n,
            "conformal_singleton_share": single / self.n,
            "conformal_singleton_accuracy": int(self.covered[1]) / single if single else None,
            "conformal_singleton_accuracy_interval": [low, high] if single else None,
        }

    def save(self, folder: Path | str) -> list[Path]:
        """Write `conformal_sizes.csv` and `conformal_classes.csv` into the folder and return their paths."""
        sizes, classes = Path(folder) / "conformal_sizes.csv", Path(folder) / "conformal_classes.csv"
        bounds = wilson(self.covered, self.sizes)
        rows = (
            (size, count, covered, covered / count, *bounds[size].tolist())
            for size, (count, covered) in enumerate(
                zip(self.sizes.tolist(), self.covered.tolist(), strict=True)
            )
            if count
        )
        write_table(sizes, ("size", "n", "covered", "coverage", "low", "high"), rows, percent=_SHARES)
        columns = (self.class_n, self.class_covered, self.class_coverage, *self.class_interval.T)
        lines = zip(self.classes, *(column.tolist() for column in columns), strict=True)
        write_table(classes, ("class", "n", "covered", "coverage", "low", "high"), lines, percent=_SHARES)
        return [sizes, classes]


def evaluate_conformal(
    predictor: ConformalPredictor, test: Predictions, *, rows: NDArray[np.bool_] | None = None
) -> ConformalResult:
    """Count how often prediction sets hold the true class, in one streamed pass over the logits.

    Args:
        predictor: What `fit_conformal` returns.
        test: Labelled predictions of the same model.
        rows: `[image]`, which images to test on; all by default. None of them may have been fitted on.

    Raises:
        InputError: The classes differ in number, there are no images, or `rows` does not fit them.
        NotFiniteError: No image has finite logits.
    """
    width = len(test.classes)
    check_width(predictor, width)
    asked = len(test) if rows is None else int(np.count_nonzero(rows))
    if not asked:
        raise InputError("expected at least one image to test on, got none")

    def count(part: ScoredRows) -> tuple[Integers, ...]:
        size = np.count_nonzero(part.scores <= predictor.threshold, axis=1)
        inside = part.label_rank < size
        return (
            np.bincount(size, minlength=width + 1),
            np.bincount(size[inside], minlength=width + 1),
            np.bincount(part.labels, minlength=width),
            np.bincount(part.labels[inside], minlength=width),
        )

    totals = [np.zeros(length, dtype=np.int64) for length in (width + 1, width + 1, width, width)]
    for counts in map_scored(count, test, predictor.score, stream=TEST, rows=rows):
        totals = [total + part for total, part in zip(totals, counts, strict=True)]
    scored = int(totals[0].sum())
    if not scored:
        raise NotFiniteError(f"none of the {asked} images to test on has finite logits")
    return ConformalResult(predictor, test.classes, asked - scored, *totals)
