"""The origin of predictions: the very model and the very images that they were made of, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.records.predictions import Predictions

__all__ = ["check_model", "find_rows"]


def check_model(model: Classifier, predictions: Predictions) -> None:
    """Refuse a model that did not make the predictions, as far as they tell.

    Raises:
        InputError: It is another.
    """
    made = predictions.provenance.checkpoint_digest
    if made and made != model.digest:
        raise InputError(
            f"{model.source or model.name} did not make these predictions: its weights' digest is "
            f"{_short(model.digest)}, theirs {_short(made)}",
            hint=f"name the checkpoint that did: it was {predictions.provenance.checkpoint}",
        )
    if model.classes != predictions.classes:
        raise InputError(
            f"{model.source or model.name} has other classes than the predictions",
            hint="name the checkpoint that made them, or its classes with --classes",
        )


def find_rows(predictions: Predictions, images: ImageSet) -> NDArray[np.int64]:
    """Return where each prediction's image is among the images, `[image]`.

    Raises:
        InputError: These are other images.
    """
    hint = "name the data that was evaluated with --data"
    places = {name: index for index, name in enumerate(images.names)}
    missing = [name for name in predictions.names if name not in places]
    if missing:
        raise InputError(f"{images.name} has no image {missing[0]!r}, which was predicted", hint=hint)
    found = np.array([places[name] for name in predictions.names], dtype=np.int64)
    made = predictions.provenance.data_digest
    if made and made not in (images.digest, images.take(found).digest):
        raise InputError(
            f"{images.name} ({images.split}) holds other images than were predicted: its digest differs",
            hint=hint,
        )
    return found


def _short(digest: str) -> str:
    """Return as much of a digest as tells it from others, without the name of its algorithm."""
    return digest.rpartition(":")[2][:12]
