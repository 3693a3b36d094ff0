"""HeadStatistics: what each head of each layer does, in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError
from vitscope.records.archive import read_archive, write_archive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["MEASURES", "HeadStatistics"]

FORMAT = "vitscope.heads"

MEASURES = {
    "entropy": "nats",
    "class_entropy": "nats",
    "distance": "patches",
    "pixel_distance": "pixels",
}
"""The measures and their units, in the order of tables."""


@dataclass(frozen=True, eq=False)
class HeadStatistics:
    """Entropy and mean attention distance of every head, means over images.

    Attributes:
        means: By measure, `[layer, head]`, float64. `entropy`: of the rows of all queries; `class_entropy`:
            of the class token's row alone, left out where the head of the model reads no class token;
            `distance` and `pixel_distance`: of the patches' rows over the patches. NaN where a layer has
            fewer heads than others, or no row gave a number.
        errors: The same of the means' standard errors over images; NaN for a single image.
        layers: The layers' module names.
        grid: Rows and columns of the patches.
        patch: Height and width of a patch in pixels.
        tokens: How many tokens there are: no entropy is above ln(tokens).
        images: How many images.

    Raises:
        InputError: The fields do not fit together.
    """

    means: Mapping[str, NDArray[np.float64]]
    errors: Mapping[str, NDArray[np.float64]]
    layers: tuple[str, ...]
    grid: tuple[int, int]
    patch: tuple[float, float]
    tokens: int
    images: int

    def __post_init__(self) -> None:
        if list(self.means) != list(self.errors) or not set(self.means) <= set(MEASURES):
            raise InputError(
                f"expected means and errors of {', '.join(MEASURES)}, got {', '.join(self.means)}"
            )
        shapes = {values.shape for values in (*self.means.values(), *self.errors.values())}
        if len(shapes) != 1 or any(len(shape) != 2 or shape[0] != len(self.layers) for shape in shapes):
            raise InputError(f"expected [{len(self.layers)}, head] for each measure, got {sorted(shapes)}")

    def uniform(self, measure: str) -> float:
        """Return what a head has whose attention is the same everywhere: ln(tokens), or the mean distance."""
        if MEASURES[measure] == "nats":
            return math.log(self.tokens)
        down, across = (1.0, 1.0) if measure == "distance" else self.patch
        rows, columns = (np.subtract.outer(np.arange(side), np.arange(side)) for side in self.grid)
        apart = np.hypot(down * rows[:, None, :, None], across * columns[None, :, None, :])
        return float(apart.mean())

    def save(self, path: Path | str) -> Path:
        """Write one `.npz` file."""
        arrays = {f"mean_{name}": values for name, values in self.means.items()}
        arrays |= {f"error_{name}": values for name, values in self.errors.items()}
        about = {
            "measures": list(self.means),
            "layers": list(self.layers),
            "grid": list(self.grid),
            "patch": list(self.patch),
            "tokens": self.tokens,
            "images": self.images,
        }
        return write_archive(Path(path), FORMAT, arrays, about)

    @classmethod
    def load(cls, path: Path | str) -> HeadStatistics:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, or is damaged.
        """
        with read_archive(Path(path), FORMAT) as (arrays, about):
            return cls(
                means={name: arrays[f"mean_{name}"] for name in about["measures"]},
                errors={name: arrays[f"error_{name}"] for name in about["measures"]},
                layers=tuple(about["layers"]),
                grid=(about["grid"][0], about["grid"][1]),
                patch=(about["patch"][0], about["patch"][1]),
                tokens=about["tokens"],
                images=about["images"],
            )
