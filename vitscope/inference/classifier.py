"""A network together with what it takes to use it: its classes and its preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL.Image import Image
from torch import nn

from vitscope.checkpoint.files import load_checkpoint
from vitscope.checkpoint.state import explain_mismatch, strip_prefixes
from vitscope.data.images import read_image
from vitscope.data.preprocessing import Preprocessing
from vitscope.data.sources import DataSpec
from vitscope.errors import CheckpointError, InputError
from vitscope.inference.device import resolve_device
from vitscope.models.registry import MODELS, build_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from vitscope.checkpoint.record import Checkpoint

__all__ = ["Classifier", "load"]

# Larger numbers of features and of blocks than any model of weights at hand has.
_LARGEST_OPTION = 1 << 20
_DEEPEST = 1000


class Classifier(nn.Module):
    """A network with its classes and preprocessing; calling it maps normalised images to logits.

    Args:
        network: Any module from float images `[image, channel, row, column]` to logits `[image, class]`.
        classes: The class names, in the order of the logits.
        preprocessing: How pixels become the network's input.
        name: The architecture's name.
        data: The data set that it was trained on, where known.
        source: The file it came from.
        digest: That checkpoint's digest.
        training: The configuration and validation results that the checkpoint keeps.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        classes: Iterable[str],
        preprocessing: Preprocessing,
        name: str = "",
        data: DataSpec | None = None,
        source: str = "",
        digest: str = "",
        training: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.classes = tuple(classes)
        self.preprocessing = preprocessing
        self.name = name or type(network).__name__
        self.data = data
        self.source = source
        self.digest = digest
        self.training_record = training or {}

    def forward(self, images: Tensor) -> Tensor:
        """Return logits `[image, class]` of normalised images `[image, channel, row, column]`."""
        logits: Tensor = self.network(images)
        return logits

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        first = next(self.network.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def prepare(self, images: Iterable[Image | Path | str] | Tensor | np.ndarray) -> Tensor:
        """Return the network's input for pictures, files, or uint8 pixels `[image, channel, row, column]`.

        Raises:
            ImageError: A file cannot be read.
            InputError: There is no image, or the pixels are not uint8 of the model's size.
        """
        pixels = self._pixels(images)
        expected = (self.preprocessing.channels, *self.preprocessing.size)
        if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != expected:
            raise InputError(
                f"expected uint8 pixels [image, {', '.join(map(str, expected))}], "
                f"got {pixels.dtype} {list(pixels.shape)}"
            )
        return self.preprocessing.normalize(pixels.to(self.device))

    def _pixels(self, images: Iterable[Image | Path | str] | Tensor | np.ndarray) -> Tensor:
        if isinstance(images, torch.Tensor):
            return images
        if isinstance(images, np.ndarray):
            if images.dtype != np.uint8:
                raise InputError(f"expected pixels as uint8, got {images.dtype}")
            return torch.from_numpy(images.copy(order="C"))  # a read-only or mirrored array is welcome
        if isinstance(images, str | Path | Image):
            raise InputError("expected several images, got one", hint="put it into a list: [image]")
        opened = (read_image(Path(item)) if isinstance(item, str | Path) else item for item in images)
        rows = [torch.from_numpy(self.preprocessing.pixels(image)) for image in opened]
        if not rows:
            raise InputError("expected at least one image, got none")
        return torch.stack(rows)


def load(path: Path | str, *, device: str = "cpu") -> Classifier:
    """Load a checkpoint as a classifier in evaluation mode.

    Args:
        path: A file that `vitscope train` wrote.
        device: `cpu`, `cuda`, `auto`…

    Raises:
        CheckpointError: It is not a checkpoint, is damaged, or its weights do not fit its architecture.
        NotFiniteError: Its weights hold NaN or infinity.
        EnvironmentFault: The device is not on this machine.
    """
    target = resolve_device(device)
    checkpoint = load_checkpoint(Path(path))
    try:
        network = _rebuild(checkpoint)
        classifier = Classifier(
            network,
            classes=checkpoint.classes,
            preprocessing=Preprocessing.from_dict(checkpoint.preprocessing),
            name=checkpoint.model,
            data=DataSpec.from_dict(checkpoint.data),
            source=str(path),
            digest=checkpoint.digest,
            training=checkpoint.training,
        )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}", hint=error.hint) from error
    except Exception as error:  # options that no training wrote fail in any way, deep in the builders
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: cannot be rebuilt: {reason or type(error).__name__}") from error
    return classifier.to(target).eval()


def _rebuild(checkpoint: Checkpoint) -> nn.Module:
    """Build the architecture without memory, and give it the checkpoint's tensors."""
    if checkpoint.model not in MODELS:
        raise CheckpointError(f"its architecture {checkpoint.model!r} is not one of {', '.join(MODELS)}")
    state = strip_prefixes(checkpoint.state)
    numbers = [value for value in checkpoint.options.values() if isinstance(value, int | float)]
    deepest = min(len(state), _DEEPEST)
    if any(abs(value) > _LARGEST_OPTION for value in numbers) or checkpoint.options.get("depth", 0) > deepest:
        raise CheckpointError("its options describe a model larger than its weights")
    if checkpoint.options.get("classes") != len(checkpoint.classes):
        raise CheckpointError(f"it names {len(checkpoint.classes)} classes, its options say otherwise")
    with torch.device("meta"):
        network = build_model(checkpoint.model, checkpoint.options)
    fresh = network.state_dict()
    mismatch = explain_mismatch({name: tuple(tensor.shape) for name, tensor in fresh.items()}, state)
    if mismatch:
        raise CheckpointError(f"its weights do not fit {checkpoint.model}: {mismatch}")
    # Weights kept in half precision are used in the precision of the architecture.
    fitting = {name: tensor.to(fresh[name].dtype) for name, tensor in state.items()}
    network.load_state_dict(fitting, strict=True, assign=True)
    return network
