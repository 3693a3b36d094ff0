"""Mixup and CutMix: every image with another of its batch, each by its own draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.trainers.augmentation.boxes import areas, inside
from vitscope.trainers.augmentation.streams import stream
from vitscope.trainers.augmentation.transfer import moved

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from vitscope.trainers.sections import AugmentSettings

__all__ = ["Mix", "Mixing"]


@dataclass(frozen=True, eq=False)
class Mix:
    """How the images of a batch are mixed, on the CPU.

    The loss of an image is share · CE(own label) + (1 − share) · CE(partner's label).

    Attributes:
        partner: Which image of the whole batch is mixed into each, int64 `[image]`.
        share: The own label's share, float32 `[image]`: with mixup λ, with CutMix the share of own pixels.
        weight: The own image's weight outside of the box, float32 `[image]`: with mixup λ, else 1.
        box: What comes from the partner, left, top, right, bottom, int64 `[image, 4]`; empty but for CutMix.
    """

    partner: Tensor
    share: Tensor
    weight: Tensor
    box: Tensor

    def take(self, indices: Tensor) -> Mix:
        """Return the rows of some images; `partner` goes on naming images of the whole batch."""
        return Mix(self.partner[indices], self.share[indices], self.weight[indices], self.box[indices])

    def apply(self, own: Tensor, partners: Tensor) -> Tensor:
        """Mix images.

        Args:
            own: Floating point `[image, channel, row, column]`.
            partners: The images that `partner` names, the same shape.

        Returns:
            The same shape and type.
        """
        height, width = own.shape[2:]
        box = moved(self.box, own.device)
        weight = moved(self.weight, own.device, own.dtype)[:, None, None, None]
        weight = torch.where(inside(box, width, height), 0, weight)
        return (own * weight).add_(partners * (1 - weight))


@dataclass(frozen=True)
class Mixing:
    """How mixes are drawn.

    Mixup: λ ~ Beta(`mixup`, `mixup`), x = λ · own + (1 − λ) · partner. CutMix: λ ~ Beta(`cutmix`, `cutmix`),
    a box of 1 − λ of the area, centred anywhere and cut at the border, comes from the partner.

    *Source*: Zhang et al. 2017, arXiv 1710.09412; Yun et al. 2019, arXiv 1905.04899.

    *Differs*: λ, box and choice between the two are drawn for each image, not for each batch; partners are a
    random permutation of the batch, as theirs.

    Attributes:
        mixup: The parameter of mixup's Beta distribution; 0 for no mixup.
        cutmix: That of CutMix; 0 for no CutMix. With both on, each image takes either, evenly.
        probability: The probability that an image is mixed at all.
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    probability: float = 1.0

    @classmethod
    def from_settings(cls, settings: AugmentSettings) -> Mixing:
        """Return the mixing that a run's settings ask for."""
        return cls(settings.mixup, settings.cutmix, settings.mix_probability)

    @property
    def active(self) -> bool:
        """Whether images are mixed at all."""
        return bool(self.mixup or self.cutmix) and self.probability > 0

    def draw(self, seed: int, epoch: int, step: int, count: int, size: tuple[int, int]) -> Mix | None:
        """Return how the images of a step are mixed; None where they never are.

        Args:
            seed: The run's.
            epoch: Counted from 0.
            step: The step in the epoch, counted from 0.
            count: Images of the whole batch, over all processes.
            size: Rows and columns of an image.
        """
        if not self.active:
            return None
        random = np.random.default_rng(stream(seed, epoch, 3, step).initial_seed())
        partner = random.permutation(count)
        mixed = random.random(count) < self.probability
        cut = random.random(count) < (0.5 if self.mixup and self.cutmix else float(self.cutmix > 0))
        blend = random.beta(self.mixup, self.mixup, count) if self.mixup else np.ones(count)
        kept = random.beta(self.cutmix, self.cutmix, count) if self.cutmix else np.ones(count)
        box = torch.from_numpy(_boxes(np.where(mixed & cut, kept, 1.0), random.random((count, 2)), size))
        weight = torch.from_numpy(np.where(mixed & ~cut, blend, 1.0))
        share = torch.where(
            torch.from_numpy(mixed & cut), 1 - areas(box).double() / (size[0] * size[1]), weight
        )
        return Mix(torch.from_numpy(partner), share.float(), weight.float(), box)


def _boxes(
    kept: NDArray[np.float64], centre: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.int64]:
    """Return the boxes of CutMix, which leave `kept` of the area before they are cut at the border."""
    sides = np.array([size[1], size[0]])
    half = (0.5 * np.sqrt(1 - kept)[:, None] * sides).astype(np.int64)
    middle = (centre * sides).astype(np.int64)
    corners = np.concatenate([middle - half, middle + half], axis=1)
    return corners.clip(0, np.tile(sides, 2))
