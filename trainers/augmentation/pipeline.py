"""Augmentation in batches, every image by its own draw.

A draw is a function of (seed, epoch, sample): a run repeats and resumes exactly, whatever the batches are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi
from typing import TYPE_CHECKING, Literal

import torch

from vitscope.errors import UsageError
from vitscope.trainers.augmentation import geometry
from vitscope.trainers.augmentation.boxes import BOX_DRAWS, crop_boxes
from vitscope.trainers.augmentation.erasing import Erasing
from vitscope.trainers.augmentation.jitter import Jitter
from vitscope.trainers.augmentation.policies import Policy
from vitscope.trainers.augmentation.streams import stream

if TYPE_CHECKING:
    from torch import Tensor

    from vitscope.trainers.sections import AugmentSettings

__all__ = ["Augmentation"]

_PLACE = 7  # flip, crop row and column, angle, scale, shift right and down


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images, in this order; after normalisation, parts are erased.

    Attributes:
        resized_crop: Cut out a window of at least this share of the area and bring it to the image's size.
        crop_padding: Pad by so many pixels and cut the original size at a random place.
        crop_fill: Pad with black (`zeros`) or with the image mirrored in its border (`reflect`).
        flip: Mirror left and right with probability ½.
        rotation: Largest angle in degrees, either way.
        scale: Largest relative change of size, either way.
        translation: Largest shift as a share of the side, either way.
        policy: Operations that are drawn for each image.
        jitter: How far colours change.
        erasing: What is erased.
    """

    resized_crop: float | None = None
    crop_padding: int = 0
    crop_fill: Literal["zeros", "reflect"] = "zeros"
    flip: bool = False
    rotation: float = 0.0
    scale: float = 0.0
    translation: float = 0.0
    policy: Policy = field(default_factory=Policy)
    jitter: Jitter = field(default_factory=Jitter)
    erasing: Erasing = field(default_factory=Erasing)

    @classmethod
    def from_settings(
        cls, settings: AugmentSettings, *, source: str, channels: int, size: int
    ) -> Augmentation:
        """Return what a run's settings ask for.

        Flip and crop are filled in where they were left open: photographs and clothes take
        both, digits neither.

        Args:
            settings: The run's.
            source: The name of the data set, or its folder.
            channels: Of the images: 1 or 3.
            size: Rows and columns of the model's input.

        Raises:
            UsageError: A setting contradicts the images.
        """
        if source == "digits" and settings.flip:
            raise UsageError(
                "augment.flip: digits are never flipped, a mirrored 2 is no digit", hint="leave it out"
            )
        for name, pixels in (("crop_padding", settings.crop_padding or 0), ("cutout", settings.cutout)):
            if pixels >= size:
                raise UsageError(f"augment.{name}: expected less than the image size {size}, got {pixels}")
        natural = source == "fashion-mnist" or (source != "digits" and channels == 3)
        usual_padding = size // 8 if natural and settings.resized_crop is None else 0
        return cls(
            resized_crop=settings.resized_crop,
            crop_padding=usual_padding if settings.crop_padding is None else settings.crop_padding,
            crop_fill=settings.crop_fill,
            flip=natural if settings.flip is None else settings.flip,
            rotation=settings.rotation,
            scale=settings.scale,
            translation=settings.translation,
            policy=Policy(settings.policy, settings.operations, settings.magnitude),
            jitter=Jitter(settings.brightness, settings.contrast, settings.saturation, settings.hue),
            erasing=Erasing(settings.erasing, settings.cutout),
        )

    @property
    def affine(self) -> bool:
        """Whether there is an affine change at all."""
        return bool(self.rotation or self.scale or self.translation)

    def draw(self, seed: int, epoch: int, count: int) -> Tensor:
        """Return the draws of every sample of an epoch: `[sample, draw]`, uniform in 0…1, on the CPU.

        Each part has a stream of its own: what one draws does not depend on whether another is on.
        """
        place, *others = self._draws
        parts = [torch.rand(count, place, generator=stream(seed, epoch, 1))]
        for part, draws in enumerate(others):
            parts.append(torch.rand(count, draws, generator=stream(seed, epoch, 1, part)))
        return torch.cat(parts, dim=1)

    def apply(self, pixels: Tensor, draws: Tensor, *, cropped: bool = False) -> Tensor:
        """Change a batch.

        Args:
            pixels: uint8 `[image, channel, row, column]`, of 1 or 3 channels, on any device.
            draws: `[image, draw]`, the rows of `draw` for these images, on the CPU.
            cropped: Whether the pixels are those of `window` already.

        Returns:
            uint8, the same shape; the images given when there is nothing to do.
        """
        if not len(pixels):
            return pixels
        place, window, policy, jitter, _ = torch.split(draws, self._draws, dim=1)
        height, width = pixels.shape[2:]
        if self.resized_crop is not None and not cropped:
            pixels = geometry.resized(pixels, crop_boxes(window, self.resized_crop, width, height))
        if self.crop_padding:
            starts = (place[:, 1:3] * (2 * self.crop_padding + 1)).long()
            wide = geometry.padded(pixels, self.crop_padding, self.crop_fill)
            pixels = geometry.windows(wide, starts, (height, width))
        if self.flip:
            pixels = geometry.mirrored(pixels, place[:, 0] < 0.5)
        if self.affine:
            pixels = geometry.affine_bilinear(pixels, self._matrices(place[:, 3:], height, width))
        if self.policy.turns:
            pixels = self.policy.apply(pixels, policy)
        return self.jitter.apply(pixels, jitter) if self.jitter.draws else pixels

    def erase(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """Erase from a normalised batch; it is given back itself where there is nothing to do."""
        if not self.erasing.draws or not len(inputs):
            return inputs
        return self.erasing.apply(inputs, draws[:, -self.erasing.draws :])

    def window(self, draws: Tensor, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Return what `resized_crop` cuts out of one picture: left, top, right and bottom in its own pixels.

        Args:
            draws: The picture's row of `draw`.
            width: The picture's own columns.
            height: Its own rows.
        """
        if self.resized_crop is None:
            return None
        row = draws[None, _PLACE : _PLACE + BOX_DRAWS]
        left, top, right, bottom = crop_boxes(row, self.resized_crop, width, height)[0].tolist()
        return left, top, right, bottom

    @property
    def _draws(self) -> list[int]:
        """How many draws the parts take: place, window, policy, jitter, erasing."""
        window = 0 if self.resized_crop is None else BOX_DRAWS
        return [_PLACE, window, self.policy.draws, self.jitter.draws, self.erasing.draws]

    def _matrices(self, draws: Tensor, height: int, width: int) -> Tensor:
        """Return where pixels come from (`geometry.affine_bilinear`): `[image, 6]`."""
        angle, scale, right, down = (2 * draws.double() - 1).unbind(1)
        size = 1 + scale * self.scale
        cosine = torch.cos(angle * (self.rotation * pi / 180)) / size
        sine = torch.sin(angle * (self.rotation * pi / 180)) / size
        right, down = right * (self.translation * width), down * (self.translation * height)
        return torch.stack([cosine, -sine, right, sine, cosine, down], dim=1)
