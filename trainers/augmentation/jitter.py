"""Colour jitter: brightness, contrast, saturation and hue, in an order drawn for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vitscope.trainers.augmentation import enhancement
from vitscope.trainers.augmentation.operations import Turn, in_turns

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Jitter"]

_CHANGES = (enhancement.brightness, enhancement.contrast, enhancement.saturation, enhancement.hue)


@dataclass(frozen=True)
class Jitter:
    """How far colours change, in torchvision's meaning.

    Attributes:
        brightness: Factors are uniform in 1 − b…1 + b, at least 0.
        contrast: The same.
        saturation: The same.
        hue: Turns are uniform in −h…h, at most ½.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    @property
    def draws(self) -> int:
        """How many draws an image takes: order and amount of each change; none where nothing changes."""
        return 2 * len(_CHANGES) if any((self.brightness, self.contrast, self.saturation, self.hue)) else 0

    def apply(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """Change a batch.

        Args:
            pixels: uint8 `[image, channel, row, column]`, of 1 or 3 channels.
            draws: `[image, 8]`, uniform in 0…1, on the CPU.
        """
        ranks, draws = torch.split(draws.double(), len(_CHANGES), dim=1)
        widths = (self.brightness, self.contrast, self.saturation)
        lowest = torch.tensor([*(max(0, 1 - width) for width in widths), -self.hue], dtype=torch.float64)
        highest = torch.tensor([*(1 + width for width in widths), self.hue], dtype=torch.float64)
        amounts = lowest + draws * (highest - lowest)
        # The order of independent uniform numbers is any order, with equal probability.
        order = ranks.argsort(dim=1, stable=True)
        active = torch.tensor([*(width > 0 for width in widths), self.hue > 0])
        turns = [
            Turn(torch.where(active[change], change, len(_CHANGES)), amounts.gather(1, change[:, None])[:, 0])
            for change in order.unbind(1)
        ]
        return in_turns(pixels, turns, (*_CHANGES, None))
