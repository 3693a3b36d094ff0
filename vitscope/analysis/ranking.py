"""Ranking: images in the order of how sure the model is of them, and the risk of keeping the surest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.outcomes import Outcomes

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Certainty", "RiskLayout", "Ties", "certainties"]

_ROUNDING = 1e-12

Certainty = Literal["confidence", "margin", "entropy", "maximum"]
"""What images are ranked by: max p; the two largest logits' difference; less entropy; max z."""


def certainties(scored: Outcomes, by: Certainty) -> Floats:
    """Return the column to rank by, higher where the model is surer: `[image]`.

    Certainties that differ by no more than rounding have one value, the least of them, so that they are tied:
    a sum of the same numbers in another order may differ in its last digits. These are values within a
    relative 1e-12 of the least, and entropies also within 1e-12 nats, as a small one is the difference of
    larger numbers. Where values lie so densely that each is within that of the next, a new group begins at
    the first that is not within it of the least of its own.

    Raises:
        UsageError: `by` is no such column.
    """
    columns: dict[str, Floats] = {
        "confidence": scored.confidence,
        "margin": scored.margin,
        "entropy": -scored.entropy,
        "maximum": scored.maximum,
    }
    if by not in columns:
        raise UsageError(f"expected by one of {', '.join(columns)}, got {by!r}")
    return _tied(columns[by], unit=1.0 if by == "entropy" else 0.0)


@dataclass(frozen=True, eq=False)
class Ties:
    """Groups of equally sure images, the surest first.

    Attributes:
        certainty: `[group]`, falling.
        stop: `[group]`, how many images are in this group and the surer ones.
        wrong: `[group]`, how many of the group are predicted wrong.
    """

    certainty: Floats
    stop: Integers
    wrong: Integers

    @classmethod
    def of(cls, certainty: Floats, wrong: NDArray[np.bool_]) -> Ties:
        """Group the images of equal certainty."""
        values, group, count = np.unique(-certainty, return_inverse=True, return_counts=True)
        return cls(-values, np.cumsum(count), np.bincount(group[wrong], minlength=values.size))

    def __len__(self) -> int:
        """How many images there are."""
        return int(self.stop[-1])

    def errors(self, covered: Integers) -> Floats:
        """Return how many of the `covered` surest images are wrong, in expectation over orders of ties."""
        ends, totals = np.append(0, self.stop), np.append(0, np.cumsum(self.wrong))
        return np.asarray(np.interp(covered, ends, totals), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class RiskLayout:
    """All of the AURC that does not change with the weights of the images.

    A cell is a group of tied images with an error among them, or all right images between two such groups:
    only groups with errors add to the area, and of the others only their size matters.

    Attributes:
        cell: `[image]`, the image's cell, in the order of the ranking.
        active: `[active cell]`, the cells with errors.
        mixed: `[mixed cell]`, the places in `active` of the cells with right images too.
        tied: `[error in a mixed cell]`, which images those are.
        slot: `[error in a mixed cell]`, the place of its cell in `mixed`.
        harmonic: `[image + 1]`, the harmonic numbers from H_0 = 0.
    """

    cell: Integers
    active: Integers
    mixed: Integers
    tied: Integers
    slot: Integers
    harmonic: Floats

    @classmethod
    def of(cls, certainty: Floats, wrong: NDArray[np.bool_]) -> RiskLayout:
        """Sort the images once."""
        values, group, size = np.unique(-certainty, return_inverse=True, return_counts=True)
        errors = np.bincount(group[wrong], minlength=values.size)
        begins = (errors > 0) | np.append(True, errors[:-1] > 0)
        cell_of_group = np.cumsum(begins) - 1
        both = (errors > 0) & (errors < size)
        active, mixed = cell_of_group[errors > 0], cell_of_group[both]
        tied = np.flatnonzero(wrong & both[group])
        harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, certainty.size + 1)))
        cell = cell_of_group[group]
        return cls(
            cell=cell,
            active=active,
            mixed=np.searchsorted(active, mixed),
            tied=tied,
            slot=np.searchsorted(mixed, cell[tied]),
            harmonic=harmonic,
        )

    def area(self, weights: Floats) -> tuple[float, float]:
        """Return the AURC of images of these weights, which sum to their count, and the weight of the errors.

        The expected error rate of the i surest, meaned over i, is (1/N) Σ over errors of the mean of
        H_N − H_i over the places i = s … e − 1 that its group of tied images takes.
        """
        counts = np.bincount(self.cell, weights=weights)
        stops = np.cumsum(counts)[self.active].astype(np.int64)
        errors = counts[self.active]
        starts, size = stops - errors.astype(np.int64), np.maximum(errors, 1.0)
        errors[self.mixed] = np.bincount(self.slot, weights=weights[self.tied], minlength=self.mixed.size)
        total, count = float(errors.sum()), self.harmonic.size - 1
        last, first = self.harmonic[stops], self.harmonic[starts]
        # Σ H_i over i = s … e − 1 is e (H_e − 1) − s (H_s − 1); a cell without weight has no errors either.
        mean = last - 1 + starts * ((last - first) / size)
        return (total * float(self.harmonic[-1]) - float(errors @ mean)) / count, total

    def optimum(self, errors: float) -> float:
        """Return the least AURC with so many errors: (1/N) Σ_i max(0, i − (N − K)) / i."""
        count = self.harmonic.size - 1
        right = count - round(errors)
        return float(errors - right * (self.harmonic[-1] - self.harmonic[right])) / count


def _tied(certainty: Floats, *, unit: float) -> Floats:
    """Return the certainties with each group of those that rounding tells apart at its least value."""
    values, place = np.unique(certainty, return_inverse=True)
    size = np.maximum(np.abs(values), unit)
    # The smaller size of two neighbours: an infinite margin is not near a finite one.
    begins = np.append(True, np.diff(values) > _ROUNDING * np.minimum(size[1:], size[:-1]))
    first = np.flatnonzero(begins)
    stop = np.append(first[1:], values.size)
    broad = values[stop - 1] > values[first] + _ROUNDING * size[first]
    for start, end in zip(first[broad].tolist(), stop[broad].tolist(), strict=True):
        at = start
        while at < end:
            begins[at] = True
            limit = values[at] + _ROUNDING * size[at]
            at += int(np.searchsorted(values[at:end], limit, side="right"))
    least = values[begins]
    return np.asarray(least[np.cumsum(begins) - 1][place], dtype=np.float64)
