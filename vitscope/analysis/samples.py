"""Samples: which images to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from vitscope.analysis.accuracy import class_accuracy
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = [
    "ClassSamples",
    "class_samples",
    "confident_errors",
    "draw_rows",
    "sample_indices",
    "uncertain_hits",
]

_KINDS = ("all", "right", "wrong")


def sample_indices(
    source: Predictions | Outcomes,
    *,
    count: int = 16,
    seed: int = 42,
    only: Literal["all", "right", "wrong"] = "all",
) -> NDArray[np.int64]:
    """Draw images at random without replacement, the same for the same seed, in ascending order.

    Images with logits that are not finite have no prediction to show and are never drawn.

    Args:
        source: Predictions, or their outcomes.
        count: How many; all of them where there are fewer.
        seed: The seed of NumPy's PCG64.
        only: `all` images, or those predicted `right` or `wrong`.

    Returns:
        Row indices into the predictions, `[sample]`; empty where there is none to draw.

    Raises:
        UsageError: `count` is negative, or `only` is none of the three.
    """
    if only not in _KINDS:
        raise UsageError(f"expected only `all`, `right` or `wrong`, got {only!r}")
    rows = outcomes(source)
    pool = rows.finite
    if only != "all":
        pool = pool & (rows.correct if only == "right" else ~rows.correct)
    return draw_rows(np.flatnonzero(pool), count, seed=(seed,))


def draw_rows(pool: NDArray[np.int64], count: int, *, seed: tuple[int, ...]) -> NDArray[np.int64]:
    """Draw `count` of the rows at random without replacement, in ascending order; all where there are fewer.

    Raises:
        UsageError: `count` is negative.
    """
    if count < 0:
        raise UsageError(f"expected a count of at least 0, got {count}")
    # A seed alone and a seed with a place give different streams, and every place its own.
    entropy = seed[0] if len(seed) == 1 else seed
    chosen = np.random.default_rng(entropy).choice(pool, size=min(count, len(pool)), replace=False)
    return np.sort(chosen)


def confident_errors(source: Predictions | Outcomes, *, count: int = 16) -> NDArray[np.int64]:
    """Return the rows of the wrong predictions with the highest confidence, the highest first.

    Equals stand in the order of their rows; rows that are not finite are left out.

    Raises:
        UsageError: `count` is negative.
    """
    rows = outcomes(source)
    return _extreme(np.flatnonzero(rows.finite & ~rows.correct), -rows.confidence, count)


def uncertain_hits(source: Predictions | Outcomes, *, count: int = 16) -> NDArray[np.int64]:
    """Return the rows of the right predictions with the lowest confidence, the lowest first.

    Equals stand in the order of their rows.

    Raises:
        UsageError: `count` is negative.
    """
    rows = outcomes(source)
    return _extreme(np.flatnonzero(rows.finite & rows.correct), rows.confidence, count)


def _extreme(pool: NDArray[np.int64], key: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    if count < 0:
        raise UsageError(f"expected a count of at least 0, got {count}")
    return pool[np.argsort(key[pool], kind="stable")][:count]


@dataclass(frozen=True, eq=False)
class ClassSamples:
    """Examples of some classes.

    Attributes:
        n_classes: How many classes the predictions have with images of theirs.
        index: `[shown class]`, the classes, the lowest accuracy first.
        n: `[shown class]`, their images.
        correct: `[shown class]`, how many of those are predicted right.
        right: A class each, rows of right predictions drawn at random, in ascending order; may be empty.
        wrong: A class each, rows of wrong predictions drawn at random, in ascending order; may be empty.
        seed: The seed they were drawn with.
    """

    n_classes: int
    index: NDArray[np.int64]
    n: NDArray[np.int64]
    correct: NDArray[np.int64]
    right: tuple[NDArray[np.int64], ...]
    wrong: tuple[NDArray[np.int64], ...]
    seed: int


def class_samples(
    source: Predictions | Outcomes, *, classes: int = 20, count: int = 4, seed: int = 42
) -> ClassSamples:
    """Draw right and wrong examples of the classes with the lowest accuracy.

    Classes stand by rising accuracy, equals with the more images first, then in their own order; classes
    without images are left out. The examples of a class depend on the seed and on the class alone.

    Args:
        source: Predictions, or their outcomes.
        classes: How many classes at most.
        count: How many examples of each kind at most.
        seed: The seed of NumPy's PCG64, together with the class's index.

    Raises:
        UsageError: `classes` or `count` is negative.
        NotFiniteError: No image has finite logits.
    """
    if classes < 0:
        raise UsageError(f"expected a number of classes of at least 0, got {classes}")
    rows = outcomes(source)
    table = class_accuracy(rows)
    width = len(table.classes)
    order = np.lexsort((np.arange(width), -table.n, table.accuracy))  # NaN, without images, is last
    present = int(np.count_nonzero(table.n))
    index = order[: min(classes, present)]
    own = [np.flatnonzero((rows.labels == each) & rows.finite) for each in index.tolist()]
    hits = [rows.correct[each] for each in own]
    return ClassSamples(
        n_classes=present,
        index=index,
        n=table.n[index],
        correct=table.correct[index],
        right=tuple(
            draw_rows(each[hit], count, seed=(seed, place, 1))
            for each, hit, place in zip(own, hits, index.tolist(), strict=True)
        ),
        wrong=tuple(
            draw_rows(each[~hit], count, seed=(seed, place, 0))
            for each, hit, place in zip(own, hits, index.tolist(), strict=True)
        ),
        seed=seed,
    )
