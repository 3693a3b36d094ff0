"""Conformity: how badly a class fits an image, as conformal prediction scores it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar, get_args

import numpy as np

from vitscope.analysis.blocks import Block, Rows, map_blocks, softmax
from vitscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["ClassScore", "ConformalMethod", "ScoredRows", "map_scored"]

ConformalMethod = Literal["lac", "aps", "raps"]
"""Scores of a class: its lack of probability; the probability ahead of it; that and a penalty on ranks."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class ClassScore:
    """The score of every class of an image, lower for a better fit, as a function of its rank.

    With the classes by falling probability, equals by index, class y at rank o from 1, A the sum of the
    probabilities ahead of it, and one u, uniform in 0 … 1, an image: LAC 1 − p_y; APS A + u p_y;
    RAPS A + u p_y + λ max(0, o − k_reg).

    Attributes:
        method: Which score.
        penalty: λ of RAPS, at least 0.
        free_ranks: k_reg of RAPS, how many ranks carry no penalty.
        seed: The seed of u.

    Raises:
        UsageError: A value is out of range.
    """

    method: ConformalMethod = "lac"
    penalty: float = 0.01
    free_ranks: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in get_args(ConformalMethod):
            raise UsageError(f"expected a method among {get_args(ConformalMethod)}, got {self.method!r}")
        if not (0 <= self.penalty < np.inf and self.free_ranks >= 0 and self.seed >= 0):
            raise UsageError(
                f"expected a penalty, free ranks and a seed of at least 0, got {self.penalty}, "
                f"{self.free_ranks} and {self.seed}"
            )

    def by_rank(self, ordered: Floats, u: Floats) -> Floats:
        """Return `[image, rank]` scores, never falling along a row, of probabilities in falling order.

        That no rounding makes them fall is why a set is exactly the ranks up to some number.
        """
        if self.method == "lac":
            return 1 - ordered
        scores = np.zeros_like(ordered)
        np.cumsum(ordered[:, :-1], axis=1, out=scores[:, 1:])
        scores += u[:, None] * ordered
        if self.method == "raps":
            ranks = np.arange(1, ordered.shape[1] + 1)
            scores += self.penalty * (ranks - self.free_ranks).clip(0)
        return scores


class ScoredRows(NamedTuple):
    """Some images' classes, scored.

    Attributes:
        image: `[image]`, which rows of the predictions.
        probabilities: `[image, class]`.
        scores: `[image, rank]`, never falling along a row.
        labels: `[image]`.
    """

    image: Integers
    probabilities: Floats
    scores: Floats
    labels: Integers

    @property
    def label_rank(self) -> Integers:
        """How many classes come before the label: `[image]`."""
        p, labels = self.probabilities, self.labels[:, None]
        own = np.take_along_axis(p, labels, axis=1)
        before = (p > own) | ((p == own) & (np.arange(p.shape[1]) < labels))
        return np.asarray(np.count_nonzero(before, axis=1), dtype=np.int64)


def map_scored(
    function: Callable[[ScoredRows], Result],
    source: Rows,
    score: ClassScore,
    *,
    stream: int,
    rows: NDArray[np.bool_] | None = None,
) -> Iterator[Result]:
    """Yield `function` of the scored classes of blocks of images with finite rows, in order.

    Args:
        function: What is made of a block.
        source: The predictions.
        score: The score.
        stream: Which sequence of u: two streams of a seed have nothing in common. An image's u depends on
            its row alone, not on which rows are asked for.
        rows: `[image]`, which images; all by default.

    Raises:
        InputError: `rows` does not fit the images.
    """
    count = source.logits.shape[0]
    chosen = np.ones(count, dtype=np.bool_) if rows is None else np.asarray(rows)
    if chosen.dtype != np.bool_ or chosen.shape != (count,):
        raise InputError(f"expected rows as {count} booleans, got {chosen.dtype} {list(chosen.shape)}")
    u = np.random.default_rng((score.seed, stream)).random((count,))

    def reduce(block: Block) -> Result:
        index = np.flatnonzero(block.finite) + block.rows.start
        kept = chosen[index]
        p, labels = (block.scores, block.labels) if kept.all() else (block.scores[kept], block.labels[kept])
        p = softmax(p) if source.kind == "logits" and len(p) else p
        scores = score.by_rank(np.sort(p, axis=1)[:, ::-1], u[index[kept]])
        return function(ScoredRows(index[kept], p, scores, labels))

    return map_blocks(reduce, source)
