"""Filters: what the first layer of a model looks for in its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitscope.errors import InputError
from vitscope.records.archive import read_archive, write_archive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FilterKind", "Filters"]

FORMAT = "vitscope.filters"

FilterKind = Literal["kernels", "components"]


@dataclass(frozen=True, eq=False)
class Filters:
    """The kernels of the first convolution, or their principal components.

    Attributes:
        values: `[filter, row, column, channel]`, float64, one or three channels: weights on normalised
            pixels; components have unit length.
        kind: `kernels`, in their order, or `components`, the largest variance first.
        name: The layer's name in the model.
        total: How many kernels it has.
        variance: Of components: `[filter]`, the share of the kernels' variance that each explains.

    Raises:
        InputError: The fields do not fit together.
    """

    values: NDArray[np.float64]
    kind: FilterKind
    name: str
    total: int
    variance: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or self.values.shape[3] not in (1, 3) or not self.values.size:
            raise InputError(f"expected filters [filter, row, column, 1 or 3], got {list(self.values.shape)}")
        if self.kind not in ("kernels", "components"):
            raise InputError(f"expected `kernels` or `components`, got {self.kind!r}")
        shares = None if self.variance is None else self.variance.shape
        if shares != ((len(self.values),) if self.kind == "components" else None):
            raise InputError(f"expected a share of variance for each component alone, got {shares}")

    def save(self, path: Path | str) -> Path:
        """Write one `.npz` file."""
        arrays = {"values": self.values}
        if self.variance is not None:
            arrays["variance"] = self.variance
        about = {"kind": self.kind, "name": self.name, "total": self.total}
        return write_archive(Path(path), FORMAT, arrays, about)

    @classmethod
    def load(cls, path: Path | str) -> Filters:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, or is damaged.
        """
        with read_archive(Path(path), FORMAT) as (arrays, about):
            return cls(
                arrays["values"],
                kind=about["kind"],
                name=about["name"],
                total=about["total"],
                variance=arrays.get("variance"),
            )
