"""Shards: several arrays with the same columns, read as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

__all__ = ["Shards"]


class Shards:
    """Arrays `[row, column]` one below the other; only the rows that are asked for are read.

    It stands where an array of logits or features is read by rows: `shape`, `dtype`, `len`, slices of rows
    and lists of rows. `numpy.asarray` makes one array of all.

    Args:
        parts: The arrays, at least one, of the same width and type; they may be memory-mapped.

    Raises:
        InputError: Widths or types differ.
    """

    ndim = 2

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        if not parts or any(part.ndim != 2 for part in parts):
            shapes = [list(part.shape) for part in parts]
            raise InputError(f"expected shards [row, column], at least one, got shapes {shapes}")
        kinds = sorted({f"{part.dtype} of width {part.shape[1]}" for part in parts})
        if len(kinds) > 1:
            raise InputError(f"expected shards of one type and width, got {' and '.join(kinds)}")
        self.parts = tuple(parts)
        self._starts = np.cumsum([0, *map(len, parts)])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self.parts[0].dtype

    @property
    def shape(self) -> tuple[int, int]:
        """Rows of all shards together, and columns."""
        return int(self._starts[-1]), self.parts[0].shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[Any]:
        """Return a copy or a view of the rows of a slice, or of an array of indices or of booleans."""
        if not isinstance(rows, slice):
            return self._taken(np.asarray(rows))
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self._taken(np.arange(start, stop, step))
        pieces = [
            part[max(start - first, 0) : max(stop - first, 0)]
            for part, first in zip(self.parts, self._starts, strict=False)
            if first < stop and first + len(part) > start
        ]
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else self.parts[0][:0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.concatenate(self.parts).astype(dtype or self.dtype, copy=bool(copy))

    def _taken(self, rows: NDArray[Any]) -> NDArray[Any]:
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        rows = np.where(rows < 0, rows + len(self), rows)
        shard = np.searchsorted(self._starts, rows, side="right") - 1
        taken = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        for index in np.unique(shard):
            here = shard == index
            taken[here] = self.parts[index][rows[here] - self._starts[index]]
        return taken
