"""Bin sums: what is needed of a weighted set of images to bin them by confidence, in one pass over them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_array

from vitscope.analysis.calibration import bin_index
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.outcomes import Outcomes

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["BinSums"]

_RUN = 256  # images; an edge of equal mass is looked for within one run


class BinSums:
    """Sums over bins of equal width and of equal mass, for any weights of the same images.

    The images are put in the order of their confidence once, a stable sort, and cut into short runs that lie
    in one bin of equal width each. Weights need then one pass in the images' own order.

    Args:
        scored: The images' outcomes, all of them finite.
        bins: The number of bins M.

    Raises:
        UsageError: There is less than one bin.
    """

    def __init__(self, scored: Outcomes, *, bins: int) -> None:
        if bins < 1:
            raise UsageError(f"expected at least 1 bin, got {bins}")
        count = len(scored)
        order = np.argsort(scored.confidence, kind="stable")
        place = bin_index(scored.confidence[order], bins)
        edges = np.searchsorted(place, np.arange(bins))
        self._starts = np.unique(np.concatenate([edges[edges < count], np.arange(0, count, _RUN)]))
        self._order = order
        self._bin = place[self._starts]
        self._bins = bins
        self._right = scored.correct.astype(np.float64)
        self._residual = self._right - scored.confidence
        self._sums = self._matrix(count)
        self._last = threading.local()

    def _matrix(self, count: int) -> csc_array[np.float64]:
        """Return a column an image, which adds its weight, hit and residual to its run."""
        runs = len(self._starts)
        run = np.empty(count, dtype=np.int32)
        run[self._order] = np.repeat(np.arange(runs), np.diff(np.append(self._starts, count)))
        values = np.stack([np.ones(count), self._right, self._residual], axis=1).ravel()
        rows = np.stack([run, run + runs, run + 2 * runs], axis=1).ravel()
        return csc_array((values, rows, np.arange(0, 3 * count + 1, 3)), shape=(3 * runs, count))

    def equal_width(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the weight, the hits and the residuals Σw(a − c) of each bin of equal width: `[bin]`."""
        runs = self._runs(weights)
        sums = np.array([np.bincount(self._bin, values, minlength=self._bins) for values in runs])
        return sums[0], sums[1], sums[2]

    def equal_mass(self, weights: Floats) -> Floats:
        """Return the residuals of each bin of equal mass: `[bin]`.

        As `numpy.array_split` cuts the images, each repeated as often as its weight says.
        """
        weight, _, residual = self._runs(weights)
        reached, gathered = _running(weight), _running(residual)
        size, more = divmod(round(float(reached[-1])), self._bins)
        cuts = np.cumsum(np.full(self._bins - 1, size) + (np.arange(self._bins - 1) < more))
        runs = np.searchsorted(reached, cuts, side="right").clip(max=len(weight)) - 1
        inside = [
            gathered[run] + self._until(cut - reached[run], run, weights)
            for run, cut in zip(runs, cuts, strict=True)
        ]
        return np.diff([0.0, *inside, gathered[-1]])

    def _until(self, cut: float, run: int, weights: Floats) -> float:
        """Return the residuals of a run up to a weight of `cut`; a row's weight may be cut in two."""
        rows = self._order[self._starts[run] : self._starts[run] + _RUN]
        if run + 1 < len(self._starts):
            rows = rows[: self._starts[run + 1] - self._starts[run]]
        return float(np.interp(cut, _running(weights[rows]), _running(weights[rows] * self._residual[rows])))

    def _runs(self, weights: Floats) -> Floats:
        """Return the sums of every run: `[weight, hits, residual; run]`.

        Those of the last weights are kept, a set a thread, since several numbers are made of one draw. Only
        arrays that are read-only: others may have changed since.
        """
        if getattr(self._last, "weights", None) is weights and not weights.flags.writeable:
            kept: Floats = self._last.sums
            return kept
        sums = np.asarray(self._sums @ weights).reshape(3, -1)
        self._last.weights, self._last.sums = weights, sums
        return sums


def _running(values: Floats) -> Floats:
    """Return the running sum, from 0 on."""
    sums = np.zeros(len(values) + 1)
    np.cumsum(values, out=sums[1:])
    return sums
