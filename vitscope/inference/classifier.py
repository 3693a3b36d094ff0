"""A network together with what it takes to use it: its classes and its preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
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

    import numpy as np
    from PIL.Image import Image
    from torch import Tensor

    from vitscope.checkpoint.record import Checkpoint

__all__ = ["Classifier", "load"]

# A larger number of blocks or features than any file of weights at hand could fill.
_LARGEST_OPTION = 1 << 20


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
        return next(self.network.parameters()).device

    def prepare(self, images: Iterable[Image | Path | str] | Tensor | np.ndarray) -> Tensor:
        """Return the network's input for pictures, files, or uint8 pixels `[image, channel, row, column]`.

        Raises:
            ImageError: A file cannot be read.
            InputError: The pixels are not uint8 of the model's size.
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
        if hasattr(images, "__array_interface__"):
            return torch.as_tensor(images)
        opened = (read_image(Path(item)) if isinstance(item, str | Path) else item for item in images)
        return torch.stack([torch.from_numpy(self.preprocessing.pixels(image)) for image in opened])


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
    except (InputError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: cannot be rebuilt: {error}") from error
    return classifier.to(target).eval()


def _rebuild(checkpoint: Checkpoint) -> nn.Module:
    """Build the architecture without memory, and give it the checkpoint's tensors."""
    if checkpoint.model not in MODELS:
        raise CheckpointError(f"its architecture {checkpoint.model!r} is not one of {', '.join(MODELS)}")
    state = strip_prefixes(checkpoint.state)
    numbers = [value for value in checkpoint.options.values() if isinstance(value, int | float)]
    if any(abs(value) > _LARGEST_OPTION for value in numbers) or checkpoint.options.get("depth", 0) > len(
        state
    ):
        raise CheckpointError("its options describe a model larger than its weights")
    with torch.device("meta"):
        network = build_model(checkpoint.model, checkpoint.options)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    mismatch = explain_mismatch(shapes, state)
    if mismatch:
        raise CheckpointError(f"its weights do not fit {checkpoint.model}: {mismatch}")
    network.load_state_dict(state, strict=True, assign=True)
    return network
