"""Powers: e to each logit, in float64, by a table where the logits come in half or single precision."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.blocks import read_block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    from vitscope.analysis.blocks import Rows

    Floats = NDArray[np.float64]

__all__ = ["PowerReader", "Powers"]

# In one go, by a value's bytes: with what is made of so many, they stay in the processor's caches. Single
# precision takes the most room.
_PART_VALUES = {2: 2**17, 4: 2**16, 8: 2**17}
_LEAST = -800.0  # its exponential is 0 in float64

# Half precision has 65,536 values. Up to this size of a logit, e^z and its square are floats.
_HALF_LIMIT = np.float16(300)
_MAGNITUDE = np.int16(0x7FFF)
_BELOW_HALVES = -0x8000

# Single precision is split into steps of 2⁻¹⁰, of which the table holds 65,536, and what is left of it.
_STEP = 2.0**-10
_SINGLE_LIMIT = np.float32(31)
# Added to a number below the limit, it leaves the nearest step in the last sixteen bits of the sum.
_MAGIC = np.float32(1.5 * 2**23 * _STEP)
_FIRST = _MAGIC.view(np.int32) - np.int32(2**15)


class _Room(threading.local):
    """Memory that is used again, a set a thread: new memory costs more than most of what is done in it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, DTypeLike], NDArray[Any]] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array that holds whatever was last left under this name and type."""
        size = math.prod(shape)
        kept = self._kept.get((name, dtype))
        if kept is None or kept.size < size:
            kept = self._kept[name, dtype] = np.empty(size, dtype)
        return kept[:size].reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class Powers:
    """What is made of each value of some rows, all of them finite: z are logits, or p probabilities.

    Attributes:
        scores: `[row, class]`, z or p, as precise as they were given.
        order: `[row, class]`, numbers that sort as the scores do, equal where those are.
        values: `[row, class]`, e^(z − s), to less than 4e−15 of each; p where those were given.
        exponents: `[row, class]`, z − s.
        shift: `[row]`, s, 0 wherever the powers and their squares are floats without it.
        room: Where the arrays are kept.
    """

    scores: NDArray[np.floating]
    order: NDArray[Any]
    values: Floats
    exponents: NDArray[np.floating]
    shift: Floats
    room: _Room

    def top(self, count: int) -> NDArray[np.int32]:
        """Return the classes of the `count` largest scores, the first of equals first, arg max by arg max."""
        index = np.arange(len(self.order))
        top = np.empty((len(self.order), count), dtype=np.int32)
        top[:, 0] = self.order.argmax(axis=1)
        if count == 1:
            return top
        left = self.room.get("left", self.order.shape, self.order.dtype)
        np.copyto(left, self.order)
        least = _BELOW_HALVES if left.dtype == np.int16 else -np.inf
        for place in range(1, count):
            left[index, top[:, place - 1]] = least
            top[:, place] = left.argmax(axis=1)
        return top

    def moment(self) -> Floats:
        """Return Σ e^(z − s)·(z − s) of each row of logits: `[row]`. The values are lost: ask for it last."""
        if self.scores.dtype == np.float16:
            return np.asarray(_look_up(_half_moments(), self.scores, self.values).sum(axis=1))
        return np.asarray(np.einsum("ij,ij->i", self.values, self.exponents))


class PowerReader:
    """Reads rows of predictions as powers, a few rows at a time, in any number of threads.

    Args:
        source: What is read.
    """

    def __init__(self, source: Rows) -> None:
        self._source = source
        self._room = _Room()

    def read(self, rows: slice) -> Iterator[tuple[NDArray[np.int64], Powers]]:
        """Yield the finite ones of these rows, with where they lie in the source.

        What is yielded holds until the next is asked for.

        Raises:
            InputError: `kind` is `probabilities` and a row is negative or does not sum to 1.
        """
        if self._source.kind == "probabilities":
            block = read_block(self._source, rows)
            where, p = np.flatnonzero(block.finite) + rows.start, block.scores
            yield where, Powers(p, p, p, p, np.zeros(len(p)), self._room)
            return
        logits = _native(self._source.logits[rows])
        step = max(1, _PART_VALUES[logits.itemsize] // logits.shape[1])
        for start in range(0, len(logits), step):
            part = logits[start : start + step]
            finite, small = _look_over(part, self._room)
            first = rows.start + start
            if small.all():
                yield np.arange(first, first + len(part)), _tabulated(part, self._room)
                continue
            for chosen, make in ((small, _tabulated), (finite & ~small, _computed)):
                if chosen.any():
                    yield np.flatnonzero(chosen) + first, make(part[chosen], self._room)


def _native(logits: NDArray[Any]) -> NDArray[np.floating]:
    """Return the logits as they are, or in double precision where no table fits their type."""
    plain = np.asarray(logits)
    return plain if plain.dtype in (np.float16, np.float32) else np.asarray(plain, dtype=np.float64)


def _look_over(logits: NDArray[np.floating], room: _Room) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are finite throughout, and which of these the table holds: `[row]` each."""
    if logits.dtype == np.float16:
        # Of halves, larger bits are larger sizes, and those of ∞ and NaN the largest.
        bits = room.get("order", logits.shape, np.int16)
        size = np.bitwise_and(logits.view(np.int16), _MAGNITUDE, out=bits).max(axis=1).view(np.float16)
        return np.isfinite(size), size <= _HALF_LIMIT
    low, high = logits.min(axis=1), logits.max(axis=1)
    finite = np.isfinite(low) & np.isfinite(high)
    if logits.dtype == np.float32:
        return finite, (low >= -_SINGLE_LIMIT) & (high <= _SINGLE_LIMIT)
    return finite, np.zeros(len(logits), dtype=np.bool_)


def _tabulated(logits: NDArray[np.floating], room: _Room) -> Powers:
    shift, values = np.zeros(len(logits)), room.get("values", logits.shape, np.float64)
    if logits.dtype == np.float16:
        _look_up(_half_powers(), logits, values)
        return Powers(logits, _sortable(logits, room), values, logits, shift, room)
    _of_singles(logits, values, room)
    return Powers(logits, logits, values, logits, shift, room)


def _computed(logits: NDArray[np.floating], room: _Room) -> Powers:
    """Return the powers less the row's largest, of logits of any size and precision."""
    scores, exponents, values = (
        room.get(name, logits.shape, np.float64) for name in ("scores", "exponents", "values")
    )
    np.copyto(scores, logits)
    shift = scores.max(axis=1)
    with np.errstate(over="ignore"):
        np.subtract(scores, shift[:, None], out=exponents)
    np.maximum(exponents, _LEAST, out=exponents)  # keeps 0 × ∞ out of the moment
    np.exp(exponents, out=values)
    return Powers(scores, scores, values, exponents, shift, room)


def _sortable(halves: NDArray[np.floating], room: _Room) -> NDArray[np.int16]:
    """Return whole numbers in the halves' order: to compare those is a tenth of the work."""
    bits = halves.view(np.int16)
    sign = np.right_shift(bits, 15, out=room.get("sign", bits.shape, np.int16))
    order: NDArray[np.int16] = np.bitwise_and(bits, _MAGNITUDE, out=room.get("order", bits.shape, np.int16))
    np.bitwise_xor(order, sign, out=order)
    np.subtract(order, sign, out=order)  # as two's complement has it: −0 and 0 are one number
    return order


def _look_up(table: Floats, halves: NDArray[np.floating], out: Floats) -> Floats:
    # There is nothing to wrap: it spares NumPy a copy, which it makes where it might raise.
    np.take(table, halves.view(np.uint16), out=out, mode="wrap")
    return out


def _halves() -> Floats:
    return np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float64)


@cache
def _half_powers() -> Floats:
    """Return e^z of every half z, by its bits; those too large for it are never looked up."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(_halves())


@cache
def _half_moments() -> Floats:
    """Return e^z·z of every half z, by its bits."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.multiply(_half_powers(), _halves())


@cache
def _step_powers() -> Floats:
    """Return e^(n/1024) for n = −2¹⁵ … 2¹⁵ − 1."""
    powers: Floats = np.exp(np.arange(-(2**15), 2**15) * _STEP)
    return powers


def _of_singles(logits: NDArray[np.floating], values: Floats, room: _Room) -> None:
    """Fill in e^z = e^n · e^r with z = n + r, n a step of the table and |r| ≤ 2⁻¹¹.

    e^r = 1 + r + r²/2 + r³/6, which leaves out less than r⁴/24 < 3e−15.
    """
    nearest = np.add(logits, _MAGIC, out=room.get("nearest", logits.shape, np.float32))
    place = np.subtract(nearest.view(np.int32), _FIRST, out=room.get("place", logits.shape, np.int32))
    np.take(_step_powers(), place, out=values, mode="wrap")
    np.subtract(nearest, _MAGIC, out=nearest)
    np.subtract(logits, nearest, out=nearest)  # exact, as is the step taken off
    rest, more = (room.get(name, logits.shape, np.float64) for name in ("rest", "more"))
    np.copyto(rest, nearest)
    np.multiply(rest, 1 / 6, out=more)
    more += 0.5
    more *= rest
    more += 1.0
    more *= rest
    more *= values
    values += more
