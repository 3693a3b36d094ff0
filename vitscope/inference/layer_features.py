"""Features of layers: what modules put out for every image, on disk, from the pass that gives the logits."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vitscope.errors import CaptureError
from vitscope.inference.prediction import forward_halving
from vitscope.records.storage import create_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier

    Reduce = Callable[[Tensor], Tensor]

__all__ = ["layer_features"]

_CPU_PASS = 64


def layer_features(
    model: Classifier,
    images: ImageSet,
    layers: Mapping[str, Reduce],
    folder: Path,
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
    """Return the logits, and each layer's features memory-mapped, of one pass in evaluation mode.

    Args:
        model: A classifier in evaluation mode.
        images: The images.
        layers: What makes features `[image, feature]` of a module's output, by the module's name.
        folder: Where the `.npy` files are made, one a layer, filled block by block.
        progress: Called with the number of images done since the last call.

    Returns:
        Logits `[image, class]`, and by layer features `[image, feature]`.

    Raises:
        CaptureError: A module did not run, ran twice, or its output gives no features.
        EnvironmentFault: Not even one image fits into memory, or the disk is full.
    """
    seen: dict[str, list[Tensor]] = {name: [] for name in layers}

    def forward(pixels: Tensor) -> Tensor:
        for outputs in seen.values():
            outputs.clear()
        logits: Tensor = model(pixels)
        return torch.cat([logits.float(), *(_one(name, seen[name]) for name in layers)], dim=1)

    def keep(name: str, reduce: Reduce) -> Callable[..., None]:
        def hook(_: object, __: object, made: Any) -> None:  # noqa: ANN401 - whatever a module returns
            output = made[0] if isinstance(made, tuple) else made
            seen[name].append(reduce(output).flatten(1).float())

        return hook

    with ExitStack() as hooks, torch.inference_mode():
        for name, reduce in layers.items():
            hooks.enter_context(model.get_submodule(name).register_forward_hook(keep(name, reduce)))
        return _stream(model, images, forward, seen, folder, progress)


def _one(name: str, outputs: list[Tensor]) -> Tensor:
    if len(outputs) != 1:
        raise CaptureError(
            f"{name} ran {len(outputs)} times in a pass, not once", hint="name another --layer"
        )
    return outputs[0]


def _stream(
    model: Classifier,
    images: ImageSet,
    forward: Callable[[Tensor], Tensor],
    seen: Mapping[str, list[Tensor]],
    folder: Path,
    progress: Callable[[int], None] | None,
) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
    logits = np.empty((len(images), len(model.classes)), dtype=np.float32)
    kept: dict[str, NDArray[Any]] = {}
    done = 0
    for pixels in images.batches(model.preprocessing, 4 * _CPU_PASS):
        parts = torch.split(pixels, _CPU_PASS) if model.device.type == "cpu" else (pixels,)
        for part in parts:
            columns = forward_halving(model, part, forward).cpu().numpy()
            if not kept:
                widths = {name: outputs[0].shape[1] for name, outputs in seen.items()}
                kept = {
                    name: create_array(folder / f"{number:03d}.npy", (len(images), width), np.float32)
                    for number, (name, width) in enumerate(widths.items())
                }
            rows, place = slice(done, done + len(part)), len(model.classes)
            logits[rows] = columns[:, :place]
            for array in kept.values():
                array[rows] = columns[:, place : place + array.shape[1]]
                place += array.shape[1]
            done = rows.stop
            if progress is not None:
                progress(len(part))
    return logits, kept
