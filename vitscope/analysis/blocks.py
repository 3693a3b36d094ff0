"""Blocks: logits of any number of images and classes, read a few rows at a time."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from vitscope.records.storage import RowReader

__all__ = ["Block", "Rows", "map_blocks", "map_rows", "read_block", "softmax"]

# A block of rows in float64 stays within the processor's cache or near it, however many classes there are.
_BLOCK_BYTES = 4 * 2**20
# float16 keeps eleven bits: a row of rounded probabilities still sums to one within this.
_SUM_TOLERANCE = 1e-2
_HAIR = 1e-12
_THREADS = min(4, os.cpu_count() or 1)  # NumPy lets go of the interpreter in each operation on a block

Result = TypeVar("Result")


class Rows(Protocol):
    """What blocks are read from: `Predictions`, or anything with its logits, their kind and labels."""

    @property
    def logits(self) -> NDArray[np.floating] | RowReader:
        """`[image, class]`."""

    @property
    def kind(self) -> Literal["logits", "probabilities"]:
        """Which of the two `logits` holds."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """`[image]`."""


class Block(NamedTuple):
    """Some rows of the predictions, in float64, to be worked on in place.

    Attributes:
        rows: Where they lie in the predictions.
        finite: `[row]`, which of them are finite throughout.
        scores: `[finite row, class]`, logits or probabilities as `kind` says, of those alone; probabilities
            sum to 1.
        labels: `[finite row]`.
    """

    rows: slice
    finite: NDArray[np.bool_]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]


def map_rows(function: Callable[[slice], Result], source: Rows, *, blocks: int = 1) -> Iterator[Result]:
    """Yield `function` of each slice of the source's rows, in order, a few at a time in threads.

    A slice holds as many rows as are 4 MiB in float64, or so many such `blocks`, and at least one.
    """
    count, width = source.logits.shape
    step = max(1, blocks * _BLOCK_BYTES // (8 * width))
    slices = (slice(start, min(start + step, count)) for start in range(0, count, step))
    if count <= step:
        yield from map(function, slices)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for rows in slices:
            waiting.append(pool.submit(function, rows))
            if len(waiting) > 2 * _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def map_blocks(function: Callable[[Block], Result], source: Rows) -> Iterator[Result]:
    """Yield `function` of each block of rows, in order, a few blocks at a time in threads.

    Memory is bounded by a few blocks of 4 MiB, whatever the number of images and classes.

    Raises:
        InputError: `kind` is `probabilities` and a row is negative or does not sum to 1.
    """
    return map_rows(lambda rows: function(read_block(source, rows)), source)


def read_block(source: Rows, rows: slice) -> Block:
    """Return a block of these rows, in float64: a copy.

    Raises:
        InputError: `kind` is `probabilities` and a row is negative or does not sum to 1.
    """
    scores = np.array(source.logits[rows], dtype=np.float64)
    finite = np.asarray(np.isfinite(scores).all(axis=1))
    if not finite.all():
        scores = scores[finite]
    if source.kind == "probabilities":
        _normalise(scores, np.flatnonzero(finite) + rows.start)
    return Block(rows, finite, scores, np.asarray(source.labels[rows][finite], dtype=np.int64))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn logits `[row, class]` into probabilities in place, and return them."""
    with np.errstate(over="ignore"):  # a difference beyond the largest float is −∞, and its exponential 0
        scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def _normalise(scores: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
    """Divide rounded probabilities by their sum, in place, so that none is above 1."""
    total = scores.sum(axis=1)
    bad = np.flatnonzero((scores.min(axis=1) < 0) | (np.abs(total - 1) > _SUM_TOLERANCE))
    if bad.size:
        raise InputError(
            f"expected probabilities that are not negative and sum to 1, got a row summing to "
            f"{total[bad[0]]:.4g} (image {rows[bad[0]]})",
            hint="say kind='logits' where the scores are logits",
        )
    # Scores that sum to 1 but for a last bit are left as they are, and so are ties between images.
    scores /= np.where(np.abs(total - 1) > _HAIR, total, 1.0)[:, None]
    np.minimum(scores, 1.0, out=scores)
