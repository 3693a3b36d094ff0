"""Pairs: two classes that are taken for each other, with images to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.confusion import Confusion, ConfusionPair, confusion
from vitscope.analysis.intervals import wilson
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.samples import draw_rows
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["PairSamples", "pair_samples"]


@dataclass(frozen=True, eq=False)
class PairSamples:
    """Two classes that are confused, and images drawn at random of each case; any may be empty.

    Attributes:
        forward: First class taken for the second, the more frequent direction.
        backward: Second class taken for the first; its share and interval are NaN where the second class has
            no image.
        first: Rows of the first class that are predicted right.
        first_taken: Rows of the first class that are taken for the second.
        second_taken: Rows of the second class that are taken for the first.
        second: Rows of the second class that are predicted right.
        seed: The seed they were drawn with.
    """

    forward: ConfusionPair
    backward: ConfusionPair
    first: NDArray[np.int64]
    first_taken: NDArray[np.int64]
    second_taken: NDArray[np.int64]
    second: NDArray[np.int64]
    seed: int


def pair_samples(
    source: Predictions | Outcomes,
    *,
    pairs: int = 6,
    count: int = 3,
    references: int = 2,
    seed: int = 42,
) -> tuple[PairSamples, ...]:
    """Draw images of the most confused pairs of classes, both directions of a pair together.

    Pairs stand in the order of `Confusion.pairs`, by count, then share, of the more frequent direction. The
    images of a pair depend on the seed and on the two classes alone.

    Args:
        source: Predictions, or their outcomes.
        pairs: How many pairs at most.
        count: How many confused images of each direction at most.
        references: How many right images of each class at most.
        seed: The seed of NumPy's PCG64, together with the classes' indices.

    Returns:
        The pairs; none where nothing is confused.

    Raises:
        UsageError: A number is negative.
        NotFiniteError: No image has finite logits.
    """
    if min(pairs, count, references) < 0:
        raise UsageError(f"expected numbers of at least 0, got {pairs}, {count} and {references}")
    rows = outcomes(source)
    table = confusion(rows)
    found = []
    for forward in _unordered(table, pairs):
        backward = _direction(table, forward.predicted, forward.true)

        def drawn(true: int, predicted: int) -> NDArray[np.int64]:
            pool = np.flatnonzero((rows.labels == true) & (rows.predicted == predicted))
            most = references if true == predicted else count
            return draw_rows(pool, most, seed=(seed, true, predicted))

        first, second = forward.true, forward.predicted
        found.append(
            PairSamples(
                forward=forward,
                backward=backward,
                first=drawn(first, first),
                first_taken=drawn(first, second),
                second_taken=drawn(second, first),
                second=drawn(second, second),
                seed=seed,
            )
        )
    return tuple(found)


def _unordered(table: Confusion, most: int) -> list[ConfusionPair]:
    """Return the first direction of each pair of classes, in the table's order."""
    seen: set[tuple[int, int]] = set()
    found: list[ConfusionPair] = []
    for pair in table.pairs:
        if len(found) == most:
            break
        if (pair.predicted, pair.true) not in seen:
            seen.add((pair.true, pair.predicted))
            found.append(pair)
    return found


def _direction(table: Confusion, true: int, predicted: int) -> ConfusionPair:
    cell = (table.true == true) & (table.predicted == predicted)
    count, total = int(table.count[cell].sum()), int(table.totals[true])
    low, high = wilson(count, total).tolist()
    return ConfusionPair(true, predicted, count, count / total if total else np.nan, low, high)
