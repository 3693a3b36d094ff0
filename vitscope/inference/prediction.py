"""One pass of a classifier over a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import DataError, EnvironmentFault
from vitscope.inference.device import is_out_of_memory
from vitscope.records.predictions import Predictions
from vitscope.records.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier

__all__ = ["predict"]

# Activations of more images leave a CPU's cache: 256 at once take 1.2 to 1.4 times as long as 4 × 64.
_CPU_PASS = 64


def predict(
    model: Classifier,
    data: ImageSet | str,
    *,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Compute the logits of every image, in evaluation mode and float32, on the model's own device.

    Where a batch does not fit into memory it is halved and the pass goes on; the result is the same.

    Args:
        model: A classifier, from `load` or made by hand.
        data: The images, or a data set's name or folder, of which the test split is taken.
        batch_size: Images read and sent to the device at a time; a CPU takes them 64 by 64.
        progress: Called with the number of images done since the last call.

    Raises:
        DataError: The classes are not the model's.
        EnvironmentFault: Not even one image fits into memory.
    """
    images = load_split(DataSpec(source=data), "test") if isinstance(data, str) else data
    if images.classes != model.classes:
        raise DataError(_class_difference(model.classes, images.classes))
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        logits = _logits(model, images, batch_size, progress)
    finally:
        for module, flag in training.items():
            module.training = flag  # one by one: a frozen part of a model in training stays frozen
    return Predictions(
        logits=logits,
        labels=images.labels,
        classes=images.classes,
        names=images.names,
        provenance=Provenance.collect(
            checkpoint=model.source,
            checkpoint_digest=model.digest,
            data=images.name,
            split=images.split,
            data_digest=images.digest,
        ),
    )


def _logits(
    model: Classifier, images: ImageSet, batch_size: int, progress: Callable[[int], None] | None
) -> np.ndarray:
    logits = np.empty((len(images), len(model.classes)), dtype=np.float32)
    done = 0
    with torch.inference_mode():
        for pixels in images.batches(model.preprocessing, batch_size):
            parts = torch.split(pixels, _CPU_PASS) if model.device.type == "cpu" else (pixels,)
            batch = torch.cat([forward_halving(model, part) for part in parts])
            if batch.shape[1] != len(model.classes):
                raise DataError(f"the network gives {batch.shape[1]} logits for {len(model.classes)} classes")
            logits[done : done + len(batch)] = batch.float().cpu().numpy()
            done += len(batch)
            if progress is not None:
                progress(len(batch))
    return logits


def forward_halving(model: Classifier, pixels: Tensor) -> Tensor:
    """Return the logits of uint8 pixels, halving the batch for as long as it does not fit into memory.

    Raises:
        EnvironmentFault: Not even one image fits.
    """
    try:
        logits: Tensor = model(model.preprocessing.normalize(pixels.to(model.device, non_blocking=True)))
        return logits
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(pixels) == 1:
            raise EnvironmentFault(
                "one image does not fit into memory", hint="use --device cpu, or a smaller model"
            ) from error
    # Outside the handler, so that the failed attempt's tensors are free by now.
    half = len(pixels) // 2
    return torch.cat([forward_halving(model, pixels[:half]), forward_halving(model, pixels[half:])])


def _class_difference(expected: tuple[str, ...], found: tuple[str, ...]) -> str:
    if len(expected) != len(found):
        return f"the model knows {len(expected)} classes, the data has {len(found)}"
    first = next(index for index, pair in enumerate(zip(expected, found, strict=True)) if pair[0] != pair[1])
    return f"class {first} is {expected[first]!r} for the model and {found[first]!r} in the data"
