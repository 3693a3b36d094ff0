"""Random erasing and cutout: parts of an input that are made zero."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import torch

from vitscope.trainers.augmentation.boxes import BOX_DRAWS, erasing_boxes, inside, squares
from vitscope.trainers.augmentation.transfer import moved

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Erasing"]

_CHANCE_AND_BOX, _CENTRE = 1 + BOX_DRAWS, 2


@dataclass(frozen=True)
class Erasing:
    """What is erased: after normalisation, so that what is left is the data set's mean.

    Attributes:
        probability: How often a box of 2 to 33 % of the area is erased (`erasing_boxes`).
        cutout: The side in pixels of the square that is erased from every image (`squares`); 0 for none.
    """

    probability: float = 0.0
    cutout: int = 0

    @property
    def draws(self) -> int:
        """How many draws an image takes."""
        return (_CHANCE_AND_BOX if self.probability else 0) + (_CENTRE if self.cutout else 0)

    def apply(self, inputs: Tensor, draws: Tensor) -> Tensor:
        """Erase from a batch.

        Args:
            inputs: Floating point `[image, channel, row, column]`.
            draws: `[image, draws]`, uniform in 0…1, on the CPU.
        """
        height, width = inputs.shape[2:]
        boxes = []
        if self.probability:
            chosen = draws[:, :1] < self.probability
            boxes.append(erasing_boxes(draws[:, 1:_CHANCE_AND_BOX], width, height) * chosen)
        if self.cutout:
            boxes.append(squares(draws[:, -_CENTRE:], self.cutout, width, height))
        erased = moved(torch.stack(boxes), inputs.device)
        masks = [inside(box, width, height) for box in erased]
        return inputs.masked_fill(reduce(torch.logical_or, masks), 0)
