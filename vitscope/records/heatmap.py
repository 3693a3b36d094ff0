"""Heatmap: one map an image, in units of its method."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.errors import InputError
from vitscope.records.archive import read_archive, write_archive
from vitscope.records.provenance import Provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Heatmap"]

FORMAT = "vitscope.heatmap"


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Maps of what a model looked at, one an image; scaling is left to the drawing.

    Attributes:
        values: `[image, row, column]`, float32, finite; rows and columns are the tokens' grid or pixels.
        method: The method's name, such as `rollout`.
        targets: `[image]`, the class each map explains; None for methods that explain none.
        signed: Whether negative values mean evidence against.
        options: The method's settings, as JSON can hold them.
        names: One name an image; empty where there is none.
        provenance: Where it comes from.

    Raises:
        InputError: The shapes do not fit together or a value is not finite.
    """

    values: NDArray[np.float32]
    method: str
    targets: NDArray[np.int64] | None = None
    signed: bool = False
    options: dict[str, object] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or not np.issubdtype(self.values.dtype, np.floating):
            got = f"{self.values.dtype} {list(self.values.shape)}"
            raise InputError(f"expected maps as floats [image, row, column], got {got}")
        if not np.isfinite(self.values).all():
            raise InputError(f"the {self.method} maps hold values that are not finite")
        if self.targets is not None and self.targets.shape != (len(self.values),):
            raise InputError(f"expected {len(self.values)} targets, got {list(self.targets.shape)}")
        if self.names and len(self.names) != len(self.values):
            raise InputError(f"expected {len(self.values)} names, got {len(self.names)}")

    def __len__(self) -> int:
        return len(self.values)

    def save(self, path: Path | str) -> Path:
        """Write one `.npz` file: the arrays, and everything else as JSON under `about`."""
        about = {
            "method": self.method,
            "signed": self.signed,
            "options": self.options,
            "names": list(self.names),
            "provenance": self.provenance.to_dict(),
        }
        arrays: dict[str, NDArray[Any]] = {"values": self.values}
        if self.targets is not None:
            arrays["targets"] = self.targets
        return write_archive(Path(path), FORMAT, arrays, about)

    @classmethod
    def load(cls, path: Path | str) -> Heatmap:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, is damaged, or of a version not known here.
        """
        with read_archive(Path(path), FORMAT) as (arrays, about):
            return cls(
                values=arrays["values"],
                method=about["method"],
                targets=arrays.get("targets"),
                signed=about["signed"],
                options=about["options"],
                names=tuple(about["names"]),
                provenance=Provenance.from_dict(about["provenance"]),
            )
