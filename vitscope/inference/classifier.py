"""A network together with what it takes to use it: its classes and its preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL.Image import Image
from torch import nn

from vitscope.data.images import read_image
from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from vitscope.data.preprocessing import Preprocessing
    from vitscope.data.sources import DataSpec

__all__ = ["Classifier", "load"]


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
        aliases: Other names of each class, such as ImageNet's `n01440764`; none where left out.

    Attributes:
        architecture: Who builds the network: `vitscope:NAME`, `timm:NAME` or `torchvision:NAME`; empty where
            nobody that an export could name.
        options: The builder's arguments, as JSON can hold them.
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
        aliases: Iterable[tuple[str, ...]] = (),
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
        self.aliases = tuple(aliases)
        self.architecture = ""
        self.options: dict[str, Any] = {}

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


def load(
    source: Path | str,
    *,
    weights: Path | str | None = None,
    classes: Sequence[str] | None = None,
    device: str = "cpu",
) -> Classifier:
    """Load a classifier in evaluation mode: a checkpoint of vitscope, or a model of another library.

    Args:
        source: What `vitscope.inference.sources.open_classifier` takes: a file that `vitscope train` wrote,
            a safetensors file, a folder of Hugging Face, `timm:NAME`, `torchvision:NAME` or `hf:NAME`.
        weights: A file with the weights of a named model.
        classes: The class names, where the source does not tell them.
        device: `cpu`, `cuda`, `auto`…

    Raises:
        CheckpointError: It is not a checkpoint, is damaged, or its weights do not fit its architecture.
        NotFiniteError: Its weights hold NaN or infinity.
        UsageError: The arguments do not go together.
        EnvironmentFault: The device is not on this machine, or a network is needed and cannot be reached.
    """
    from vitscope.inference.sources import open_classifier

    return open_classifier(source, weights=weights, classes=classes, device=device)
