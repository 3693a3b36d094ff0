"""Mistakes: images of two classes that were taken for each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.confusion import confusion
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.samples import draw_rows
from vitscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["Mistakes", "choose_mistakes"]


@dataclass(frozen=True, eq=False)
class Mistakes:
    """Images of two classes that were taken for each other.

    Attributes:
        predictions: All predictions.
        pair: The two classes, that which is taken for the other more often first.
        rows: `[image]`, rows of the predictions, drawn at random: those of the first class before the others.
        counts: How many images of the first class are taken for the second, and of the second for the first.
        seed: The seed they were drawn with.
    """

    predictions: Predictions
    pair: tuple[int, int]
    rows: NDArray[np.int64]
    counts: tuple[int, int]
    seed: int

    @cached_property
    def sample(self) -> Predictions:
        """The predictions of the drawn images alone."""
        return self.predictions.take(self.rows)


def choose_mistakes(
    predictions: Predictions, *, pair: tuple[int, int] | None = None, limit: int = 8, seed: int = 42
) -> Mistakes:
    """Draw images of two classes that were taken for each other, from both directions alike.

    Args:
        predictions: The predictions.
        pair: The two classes; without it that with most images of one direction, then the largest share.
        limit: How many images at most.
        seed: The seed of NumPy's PCG64, together with the classes' indices.

    Raises:
        UsageError: The limit is below 1, or the pair is one class twice.
        InputError: No image of these classes is taken for the other.
        NotFiniteError: No image has finite logits.
    """
    if limit < 1:
        raise UsageError(f"expected a limit of at least 1 image, got {limit}")
    rows = outcomes(predictions)
    if pair is None:
        confused = confusion(rows).pairs
        if not confused:
            raise InputError("no image is taken for another class: there is no mistake to look at")
        pair = confused[0].true, confused[0].predicted
    if pair[0] == pair[1]:
        raise UsageError(f"expected two classes, got {predictions.classes[pair[0]]!r} twice")
    pools = [np.flatnonzero((rows.labels == a) & (rows.predicted == b)) for a, b in (pair, pair[::-1])]
    if len(pools[1]) > len(pools[0]):
        pair, pools = (pair[1], pair[0]), pools[::-1]
    names = [predictions.classes[index] for index in pair]
    if not len(pools[0]):
        raise InputError(f"no image of {names[0]!r} is taken for {names[1]!r}, nor the other way round")
    second = min(len(pools[1]), max(limit // 2, limit - len(pools[0])))
    drawn = [
        draw_rows(pool, count, seed=(seed, *ends))
        for pool, count, ends in zip(pools, (limit - second, second), (pair, pair[::-1]), strict=True)
    ]
    return Mistakes(predictions, pair, np.concatenate(drawn), (len(pools[0]), len(pools[1])), seed)
