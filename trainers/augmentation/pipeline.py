"""Augmentation in batches, every image by its own draw.

A draw is a function of (seed, epoch, sample): a run repeats and resumes exactly, whatever the batches are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from vitscope.trainers.augmentation.streams import stream

__all__ = ["Augmentation"]

_DRAWS = 7  # flip, crop row and column, angle, scale, shift right and down


@dataclass(frozen=True)
class Augmentation:
    """Flip, crop and a small affine change.

    Attributes:
        flip: Mirror left and right with probability ½.
        crop_padding: Pad with black by so many pixels and cut the original size at a random place.
        rotation: Largest angle in degrees, either way.
        scale: Largest relative change of size, either way.
        translation: Largest shift as a share of the side, either way.
    """

    flip: bool = False
    crop_padding: int = 0
    rotation: float = 0.0
    scale: float = 0.0
    translation: float = 0.0

    @property
    def affine(self) -> bool:
        """Whether there is an affine change at all."""
        return bool(self.rotation or self.scale or self.translation)

    def draw(self, seed: int, epoch: int, count: int) -> Tensor:
        """Return the draws of every sample of an epoch: `[sample, 7]`, uniform in 0…1."""
        return torch.rand(count, _DRAWS, generator=stream(seed, epoch, 1))

    def apply(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """Change a batch.

        Args:
            pixels: uint8 `[image, channel, row, column]`.
            draws: `[image, 7]`, the rows of `draw` for these images.

        Returns:
            uint8, the same shape; the images given when there is nothing to do.
        """
        draws = draws.to(pixels.device)
        if self.flip or self.crop_padding:
            pixels = self._shift_and_flip(pixels, draws)
        return self._warp(pixels, draws) if self.affine else pixels

    def _shift_and_flip(self, pixels: Tensor, draws: Tensor) -> Tensor:
        images, channels, height, width = pixels.shape
        padding = self.crop_padding
        place = (draws[:, 1:3] * (2 * padding + 1)).long()
        rows = place[:, :1] + torch.arange(height, device=pixels.device)
        columns = place[:, 1:] + torch.arange(width, device=pixels.device)
        if self.flip:
            columns = torch.where(draws[:, :1] < 0.5, columns.flip(1), columns)
        padded = F.pad(pixels, (padding, padding, padding, padding))
        image = torch.arange(images, device=pixels.device)[:, None, None, None]
        channel = torch.arange(channels, device=pixels.device)[None, :, None, None]
        return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]

    def _warp(self, pixels: Tensor, draws: Tensor) -> Tensor:
        either_way = 2 * draws[:, 3:] - 1
        angle = either_way[:, 0] * (self.rotation * pi / 180)
        size = 1 + either_way[:, 1] * self.scale
        # The grid runs from −1 to 1, so a shift by the whole side is 2.
        shift = either_way[:, 2:] * (2 * self.translation)
        cosine, sine = torch.cos(angle) / size, torch.sin(angle) / size
        # Rotations are of pixels, and the grid's units differ where an image is not square.
        aspect = pixels.shape[2] / pixels.shape[3]
        top = torch.stack([cosine, -sine * aspect, shift[:, 0]], dim=1)
        bottom = torch.stack([sine / aspect, cosine, shift[:, 1]], dim=1)
        grid = F.affine_grid(torch.stack([top, bottom], dim=1), list(pixels.shape), align_corners=False)
        warped = F.grid_sample(
            pixels.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        return warped.round_().to(torch.uint8)
