"""Lens: what the head would have said after each layer, image by image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError
from vitscope.records.archive import read_archive, write_archive

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Lens"]

FORMAT = "vitscope.lens"


@dataclass(frozen=True, eq=False)
class Lens:
    """The head applied to every layer's tokens: the logit lens.

    Attributes:
        truth: `[layer, image]`, float64, 0 … 1: the probability of the true class.
        final: `[layer, image]`, float64: that of the class which the last layer predicts.
        predicted: `[layer, image]`, int64: the class that each layer predicts.
        labels: `[image]`, int64: the true classes.
        layers: The layers' names in the model.
        classes: The class names.
        names: One name an image; empty where there is none.

    Raises:
        InputError: The shapes do not fit together.
    """

    truth: NDArray[np.float64]
    final: NDArray[np.float64]
    predicted: NDArray[np.int64]
    labels: NDArray[np.int64]
    layers: tuple[str, ...]
    classes: tuple[str, ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.layers), len(self.labels))
        got = [self.truth.shape, self.final.shape, self.predicted.shape]
        if got != [shape] * 3 or 0 in shape:
            raise InputError(f"expected {list(shape)} for [layer, image], got {[list(each) for each in got]}")
        if self.names and len(self.names) != len(self.labels):
            raise InputError(f"expected {len(self.labels)} names, got {len(self.names)}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """`[layer, image]`: whether a layer's prediction is right."""
        return np.asarray(self.predicted == self.labels)

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """`[layer, image]`: whether a layer predicts what the last one does."""
        return np.asarray(self.predicted == self.predicted[-1])

    def save(self, path: Path | str) -> Path:
        """Write one `.npz` file."""
        arrays = {
            "truth": self.truth,
            "final": self.final,
            "predicted": self.predicted,
            "labels": self.labels,
        }
        about = {"layers": list(self.layers), "classes": list(self.classes), "names": list(self.names)}
        return write_archive(Path(path), FORMAT, arrays, about)

    @classmethod
    def load(cls, path: Path | str) -> Lens:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, or is damaged.
        """
        with read_archive(Path(path), FORMAT) as (arrays, about):
            return cls(
                **{name: arrays[name] for name in ("truth", "final", "predicted", "labels")},
                layers=tuple(about["layers"]),
                classes=tuple(about["classes"]),
                names=tuple(about["names"]),
            )
