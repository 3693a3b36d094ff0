"""The operations of the policies, done to batches in which every image has its own.

A batch is sorted by operation, each operation done to the part that has it, and the batch sorted back. The
orders are made on the CPU, so nothing waits for a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vitscope.trainers.augmentation import enhancement, tones
from vitscope.trainers.augmentation.geometry import affine_nearest
from vitscope.trainers.augmentation.transfer import moved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["NAMES", "Turn", "in_turns", "perform"]

NAMES = (
    *("Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color"),
    *("Contrast", "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize", "Invert"),
)
_IDENTITY, _SHEAR_X, _SHEAR_Y, _TRANSLATE_X, _TRANSLATE_Y, _ROTATE = range(6)


@dataclass(frozen=True)
class Turn:
    """One operation for each image.

    Attributes:
        operation: Its place in a list of operations, int64 `[image]`.
        strength: Its strength, float64 `[image]` or `[image, …]`.
    """

    operation: Tensor
    strength: Tensor


def perform(pixels: Tensor, turns: Sequence[Turn]) -> Tensor:
    """Do to each image its operations of `NAMES`, one turn after the other.

    Strengths: shears as the tangent of the angle, translations in pixels (the fraction is dropped), rotations
    in degrees against the clock; brightness, colour, contrast and sharpness as the factor less 1; posterize
    as bits kept, solarize as a threshold on the scale 0…1. Space that comes free is black, and pixels are
    taken as they are, without interpolation.

    Args:
        pixels: uint8 `[image, channel, row, column]`, of 1 or 3 channels.
        turns: Each one's operations, on the CPU.
    """
    height, width = pixels.shape[2:]
    return in_turns(pixels, [_geometric(turn, height, width) for turn in turns], _OPERATIONS)


def in_turns(
    pixels: Tensor, turns: Sequence[Turn], operations: Sequence[Callable[[Tensor, Tensor], Tensor] | None]
) -> Tensor:
    """Do to each image its operations of any list, one turn after the other; None leaves it as it is."""
    place = torch.arange(len(pixels))
    for turn in turns:
        order = turn.operation.argsort(stable=True)
        pixels = _taken(pixels, place[order])
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        strengths = moved(turn.strength[order], pixels.device)
        counts = turn.operation.bincount(minlength=len(operations)).tolist()
        parts = zip(operations, torch.split(pixels, counts), torch.split(strengths, counts), strict=True)
        for operation, part, strength in parts:
            if operation is not None and len(part):
                part.copy_(operation(part, strength))
    return _taken(pixels, place) if turns else pixels


def _taken(pixels: Tensor, places: Tensor) -> Tensor:
    return pixels.index_select(0, moved(places, pixels.device))


def _geometric(turn: Turn, height: int, width: int) -> Turn:
    """Return the turn with one operation, an affine change, for all of geometry: strengths are matrices."""
    operation, strength = turn.operation, turn.strength
    shear_x = strength * (operation == _SHEAR_X)
    shear_y = strength * (operation == _SHEAR_Y)
    right = strength.trunc() * (operation == _TRANSLATE_X)
    down = strength.trunc() * (operation == _TRANSLATE_Y)
    angle = torch.deg2rad(strength * (operation == _ROTATE))
    cosine, sine = torch.cos(angle), torch.sin(angle)
    # Shears hold the upper left corner, as torchvision's; the matrix is about the centre.
    matrices = torch.stack(
        [
            *(cosine, shear_x - sine, shear_x * (height / 2) - right),
            *(shear_y + sine, cosine, shear_y * (width / 2) - down),
        ],
        dim=1,
    )
    geometric = (operation >= _SHEAR_X) & (operation <= _ROTATE)
    values = torch.where(geometric[:, None], matrices, strength[:, None])
    return Turn(torch.where(geometric, _SHEAR_X, operation), values)


def _factor(enhance: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda pixels, strengths: enhance(pixels, 1 + strengths[:, 0])


_OPERATIONS: tuple[Callable[[Tensor, Tensor], Tensor] | None, ...] = (
    None,
    affine_nearest,
    *(None,) * 4,  # the other geometric ones, which became matrices
    *(_factor(enhancement.brightness), _factor(enhancement.saturation)),
    *(_factor(enhancement.contrast), _factor(enhancement.sharpness)),
    lambda pixels, strengths: tones.posterize(pixels, strengths[:, 0]),
    lambda pixels, strengths: tones.solarize(pixels, 255 * strengths[:, 0]),
    lambda pixels, _: tones.auto_contrast(pixels),
    lambda pixels, _: tones.equalize(pixels),
    lambda pixels, _: tones.invert(pixels),
)
