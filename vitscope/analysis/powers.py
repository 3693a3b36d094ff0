"""Powers: e to each logit, in float64, by a table where the logits come in half or single precision."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["HALF_LIMIT", "SINGLE_LIMIT", "Powers", "Room", "computed", "given", "tabulated"]

_LEAST = -800.0  # its exponential is 0 in float64

# Half precision has 65,536 values. Up to this size of a logit, e^z and its square are floats.
HALF_LIMIT = np.float16(300)

# Single precision is split into steps of 2⁻¹⁰, of which the table holds 65,536, and what is left of it.
_STEP = 2.0**-10
SINGLE_LIMIT = np.float32(31)
# Added to a number below the limit, it leaves the nearest step in the last sixteen bits of the sum.
_MAGIC = np.float32(1.5 * 2**23 * _STEP)
_FIRST = _MAGIC.view(np.int32) - np.int32(2**15)


class Room(threading.local):
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
        values: `[row, class]`, e^(z − s), to less than 4e−15 of each; p where those were given.
        exponents: `[row, class]`, z − s.
        shift: `[row]`, s, 0 wherever the powers and their squares are floats without it.
        room: Where the arrays are kept.
    """

    scores: NDArray[np.floating]
    values: Floats
    exponents: NDArray[np.floating]
    shift: Floats
    room: Room

    def moment(self) -> Floats:
        """Return Σ e^(z − s)·(z − s) of each row of logits: `[row]`. The values are lost: ask for it last."""
        if self.scores.dtype == np.float16:
            return np.asarray(_look_up(_half_moments(), self.scores, self.values).sum(axis=1))
        return np.asarray(np.einsum("ij,ij->i", self.values, self.exponents))


def given(probabilities: NDArray[np.floating], room: Room) -> Powers:
    """Return probabilities as their own powers."""
    p = np.asarray(probabilities, dtype=np.float64)
    return Powers(p, p, p, np.zeros(len(p)), room)


def tabulated(logits: NDArray[np.floating], room: Room) -> Powers:
    """Return the powers of logits in half or single precision that are within the limits."""
    shift, values = np.zeros(len(logits)), room.get("values", logits.shape, np.float64)
    if logits.dtype == np.float16:
        _look_up(_half_powers(), logits, values)
        return Powers(logits, values, logits, shift, room)
    _of_singles(logits, values, room)
    return Powers(logits, values, logits, shift, room)


def computed(logits: NDArray[np.floating], room: Room) -> Powers:
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
    return Powers(scores, values, exponents, shift, room)


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


def _of_singles(logits: NDArray[np.floating], values: Floats, room: Room) -> None:
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
