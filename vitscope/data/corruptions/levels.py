"""Grey levels, and the constants that belong to pictures of a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Values = NDArray[np.float32]

__all__ = ["SMALL", "Constants", "is_small", "luma", "truncated"]

SMALL = 64
"""Pixels of the longer side up to which CIFAR-C's constants count; larger pictures take ImageNet-C's."""

_ROUNDING = 2e-4  # grey levels

Setting = TypeVar("Setting")


@dataclass(frozen=True)
class Constants(Generic[Setting]):
    """The settings of one kind, from severity 1 to 5.

    Attributes:
        small: As in the authors' `make_cifar_c.py`.
        large: As in the authors' `make_imagenet_c.py`.
    """

    small: tuple[Setting, Setting, Setting, Setting, Setting]
    large: tuple[Setting, Setting, Setting, Setting, Setting]

    def of(self, pixels: Pixels, severity: int) -> Setting:
        """Return the setting for pictures of this size, `[image, channel, row, column]`."""
        return (self.small if is_small(pixels) else self.large)[severity - 1]


def is_small(pixels: Pixels) -> bool:
    """Return whether pictures `[image, channel, row, column]` take CIFAR-C's constants."""
    return bool(max(pixels.shape[2:]) <= SMALL)


def truncated(values: Values) -> Pixels:
    """Clip to 0 … 255 and cut to whole grey levels, as the authors' `np.uint8(…)` does; works in place.

    *Differs*: what lies within 1/5000 below a level is that level, so that rounding in float32 does not
    decide what exact arithmetic would decide otherwise.
    """
    np.clip(values, 0, 255, out=values)
    values += _ROUNDING
    return values.astype(np.uint8)


def luma(values: Values) -> Values:
    """Return brightness as the eye weighs it (ITU-R 601): `[image, 1, row, column]` of any channels."""
    if values.shape[1] == 1:
        return values
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.asarray(np.tensordot(values, weights, axes=(1, 0))[:, None])
