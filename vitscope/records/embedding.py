"""Embedding: images as points in the plane, and LayerReadout: what can be read from each layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.errors import InputError
from vitscope.records.archive import read_archive, write_archive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Embedding", "LayerReadout"]

_EMBEDDING, _READOUT = "vitscope.embedding", "vitscope.readout"


@dataclass(frozen=True, eq=False)
class Embedding:
    """The features of images, projected to the plane.

    Attributes:
        points: `[image, 2]`, float64.
        labels: `[image]`, the true classes.
        predicted: `[image]`, the predicted classes; −1 where the logits are not finite.
        confidence: `[image]`, the largest probability, 0 to 1; NaN where the logits are not finite.
        classes: The class names.
        names: The images' names.
        method: `pca`, `tsne` or `umap`.
        model: What the model is called.
        layer: The layer that the features are of.
        token: `class`, `mean` or `patches`.
        about: What else made it: `library`, `seed`, `perplexity`, `n_neighbors` or `variance`;
            `trustworthiness`, `trustworthiness_neighbors` and `trustworthiness_images`, on how many it is
            computed; `procrustes_residual` of one that is aligned to another.

    Raises:
        InputError: The fields do not fit together.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    classes: tuple[str, ...]
    names: tuple[str, ...]
    method: str
    model: str = ""
    layer: str = ""
    token: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.points.shape != (count, 2) or not np.isfinite(self.points).all():
            raise InputError(f"expected finite points [{count}, 2], got {list(self.points.shape)}")
        if {len(self.predicted), len(self.confidence), len(self.names)} != {count}:
            raise InputError(f"expected {count} predictions, confidences and names, one an image")
        if count and not (int(self.labels.min()) >= 0 and int(self.labels.max()) < len(self.classes)):
            raise InputError(f"expected labels in 0 … {len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which images are predicted right, `[image]`."""
        return np.asarray(self.predicted == self.labels)

    def save(self, path: Path | str) -> Path:
        """Write one `.npz` file."""
        columns = ("points", "labels", "predicted", "confidence")
        about = {
            **{name: getattr(self, name) for name in ("method", "model", "layer", "token")},
            "classes": list(self.classes),
            "names": list(self.names),
            "about": dict(self.about),
        }
        return write_archive(Path(path), _EMBEDDING, {name: getattr(self, name) for name in columns}, about)

    @classmethod
    def load(cls, path: Path | str) -> Embedding:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, or is damaged.
        """
        with read_archive(Path(path), _EMBEDDING) as (arrays, about):
            return cls(
                points=arrays["points"],
                labels=arrays["labels"],
                predicted=arrays["predicted"],
                confidence=arrays["confidence"],
                classes=tuple(about["classes"]),
                names=tuple(about["names"]),
                **{name: about[name] for name in ("method", "model", "layer", "token", "about")},
            )


@dataclass(frozen=True, eq=False)
class LayerReadout:
    """How often the class is read from each layer's frozen features, of images that nothing was fitted on.

    Attributes:
        layers: The layers' names, from input to output.
        hits: By `knn` and `probe`, `[layer]`, how many of the held-out images are classified right.
        intervals: By the same, `[layer, 2]`, Wilson 95 %.
        n: How many held-out images.
        fitted: On how many images it was fitted.
        neighbors: k of the nearest neighbours.
        token: `class`, `mean` or `patches`.
        seed: Of the division into both parts.

    Raises:
        InputError: The fields do not fit together.
    """

    layers: tuple[str, ...]
    hits: Mapping[str, NDArray[np.int64]]
    intervals: Mapping[str, NDArray[np.float64]]
    n: int
    fitted: int
    neighbors: int
    token: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        count = len(self.layers)
        shapes = {(len(self.hits[name]), self.intervals[name].shape) for name in ("knn", "probe")}
        if shapes != {(count, (count, 2))}:
            raise InputError(f"expected hits [{count}] and intervals [{count}, 2] of knn and probe")

    def accuracy(self, kind: str) -> NDArray[np.float64]:
        """Return the accuracy of `knn` or `probe` by layer, 0 to 1."""
        return np.asarray(self.hits[kind] / self.n, dtype=np.float64)

    def save(self, path: Path | str) -> Path:
        """Write one `.npz` file."""
        arrays: dict[str, NDArray[Any]] = {f"hits_{name}": values for name, values in self.hits.items()}
        arrays |= {f"interval_{name}": values for name, values in self.intervals.items()}
        kept = ("n", "fitted", "neighbors", "token", "seed")
        about = {"layers": list(self.layers), **{name: getattr(self, name) for name in kept}}
        return write_archive(Path(path), _READOUT, arrays, about)

    @classmethod
    def load(cls, path: Path | str) -> LayerReadout:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, or is damaged.
        """
        with read_archive(Path(path), _READOUT) as (arrays, about):
            return cls(
                tuple(about["layers"]),
                {name: arrays[f"hits_{name}"] for name in ("knn", "probe")},
                {name: arrays[f"interval_{name}"] for name in ("knn", "probe")},
                **{name: about[name] for name in ("n", "fitted", "neighbors", "token", "seed")},
            )
