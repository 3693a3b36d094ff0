"""Agreement: whether models make the same predictions, and the same mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.tables import number, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from vitscope.analysis.outcomes import Outcomes

__all__ = ["Agreement", "Disagreement", "Overlap", "agreement", "disagreement"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How two models' answers to the same images overlap; the five counts sum to the images.

    Attributes:
        both_right: Images that both have right.
        only_model: Images that the model alone has right.
        only_reference: Images that the reference alone has right.
        wrong_alike: Images that both take for the same wrong class.
        wrong_apart: Images that they take for different wrong classes.
    """

    both_right: int
    only_model: int
    only_reference: int
    wrong_alike: int
    wrong_apart: int

    @property
    def n(self) -> int:
        """All images."""
        return self.both_right + self.only_model + self.only_reference + self.wrong_alike + self.wrong_apart

    @property
    def same(self) -> float:
        """The share of images with the same prediction, in 0 … 1."""
        return (self.both_right + self.wrong_alike) / self.n

    @property
    def error_consistency(self) -> float:
        """Cohen's kappa of right and wrong: (o − e)/(1 − e), at most 1, 0 where errors are independent.

        o is the share of images that both have right or both wrong, e = pq + (1 − p)(1 − q) what independent
        models of the same accuracies p and q would have. NaN where e = 1: both all right, or both all wrong.

        *Source*: Geirhos, Meding and Wichmann 2020, arXiv 2006.16736, eq. 1.
        """
        n = self.n
        model, reference = self.both_right + self.only_model, self.both_right + self.only_reference
        # In whole numbers, all times n²: nothing cancels.
        expected = model * reference + (n - model) * (n - reference)
        observed = n * (n - self.only_model - self.only_reference)
        return (observed - expected) / (n * n - expected) if expected != n * n else float("nan")

    def swapped(self) -> Overlap:
        """Return the overlap with model and reference in each other's place."""
        return Overlap(
            self.both_right, self.only_reference, self.only_model, self.wrong_alike, self.wrong_apart
        )


@dataclass(frozen=True, eq=False)
class Agreement:
    """How often each two models agree.

    Attributes:
        models: The models' names.
        same: `[model, model]`, share of images with the same prediction, in 0 … 1; symmetric, 1 on the
            diagonal.
        error_consistency: `[model, model]`, see `Overlap.error_consistency`; NaN where it is not defined.
        overlaps: The overlap of each two models, by their indices (reference, model), reference < model.
    """

    models: tuple[str, ...]
    same: NDArray[np.float64]
    error_consistency: NDArray[np.float64]
    overlaps: dict[tuple[int, int], Overlap]

    def metrics(self) -> dict[str, Any]:
        """Return `agreement` and `error_consistency` as matrices; what is not defined is None."""
        return {
            "agreement": self.same.tolist(),
            "error_consistency": [[number(value) for value in row] for row in self.error_consistency],
        }

    def save(self, folder: Path | str) -> Path:
        """Write `agreement.csv` into the folder, a line for each two models, and return its path."""
        path = Path(folder) / "agreement.csv"
        counts = ("both_right", "only_model", "only_reference", "wrong_alike", "wrong_apart")
        columns = ("model", "reference", "same_prediction", "error_consistency", *counts)
        write_table(path, columns, self._lines(counts), percent=("same_prediction",))
        return path

    def _lines(self, counts: Sequence[str]) -> Iterator[list[str | float | int]]:
        for (reference, model), overlap in self.overlaps.items():
            names = (self.models[model], self.models[reference])
            values = (getattr(overlap, name) for name in counts)
            yield [*names, overlap.same, overlap.error_consistency, *values]


@dataclass(frozen=True, eq=False)
class Disagreement:
    """The images on which two models differ, as rows of the predictions, in ascending order.

    Attributes:
        only_model: Rows that the model alone has right.
        only_reference: Rows that the reference alone has right.
        wrong_apart: Rows that they take for different wrong classes.
    """

    only_model: NDArray[np.int64]
    only_reference: NDArray[np.int64]
    wrong_apart: NDArray[np.int64]


def agreement(models: Sequence[str], rows: Sequence[Outcomes]) -> Agreement:
    """Count how often each two models agree.

    Args:
        models: Their names.
        rows: Their scored outcomes of the same images, at least one.
    """
    overlaps = {
        (reference, model): _overlap(rows[model], rows[reference])
        for reference, model in combinations(range(len(rows)), 2)
    }
    same, consistency = (np.ones((len(rows), len(rows))) for _ in range(2))
    for place, row in enumerate(rows):
        consistency[place, place] = _overlap(row, row).error_consistency
    for (reference, model), overlap in overlaps.items():
        same[reference, model] = same[model, reference] = overlap.same
        consistency[reference, model] = consistency[model, reference] = overlap.error_consistency
    return Agreement(tuple(models), same, consistency, overlaps)


def disagreement(model: Outcomes, reference: Outcomes) -> Disagreement:
    """Find the images on which two models differ, among those with finite logits from both."""
    both = model.finite & reference.finite
    apart = (model.predicted != reference.predicted) & both
    return Disagreement(
        only_model=np.flatnonzero(apart & model.correct),
        only_reference=np.flatnonzero(apart & reference.correct),
        wrong_apart=np.flatnonzero(apart & ~model.correct & ~reference.correct),
    )


def _overlap(model: Outcomes, reference: Outcomes) -> Overlap:
    same = int(np.count_nonzero(model.predicted == reference.predicted))
    both = int(np.count_nonzero(model.correct & reference.correct))
    only_model = int(np.count_nonzero(model.correct)) - both
    only_reference = int(np.count_nonzero(reference.correct)) - both
    alike = same - both
    apart = len(model) - both - only_model - only_reference - alike
    return Overlap(both, only_model, only_reference, alike, apart)
