"""What a model sees of an image: the crop, the size, the channels and the scale."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vitscope.data.images import flatten
from vitscope.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["Preprocessing"]

_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_LARGEST_SIDE = 8192


@dataclass(frozen=True)
class Preprocessing:
    """How pictures of any size become a model's input.

    The largest centred box of the input's aspect ratio is cut out and resized with antialiasing; nothing is
    stretched, and nothing else is cropped. A picture that has the input's size already is not touched.

    Attributes:
        size: Rows and columns of the model's input.
        channels: 1 for grey, 3 for colour; other pictures are converted (ITU-R 601 luma, or grey repeated).
        mean: Per channel, on the scale 0 … 1.
        std: Per channel, on the scale 0 … 1, positive.
        interpolation: `bicubic` or `bilinear`.

    Raises:
        DataError: A value is out of range or the lengths do not fit.
    """

    size: tuple[int, int]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        _check(self)

    def region(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return what the model sees of a `width` × `height` picture: left, top, right, bottom in pixels."""
        rows, columns = self.size
        if width * rows > height * columns:
            seen_width, seen_height = _rounded(height * columns, rows), height
        else:
            seen_width, seen_height = width, _rounded(width * rows, columns)
        left, top = (width - seen_width) // 2, (height - seen_height) // 2
        return left, top, left + seen_width, top + seen_height

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Cut, resize and convert one picture: uint8 `[channel, row, column]`.

        Raises:
            ValueError: The picture's mode has no defined 8-bit form (`vitscope.data.images.flatten`).
        """
        rows, columns = self.size
        image = flatten(image)
        if self.channels == 1 and image.mode != "L":
            image = image.convert("L")
        if image.size != (columns, rows):
            box = self.region(*image.size)
            cut = image if box == (0, 0, *image.size) else image.crop(box)
            image = cut.resize((columns, rows), _RESAMPLING[self.interpolation])
        values = np.asarray(image)
        if values.ndim == 3:
            return np.ascontiguousarray(values.transpose(2, 0, 1))
        return np.repeat(values[None], self.channels, axis=0)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Scale a batch: (pixels / 255 − mean) / std, on the batch's own device.

        Args:
            pixels: uint8 `[image, channel, row, column]`.

        Returns:
            float32 of the same shape.

        Raises:
            DataError: The channels do not fit.
        """
        import torch

        if pixels.ndim != 4 or pixels.shape[1] != self.channels:
            raise DataError(
                f"expected pixels [image, {self.channels}, row, column], got {list(pixels.shape)}"
            )
        mean = torch.tensor(self.mean, device=pixels.device, dtype=torch.float32)[:, None, None]
        std = torch.tensor(self.std, device=pixels.device, dtype=torch.float32)[:, None, None]
        return pixels.to(torch.float32).div_(255).sub_(mean).div_(std)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, value: object) -> Preprocessing:
        """Make the record from `to_dict`'s result.

        Raises:
            DataError: It is not one, or a value is out of range.
        """
        keys = [item.name for item in fields(cls)]
        if not isinstance(value, dict) or sorted(map(str, value)) != sorted(keys):
            raise DataError(f"expected preprocessing as a mapping of {', '.join(keys)}, got {_shown(value)}")
        chosen: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in value.items()
        }
        return cls(**chosen)


def _rounded(numerator: int, denominator: int) -> int:
    return max(1, (2 * numerator + denominator) // (2 * denominator))


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, dict) else type(value).__name__


def _check(record: Preprocessing) -> None:
    size, channels = record.size, record.channels
    if not isinstance(size, tuple) or len(size) != 2 or not all(_is_side(side) for side in size):
        raise DataError(f"expected an input size of two whole numbers in 1 … {_LARGEST_SIDE}, got {size!r}")
    if type(channels) is not int or channels not in (1, 3):
        raise DataError(f"expected 1 or 3 channels, got {channels!r}")
    for name, values in (("mean", record.mean), ("std", record.std)):
        if not isinstance(values, tuple) or len(values) != channels or not all(map(_is_finite, values)):
            raise DataError(f"expected {name} as {channels} finite numbers, got {values!r}")
    if min(record.std) <= 0:
        raise DataError(f"expected std above 0, got {record.std!r}")
    if not isinstance(record.interpolation, str) or record.interpolation not in _RESAMPLING:
        raise DataError(f"expected interpolation {' or '.join(_RESAMPLING)}, got {record.interpolation!r}")


def _is_side(value: object) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST_SIDE


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
