"""One pass of a classifier over a data set."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import DataError, EnvironmentFault
from vitscope.inference.alignment import align
from vitscope.inference.device import is_out_of_memory
from vitscope.inference.features import with_features
from vitscope.inference.sharing import shared_pass
from vitscope.records.predictions import Predictions
from vitscope.records.provenance import Provenance
from vitscope.records.storage import create_array

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray
    from torch import Tensor

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier

__all__ = ["predict"]

# Activations of more images leave a CPU's cache: 256 at once take 1.2 to 1.4 times as long as 4 × 64.
_CPU_PASS = 64
_LEAST_HALF = float(np.finfo(np.float16).min)


def predict(
    model: Classifier,
    data: ImageSet | str,
    *,
    batch_size: int = 256,
    features: bool = False,
    store: Path | None = None,
    half: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Compute the logits of every image, in evaluation mode and float32, on the model's own device.

    Where a batch does not fit into memory it is halved and the pass goes on; the result is the same.

    The classes of the data may be some of the model's, in any order and by other names, as
    `vitscope.inference.alignment` says: the result has all classes of the model, and labels of these.

    Inside `vitscope.inference.sharing.sharing` several processes share the pass; the result, which is whole
    in each of them, is that of one process bit for bit, where they have its kind of device and its number of
    threads. Elsewhere each process predicts all images.

    Args:
        model: A classifier, from `load` or made by hand.
        data: The images, or a data set's name or folder, of which the test split is taken.
        batch_size: Images read and sent to the device at a time; a CPU takes them 64 by 64.
        features: Also keep what the last linear layer is given, `[image, feature]` in float32.
        store: The folder that the predictions will be written into: logits and features are made there, on
            disk, so that any number of images fits; without it they are kept in memory.
        half: Keep the logits as float16, each row less its largest: it changes no prediction, and metrics by
            less than 1e−6; −65504 stands for what is below. The largest logit itself is lost.
        progress: Called with the number of images done since the last call.

    Raises:
        DataError: The data has a class that the model does not know.
        InputError: Features were asked for, and no linear layer gives the logits.
        EnvironmentFault: Not even one image fits into memory.
    """
    images = load_split(DataSpec(source=data), "test") if isinstance(data, str) else data
    labelled = align(images, model)
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with with_features(model) if features else nullcontext(model) as forward:
            logits, kept = _pass(model, images, forward, _Way(batch_size, features, store, half, progress))
    finally:
        for module, flag in training.items():
            module.training = flag  # one by one: a frozen part of a model in training stays frozen
    return Predictions(
        logits=logits,
        labels=labelled.labels,
        classes=labelled.classes,
        names=images.names,
        features=kept,
        provenance=Provenance.collect(
            checkpoint=model.source,
            checkpoint_digest=model.digest,
            data=images.name,
            split=images.split,
            data_digest=images.digest,
        ),
    )


@dataclass(frozen=True)
class _Way:
    """How a pass is made; the names are those of `predict`."""

    batch_size: int
    features: bool
    store: Path | None
    half: bool
    progress: Callable[[int], None] | None


def _pass(
    model: Classifier, images: ImageSet, forward: Callable[[Tensor], Tensor], way: _Way
) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    """Return logits and features of all images; where processes share the pass, this one predicts its own."""
    size, classes, store = way.batch_size, len(model.classes), way.store
    shared = shared_pass(len(images), store=store, unit=_unit(model, size), batch_size=size)
    if shared is None:
        file = None if store is None else lambda name: store / f"{name}.npy"
        sink = _Sink(len(images), classes, file=file, half=way.half)
        _fill(sink, model, images, forward, size, way.progress)
        return sink.logits, sink.features
    step = shared.told(way.progress)
    if shared.rows:
        sink = _Sink(len(shared.rows), classes, file=shared.file, half=way.half)
        _fill(sink, model, images.take(shared.rows), forward, size, step)
        sink.flush()
    return shared.whole(step, features=way.features)


def _unit(model: Classifier, batch_size: int) -> int:
    """Return of how many images a process's part must be a multiple, so that its batches are as of one."""
    split = model.device.type == "cpu" and batch_size % _CPU_PASS == 0
    return _CPU_PASS if split else batch_size


class _Sink:
    """Where the columns of a pass go: logits, and after them features, in memory or into files."""

    def __init__(self, images: int, classes: int, *, file: Callable[[str], Path] | None, half: bool) -> None:
        self._images, self._file, self._half = images, file, half
        self._done = 0
        self.features: NDArray[np.float32] | None = None
        self.logits = self._array("logits", classes, np.float16 if half else np.float32)

    def _array(self, name: str, width: int, kind: DTypeLike) -> NDArray[np.floating]:
        shape = (self._images, width)
        return np.empty(shape, kind) if self._file is None else create_array(self._file(name), shape, kind)

    def take(self, columns: NDArray[np.float32]) -> None:
        """Keep the columns of the next images, `[image, class and feature]`."""
        classes, rows = self.logits.shape[1], slice(self._done, self._done + len(columns))
        logits, features = columns[:, :classes], columns[:, classes:]
        if self._half:
            with np.errstate(invalid="ignore"):  # ∞ − ∞ is NaN, which is as little a prediction
                logits = np.maximum(logits - logits.max(axis=1, keepdims=True), _LEAST_HALF)
        self.logits[rows] = logits
        if features.shape[1]:
            if self.features is None:
                self.features = self._array("features", features.shape[1], np.float32)
            self.features[rows] = features
        self._done = rows.stop

    def flush(self) -> None:
        """Write what is kept in files out to them, for other processes to read."""
        for array in (self.logits, self.features):
            if isinstance(array, np.memmap):
                array.flush()


def _fill(
    sink: _Sink,
    model: Classifier,
    images: ImageSet,
    forward: Callable[[Tensor], Tensor],
    batch_size: int,
    progress: Callable[[int], None] | None,
) -> None:
    """Give the sink what `forward` makes of every image: its logits, and after them whatever else."""
    count = len(model.classes)
    with torch.inference_mode():
        for pixels in images.batches(model.preprocessing, batch_size):
            parts = torch.split(pixels, _CPU_PASS) if model.device.type == "cpu" else (pixels,)
            batch = torch.cat([forward_halving(model, part, forward) for part in parts])
            if batch.shape[1] != count and forward is model:
                raise DataError(f"the network gives {batch.shape[1]} logits for {count} classes")
            sink.take(batch.float().cpu().numpy())
            if progress is not None:
                progress(len(batch))


def forward_halving(model: Classifier, pixels: Tensor, forward: Callable[[Tensor], Tensor]) -> Tensor:
    """Return what a pass gives for uint8 pixels, halving the batch while it does not fit into memory.

    Args:
        model: Prepares the pixels, on its own device.
        pixels: `[image, channel, row, column]`.
        forward: The pass: the model itself, or one that returns more.

    Raises:
        EnvironmentFault: Not even one image fits.
    """
    try:
        return forward(model.preprocessing.normalize(pixels.to(model.device, non_blocking=True)))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(pixels) == 1:
            raise EnvironmentFault(
                "one image does not fit into memory", hint="use --device cpu, or a smaller model"
            ) from error
    # Outside the handler, so that the failed attempt's tensors are free by now.
    half = len(pixels) // 2
    return torch.cat([forward_halving(model, part, forward) for part in (pixels[:half], pixels[half:])])
