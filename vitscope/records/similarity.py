"""Grams and Similarity: layers compared by what they make of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.errors import InputError
from vitscope.records.archive import read_archive, write_archive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Grams", "Similarity"]

FORMAT = "vitscope.similarity"


@dataclass(frozen=True, eq=False)
class Grams:
    """The inner products of images with each other, in the features of each layer, a minibatch at a time.

    Attributes:
        batches: `[layer, image, image]` a minibatch, the same images in each layer.
        layers: The layers' names in the model.
        model: The model's name.

    Raises:
        InputError: A minibatch is not of this shape.
    """

    batches: list[NDArray[np.floating]]
    layers: tuple[str, ...]
    model: str = ""

    def __post_init__(self) -> None:
        for batch in self.batches:
            if batch.ndim != 3 or batch.shape[0] != len(self.layers) or batch.shape[1] != batch.shape[2]:
                raise InputError(f"expected [{len(self.layers)}, image, image], got {list(batch.shape)}")

    def __len__(self) -> int:
        return sum(batch.shape[1] for batch in self.batches)


@dataclass(frozen=True, eq=False)
class Similarity:
    """Linear CKA of every layer of one model with every layer of another, or of the same.

    Attributes:
        values: `[layer, other layer]`, float64, at most 1 in expectation and near 0 for features that have
            nothing in common, below it by chance; NaN where a layer's features are the same for all images.
        errors: The same of standard errors, a jackknife over minibatches; NaN where there is one minibatch.
        layers: Names of the first model's layers.
        others: Names of the other model's.
        models: What both models are called; the same name twice within one model.
        images: How many images.
        batches: In how many minibatches.

    Raises:
        InputError: The shapes do not fit together.
    """

    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    layers: tuple[str, ...]
    others: tuple[str, ...]
    models: tuple[str, str]
    images: int
    batches: int

    def __post_init__(self) -> None:
        shape = (len(self.layers), len(self.others))
        if self.values.shape != shape or self.errors.shape != shape:
            raise InputError(f"expected similarities {list(shape)}, got {list(self.values.shape)}")

    def save(self, path: Path | str) -> Path:
        """Write one `.npz` file."""
        about = {
            "layers": list(self.layers),
            "others": list(self.others),
            "models": list(self.models),
            "images": self.images,
            "batches": self.batches,
        }
        return write_archive(Path(path), FORMAT, {"values": self.values, "errors": self.errors}, about)

    @classmethod
    def load(cls, path: Path | str) -> Similarity:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, or is damaged.
        """
        with read_archive(Path(path), FORMAT) as (arrays, about):
            return cls(
                arrays["values"],
                arrays["errors"],
                layers=tuple(about["layers"]),
                others=tuple(about["others"]),
                models=(about["models"][0], about["models"][1]),
                images=about["images"],
                batches=about["batches"],
            )
