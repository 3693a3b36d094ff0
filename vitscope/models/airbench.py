"""A small convolution network that is trained in minutes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from vitscope.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Airbench", "airbench"]

_SMALLEST = 9  # pixels a side: below, nothing is left of the image after three halvings
_CHUNK = 250  # images whose patches are held at once


class _Group(nn.Module):
    """Two convolutions, the image halved after the first."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _convolution(inputs, outputs)
        self.norm1 = _norm(outputs)
        self.conv2 = _convolution(outputs, outputs)
        self.norm2 = _norm(outputs)
        self.pool = nn.MaxPool2d(2)
        self.activation = nn.GELU()

    def forward(self, features: Tensor) -> Tensor:
        features = self.activation(self.norm1(self.pool(self.conv1(features))))
        result: Tensor = self.activation(self.norm2(self.conv2(features)))
        return result


class Airbench(nn.Module):
    """A frozen whitening layer, three groups of two convolutions, a maximum over places, a scaled head.

    *Source*: Keller Jordan 2024, arXiv 2404.00498, and its `airbench94.py`.
    *Differs*: the maximum is over whatever places are left, 3×3 for 32×32 pixels as there, so that other
    image sizes are possible; float32; batch norm's ε is 1e-5 in place of 1e-12.

    Args:
        classes: Number of classes.
        channels: 1 for grey, 3 for colour.
        width: Channels of the first group; the others have four times as many.
    """

    def __init__(self, *, classes: int, channels: int, width: int) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(channels, 2 * channels * 4, kernel_size=2)
        self.whiten.weight.requires_grad_(False)
        self.activation = nn.GELU()
        widths = (self.whiten.out_channels, width, 4 * width, 4 * width)
        self.groups = nn.Sequential(*(_Group(inputs, outputs) for inputs, outputs in pairwise(widths)))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(widths[-1], classes, bias=False)
        self.scale = 1 / 9

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `[image, class]` of normalised images `[image, channel, row, column]`."""
        features = self.groups(self.activation(self.whiten(images)))
        logits: Tensor = self.head(self.pool(features).flatten(1)) * self.scale
        return logits

    def get_classifier(self) -> nn.Module:
        """Return the head."""
        return self.head

    @torch.no_grad()
    def initialize_from(self, pixels: Tensor) -> None:
        """Set the first layer to the whitening of the images' 2×2 patches, and of their negatives.

        With the patches' second moments C = Σᵢ λᵢ vᵢ vᵢᵀ, the filters are ±vᵢ/√(λᵢ + 5e-4).

        Args:
            pixels: Normalised images, float `[image, channel, row, column]`.
        """
        side = self.whiten.kernel_size[0]
        size = self.whiten.weight[0].numel()
        moments = torch.zeros(size, size, dtype=torch.float64, device=pixels.device)
        count = 0
        for chunk in torch.split(pixels, _CHUNK):
            columns = nn.functional.unfold(chunk.double(), side).transpose(1, 2).reshape(-1, size)
            moments += columns.T @ columns
            count += len(columns)
        values, vectors = torch.linalg.eigh(moments / count)
        filters = (vectors / torch.sqrt(values + 5e-4)).T.reshape(-1, *self.whiten.weight.shape[1:])
        self.whiten.weight.copy_(torch.cat((filters, -filters)))


def airbench(*, classes: int, image_size: int, channels: int, width: int = 64) -> Airbench:
    """Build the network of Keller Jordan's CIFAR-10 benchmark; 1.97 M parameters.

    Args:
        classes: Number of classes.
        image_size: Side of the image in pixels, at least 9.
        channels: 1 for grey, 3 for colour.
        width: Channels of the first group; the others have four times as many.

    Raises:
        InputError: The image is too small.
    """
    if image_size < _SMALLEST:
        raise InputError(
            f"airbench needs images of at least {_SMALLEST} pixels, got {image_size}",
            hint="set data.image_size",
        )
    return Airbench(classes=classes, channels=channels, width=width)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a 3×3 convolution whose first filters pass their channel on unchanged."""
    layer = nn.Conv2d(inputs, outputs, kernel_size=3, padding="same", bias=False)
    with torch.no_grad():
        nn.init.dirac_(layer.weight[: min(inputs, outputs)])
    return layer


def _norm(channels: int) -> nn.BatchNorm2d:
    """Return a batch norm of fast statistics, whose scale stays one."""
    norm = nn.BatchNorm2d(channels, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm
