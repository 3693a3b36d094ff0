"""Robustness: a model's predictions on corrupted copies of a data set, and on images of no class it knows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.corruption import CorruptionResult, corruption
from vitscope.analysis.unlabelled import Unlabelled
from vitscope.data.corruptions.corruptedset import corrupted
from vitscope.data.corruptions.kinds import CorruptionPlan
from vitscope.data.preprocessing import Preprocessing
from vitscope.inference.prediction import predict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.records.predictions import Predictions

__all__ = ["corruption_examples", "corruption_predictions", "measure_corruptions", "predict_unlabelled"]

_FIFTEEN = CorruptionPlan()


def measure_corruptions(
    model: Classifier,
    images: ImageSet,
    *,
    plan: CorruptionPlan = _FIFTEEN,
    clean: Predictions | None = None,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
) -> CorruptionResult:
    """Predict corrupted copies of the images, made on the fly, and measure the errors.

    Of each copy one byte an image is kept, so memory does not grow with the number of classes. For the mCE,
    give the pairs of `corruption_predictions` to `corruption` with a reference.

    Args:
        model: The classifier.
        images: The clean images, labelled with classes of the model's.
        plan: The kinds, severities and seed; the seed is the bootstrap's too.
        clean: The predictions of the clean images, where they are at hand; else they are made.
        batch_size: Images at a time.
        progress: Called with the number of images done since the last call, of kinds × severities × images,
            and the images once more where `clean` is not given.

    Raises:
        DataError: The data has a class that the model does not know.
    """
    kept = _kept(images, model.preprocessing)
    plain = clean or predict(model, kept, batch_size=batch_size, progress=progress)
    pairs = corruption_predictions(model, kept, plan=plan, batch_size=batch_size, progress=progress)
    return corruption(plain, pairs, seed=plan.seed)


def corruption_predictions(
    model: Classifier,
    images: ImageSet,
    *,
    plan: CorruptionPlan = _FIFTEEN,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[tuple[str, int], Predictions]]:
    """Yield the predictions of each corrupted copy of the images, as `((kind, severity), predictions)`.

    Small pictures are read once and kept in memory; the corrupted ones are made batch by batch and forgotten.

    Args:
        model: The classifier.
        images: The clean images.
        plan: The kinds, severities and seed.
        batch_size: Images at a time.
        progress: Called with the number of images done since the last call.

    Raises:
        DataError: The data has a class that the model does not know.
    """
    kept = _kept(images, model.preprocessing)
    for kind, severity in plan.cells:
        copy = corrupted(kept, kind, severity, seed=plan.seed)
        yield (kind, severity), predict(model, copy, batch_size=batch_size, progress=progress)


def corruption_examples(
    images: ImageSet,
    index: int,
    preprocessing: Preprocessing,
    *,
    plan: CorruptionPlan = _FIFTEEN,
) -> tuple[NDArray[np.uint8], dict[str, list[NDArray[np.uint8]]]]:
    """Return one image as the model sees it: as it is, and by kind at each severity.

    Args:
        images: The clean images.
        index: Which of them.
        preprocessing: The model's.
        plan: The kinds, severities and seed.

    Returns:
        uint8 `[row, column]` or `[row, column, 3]`: the clean picture, and a list of pictures a kind.
    """

    def seen(source: ImageSet) -> NDArray[np.uint8]:
        pixels = source.pixels(preprocessing, [index])[0].numpy()
        return np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))

    return seen(images), {
        kind: [seen(corrupted(images, kind, severity, seed=plan.seed)) for severity in plan.severities]
        for kind in plan.kinds
    }


def predict_unlabelled(
    model: Classifier,
    images: ImageSet,
    *,
    features: bool = False,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
) -> Unlabelled:
    """Compute the outputs of a model on images whose labels do not matter, such as those of other classes.

    Args:
        model: The classifier.
        images: Images of any classes, as `foreign_images` loads them.
        features: Also keep what the last linear layer is given.
        batch_size: Images at a time.
        progress: Called with the number of images done since the last call.

    Raises:
        InputError: Features were asked for, and no linear layer gives the logits.
    """
    neutral = replace(images, classes=model.classes, labels=np.zeros(len(images), dtype=np.int64))
    made = predict(model, neutral, batch_size=batch_size, features=features, progress=progress)
    return Unlabelled(logits=made.logits, kind=made.kind, features=made.features)


def _kept(images: ImageSet, preprocessing: Preprocessing) -> ImageSet:
    """Read small pictures once, where all, or a thousand of them, have one size."""
    size = images.common_size()
    if images.array is not None or size is None:
        return images
    if size[0] * size[1] > preprocessing.size[0] * preprocessing.size[1]:
        return images.in_memory(preprocessing)
    channels = images.channels()
    return images.in_memory(Preprocessing(size, channels, (0.0,) * channels, (1.0,) * channels))
