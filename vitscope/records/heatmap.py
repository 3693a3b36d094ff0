"""Heatmap: one map an image, in units of its method."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.errors import InputError
from vitscope.paths import write_atomically
from vitscope.records.provenance import Provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Heatmap"]

FORMAT = "vitscope.heatmap"
VERSION = 1


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
        path = Path(path)
        about = {
            "format": FORMAT,
            "version": VERSION,
            "method": self.method,
            "signed": self.signed,
            "options": self.options,
            "names": list(self.names),
            "provenance": self.provenance.to_dict(),
        }
        arrays: dict[str, Any] = {"about": np.array(json.dumps(about)), "values": self.values}
        if self.targets is not None:
            arrays["targets"] = self.targets
        with write_atomically(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **arrays)
        return path

    @classmethod
    def load(cls, path: Path | str) -> Heatmap:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, is damaged, or of a version not known here.
        """
        path = Path(path)
        try:
            # numpy leaves a file open that it opened and could not read.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                about = _read_about(path, json.loads(str(archive["about"])))
                return cls(
                    values=archive["values"],
                    method=about["method"],
                    targets=archive["targets"] if "targets" in archive.files else None,
                    signed=about["signed"],
                    options=about["options"],
                    names=tuple(about["names"]),
                    provenance=Provenance.from_dict(about["provenance"]),
                )
        except Exception as error:  # numpy, zipfile, zlib and json raise a dozen kinds on damaged files
            raise InputError(f"{path} does not hold heatmaps: {error}") from error


def _read_about(path: Path, about: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the JSON held
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{path} does not hold heatmaps: it says otherwise")
    if about.get("version") != VERSION:
        raise InputError(f"{path} has version {about.get('version')}, this vitscope reads {VERSION}")
    return about
