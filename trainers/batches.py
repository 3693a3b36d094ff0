"""The batches of an epoch, and this process's part of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from vitscope.trainers.augmentation.mixing import Mix

__all__ = ["Batch", "batch_bounds", "needed_rows", "places_of"]


@dataclass(frozen=True)
class Batch:
    """A step's images in this process: which rows of the batch it trains on, and their input.

    Attributes:
        epoch: Which epoch it belongs to, from 0.
        samples: The images of the whole batch, over all processes, by their number in the set: `[image]`.
        labels: Their labels, `[image]`, on the device.
        rows: The rows of the batch that this process trains on.
        mix: How the batch's images are mixed; None where they are not.
        places: Where in `inputs` a row of the batch is; None where they are the same.
        inputs: Normalised images, of the rows and of the rows that are mixed into them.
        idle: Whether the batch has too few images for this process: it goes along with one that is another's,
            which counts for nothing here, since all processes must make the step.
    """

    epoch: int
    samples: Tensor
    labels: Tensor
    rows: Tensor
    mix: Mix | None
    places: Tensor | None
    inputs: Tensor
    idle: bool = False

    @property
    def size(self) -> int:
        """Images of the whole batch, over all processes."""
        return len(self.samples)

    def input(self, rows: Tensor) -> Tensor:
        """Return the input of some rows of the batch."""
        return self.inputs[rows if self.places is None else self.places[rows]]


def batch_bounds(count: int, size: int) -> list[tuple[int, int]]:
    """Return start and end of every batch; a last one of a single image is left out: batch norm needs two."""
    bounds = [(start, min(start + size, count)) for start in range(0, count, size)]
    return bounds[:-1] if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1 else bounds


def needed_rows(rows: Tensor, mix: Mix | None) -> Tensor:
    """Return the rows of a batch whose pixels a process needs: its own, and those mixed into them."""
    return rows if mix is None else torch.unique(torch.cat([rows, mix.partner[rows]]))


def places_of(needed: Tensor, size: int) -> Tensor | None:
    """Return where in the needed rows each row of the batch is; None where all are needed."""
    if len(needed) == size:
        return None
    places = torch.zeros(size, dtype=torch.int64)
    places[needed] = torch.arange(len(needed))
    return places
