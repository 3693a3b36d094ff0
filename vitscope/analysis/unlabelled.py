"""Unlabelled outputs: what a model answers to images that have no label among its classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from vitscope.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.storage import RowReader

    Table = NDArray[np.floating] | RowReader

__all__ = ["Answers", "Unlabelled", "unlabelled"]


class Answers(Protocol):
    """The outputs of a model on some images, labelled or not: `Predictions` are, and `Unlabelled`."""

    @property
    def logits(self) -> Table:
        """`[image, class]`."""

    @property
    def kind(self) -> Literal["logits", "probabilities"]:
        """Which of the two `logits` holds."""

    @property
    def features(self) -> Table | None:
        """`[image, feature]`, where there are any."""


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """The outputs of a model on images without labels: no metric can score them as right or wrong.

    Attributes:
        logits: `[image, class]`, may be memory-mapped. Probabilities where `kind` says so.
        kind: Whether `logits` holds logits or probabilities; never guessed from the values.
        features: `[image, feature]`, where they were asked for.

    Raises:
        InputError: Shapes do not fit together.
    """

    logits: Table
    kind: Literal["logits", "probabilities"] = "logits"
    features: Table | None = None

    def __post_init__(self) -> None:
        shape, kind = self.logits.shape, self.logits.dtype
        if len(shape) != 2 or not shape[1] or not np.issubdtype(kind, np.floating):
            raise InputError(f"expected logits as floats [image, class], got {kind} {list(shape)}")
        if self.kind not in ("logits", "probabilities"):
            raise InputError(f"expected kind `logits` or `probabilities`, got {self.kind!r}")
        features = self.features
        if features is not None and (features.ndim != 2 or len(features) != shape[0]):
            raise InputError(
                f"expected features [image, feature] of {shape[0]} images, got {list(features.shape)}"
            )

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def labels(self) -> NDArray[np.int64]:
        """−1 for every image: none of the classes."""
        return np.full(len(self), -1, dtype=np.int64)


def unlabelled(answers: Answers) -> Unlabelled:
    """Return the outputs without the labels that they may have."""
    return Unlabelled(answers.logits, answers.kind, answers.features)
