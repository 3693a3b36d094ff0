"""Scored rows: the finite rows of predictions, their scores in order, and their powers part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.blocks import read_block
from vitscope.analysis.powers import HALF_LIMIT, SINGLE_LIMIT, Powers, Room, computed, given, tabulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from vitscope.analysis.blocks import Rows

__all__ = ["ScoreReader", "Scored"]

# In one go, by a value's bytes: with what is made of so many, they stay in the processor's caches. Single
# precision takes the most room.
_PART_VALUES = {2: 2**17, 4: 2**16, 8: 2**17}

_MAGNITUDE = np.int16(0x7FFF)
_SIGN = np.uint16(0x8000)
_BELOW_HALVES = -0x8000
_ALL = slice(None)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Scores of some rows, all of them finite: logits, or probabilities.

    Attributes:
        scores: `[row, class]`, as precise as they were given.
        make: What makes powers of some of the rows.
        room: Where arrays are kept.
    """

    scores: NDArray[np.floating]
    make: Callable[[NDArray[np.floating], Room], Powers]
    room: Room

    def order(self, rows: NDArray[np.int64] | slice = _ALL) -> NDArray[Any]:
        """Return numbers that sort as these rows' scores do, equal where those are, until the next call."""
        scores = self.scores[rows]
        return _sortable(scores, self.room) if scores.dtype == np.float16 else scores

    def top(self, count: int) -> NDArray[np.int32]:
        """Return the classes of the `count` largest scores, the first of equals first, arg max by arg max."""
        index = np.arange(len(self.scores))
        top = np.empty((len(self.scores), count), dtype=np.int32)
        top[:, 0] = self._first()
        if count == 1:
            return top
        order = self.order()
        left = self.room.get("left", order.shape, order.dtype)
        np.copyto(left, order)
        least = _BELOW_HALVES if left.dtype == np.int16 else -np.inf
        for place in range(1, count):
            left[index, top[:, place - 1]] = least
            top[:, place] = left.argmax(axis=1)
        return top

    def parts(self) -> Iterator[tuple[slice, Powers]]:
        """Yield some rows and their powers, which hold until the next are asked for."""
        count, width = self.scores.shape
        step = max(1, _PART_VALUES[self.scores.itemsize] // width)
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            yield rows, self.make(self.scores[rows], self.room)

    def _first(self) -> NDArray[np.int64]:
        if self.scores.dtype != np.float16:
            return np.asarray(self.scores.argmax(axis=1))
        bits = self.scores.view(np.int16)
        first: NDArray[np.int64] = bits.argmax(axis=1)
        # Above 0, halves sort as their bits do, and those below 0 have bits below 0.
        rest = np.flatnonzero(bits[np.arange(len(bits)), first] <= 0)
        if rest.size:
            first[rest] = self.order(rest).argmax(axis=1)
        return first


class ScoreReader:
    """Reads the scores of rows of predictions, in any number of threads.

    Args:
        source: What is read.
    """

    def __init__(self, source: Rows) -> None:
        self._source = source
        self._room = Room()

    def read(self, rows: slice) -> Iterator[tuple[NDArray[np.int64], Scored]]:
        """Yield the finite ones of these rows, with where they lie in the source.

        Raises:
            InputError: `kind` is `probabilities` and a row is negative or does not sum to 1.
        """
        if self._source.kind == "probabilities":
            block = read_block(self._source, rows)
            yield np.flatnonzero(block.finite) + rows.start, Scored(block.scores, given, self._room)
            return
        logits = _native(self._source.logits[rows])
        finite, small = _look_over(logits)
        if small.all():
            yield np.arange(rows.start, rows.start + len(logits)), Scored(logits, tabulated, self._room)
            return
        for chosen, make in ((small, tabulated), (finite & ~small, computed)):
            if chosen.any():
                yield np.flatnonzero(chosen) + rows.start, Scored(logits[chosen], make, self._room)


def _native(logits: NDArray[Any]) -> NDArray[np.floating]:
    """Return the logits as they are, or in double precision where no table fits their type."""
    plain = np.asarray(logits)
    return plain if plain.dtype in (np.float16, np.float32) else np.asarray(plain, dtype=np.float64)


def _look_over(logits: NDArray[np.floating]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are finite throughout, and which of these the table holds: `[row]` each."""
    if logits.dtype == np.float16:
        # Of halves, larger bits are larger sizes, and those of ∞ and NaN the largest. Read with a sign, the
        # largest bits are of the largest half above 0; read without one, of the farthest below it.
        above = np.maximum(logits.view(np.int16).max(axis=1), 0)
        below = np.maximum(logits.view(np.uint16).max(axis=1), _SIGN) ^ _SIGN
        size = np.maximum(above.view(np.uint16), below).view(np.float16)
        return np.isfinite(size), size <= HALF_LIMIT
    low, high = logits.min(axis=1), logits.max(axis=1)
    finite = np.isfinite(low) & np.isfinite(high)
    if logits.dtype == np.float32:
        return finite, (low >= -SINGLE_LIMIT) & (high <= SINGLE_LIMIT)
    return finite, np.zeros(len(logits), dtype=np.bool_)


def _sortable(halves: NDArray[np.floating], room: Room) -> NDArray[np.int16]:
    """Return whole numbers in the halves' order: to compare those is a tenth of the work."""
    bits = halves.view(np.int16)
    sign = np.right_shift(bits, 15, out=room.get("sign", bits.shape, np.int16))
    order: NDArray[np.int16] = np.bitwise_and(bits, _MAGNITUDE, out=room.get("order", bits.shape, np.int16))
    np.bitwise_xor(order, sign, out=order)
    np.subtract(order, sign, out=order)  # as two's complement has it: −0 and 0 are one number
    return order
