"""Array files: `.npy` files as large as the disk holds, filled row by row."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vitscope.paths import explained

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

__all__ = ["RowReader", "create_array"]


class RowReader(Protocol):
    """Floats `[row, column]` of which rows can be read: memory-mapped, in shards, or made when asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""

    @property
    def ndim(self) -> int:
        """Always 2."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> NDArray[Any]: ...  # noqa: ANN401 - a slice or an array


def create_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.memmap[Any, Any]:
    """Make a `.npy` file of this shape, with its place on the disk taken, and return it memory-mapped.

    A disk that is full says so here: later, while rows are written, it could only kill the process.

    Raises:
        EnvironmentFault: There is no space, or it cannot be written there.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):  # macOS has none
            with path.open("rb+") as stream:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return array
