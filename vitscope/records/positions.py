"""PositionSimilarity: how alike the position embeddings of any two patches are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.errors import InputError
from vitscope.records.archive import read_archive, write_archive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PositionSimilarity"]

FORMAT = "vitscope.positions"


@dataclass(frozen=True, eq=False)
class PositionSimilarity:
    """The cosine of each patch's position embedding with every other's.

    Attributes:
        values: `[row, column, row, column]`, float64 in −1 … 1: of the patch at the first two with the one at
            the last two; NaN where an embedding is 0 throughout.
        name: The embedding's name in the model.
        prefix: How many of its rows belong to prefix tokens and were left out.

    Raises:
        InputError: The values are not of this shape.
    """

    values: NDArray[np.float64]
    name: str
    prefix: int = 0

    def __post_init__(self) -> None:
        shape = self.values.shape
        if len(shape) != 4 or shape[:2] != shape[2:] or not self.values.size:
            raise InputError(f"expected similarities [row, column, row, column], got {list(shape)}")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the patches."""
        return self.values.shape[0], self.values.shape[1]

    def save(self, path: Path | str) -> Path:
        """Write one `.npz` file."""
        about = {"name": self.name, "prefix": self.prefix}
        return write_archive(Path(path), FORMAT, {"values": self.values}, about)

    @classmethod
    def load(cls, path: Path | str) -> PositionSimilarity:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, or is damaged.
        """
        with read_archive(Path(path), FORMAT) as (arrays, about):
            return cls(arrays["values"], name=about["name"], prefix=about["prefix"])
