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

_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}
_CENTRING = ("round", "floor")
_ORDERS = ("pillow", "across")
_SINCE_FIRST = ("resize", "centring", "order")  # fields that the first checkpoints do not have
_LARGEST_SIDE = 8192
_LARGEST_RESIZED = 1 << 24


@dataclass(frozen=True)
class Preprocessing:
    """How pictures of any size become a model's input.

    Without `resize`, the largest centred box of the input's aspect ratio is cut out and resized with
    antialiasing; nothing is stretched, and nothing else is cropped. A picture that has the input's size
    already is not touched. With `resize`, the whole picture is resized first, with antialiasing, and the
    input's size cut from its centre.

    Pixels are those of torchvision's `Resize` and `CenterCrop`, bit for bit.
    *Differs*: where the resized picture would have over 16 million pixels, as that of a picture of 1 × 20000,
    only what is seen of it is computed; Pillow may round that in another order.

    Attributes:
        size: Rows and columns of the model's input.
        channels: 1 for grey, 3 for colour; other pictures are converted (ITU-R 601 luma, or grey repeated).
        mean: Per channel, on the scale 0 … 1.
        std: Per channel, on the scale 0 … 1, positive.
        interpolation: `bicubic`, `bilinear`, `lanczos` or `nearest`.
        resize: A whole number: the shorter side becomes that long, and the longer one in proportion, rounded
            down (torchvision, timm). Rows and columns: the picture is stretched to them (timm's squash, most
            processors of Hugging Face). None: as above. At least as large as `size`.
        centring: Where half a pixel is left over, the cut begins at the half rounded to the even pixel
            (`round`: torchvision, timm) or rounded down (`floor`: Hugging Face).
        order: Whether Pillow resizes as it finds cheapest (`pillow`), or always across and then down, as
            tensors are (`across`: most processors of Hugging Face): that is the order of the roundings.

    Raises:
        DataError: A value is out of range or the lengths do not fit.
    """

    size: tuple[int, int]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize: int | tuple[int, int] | None = None
    centring: str = "round"
    order: str = "pillow"

    def __post_init__(self) -> None:
        _check(self)

    def region(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return what the model sees of a `width` × `height` picture: left, top, right, bottom in pixels.

        Whole pixels and at least one each way: with `resize`, the nearest to the exact box.
        """
        if self.resize is not None:
            return _whole(self._window(width, height), width, height)
        rows, columns = self.size
        if width * rows > height * columns:
            seen_width, seen_height = _rounded(height * columns, rows), height
        else:
            seen_width, seen_height = width, _rounded(width * rows, columns)
        left, top = (width - seen_width) // 2, (height - seen_height) // 2
        return left, top, left + seen_width, top + seen_height

    def pixels(
        self, image: Image.Image, window: tuple[int, int, int, int] | None = None
    ) -> NDArray[np.uint8]:
        """Cut, resize and convert one picture: uint8 `[channel, row, column]`.

        Args:
            image: The picture.
            window: Left, top, right and bottom of what is seen of it, in its own pixels, in the place of
                what the model sees otherwise; it is stretched to the input's size.

        Raises:
            ValueError: The picture's mode has no defined 8-bit form (`vitscope.data.images.flatten`).
        """
        rows, columns = self.size
        image = flatten(image)
        if self.channels == 1 and image.mode != "L":
            image = image.convert("L")
        if window is not None:
            image = image.crop(window).resize((columns, rows), _RESAMPLING[self.interpolation])
        elif self.resize is not None:
            image = self._centre(image)
        elif image.size != (columns, rows):
            box = self.region(*image.size)
            cut = image if box == (0, 0, *image.size) else image.crop(box)
            image = cut.resize((columns, rows), _RESAMPLING[self.interpolation])
        values = np.asarray(image)
        if values.ndim == 3:
            return np.ascontiguousarray(values.transpose(2, 0, 1))
        return np.repeat(values[None], self.channels, axis=0)

    def leaves(self, shape: tuple[int, ...]) -> bool:
        """Tell whether pixels of this shape `(channel, row, column)` are the model's input as they stand."""
        return self.resize in (None, self.size) and shape == (self.channels, *self.size)

    def _centre(self, image: Image.Image) -> Image.Image:
        rows, columns = self.size
        wide, tall = self._resized(*image.size)
        way = _RESAMPLING[self.interpolation]
        if wide * tall > _LARGEST_RESIZED:
            return image.resize((columns, rows), way, box=self._window(*image.size))
        left, top = self._start(wide - columns), self._start(tall - rows)
        if self.order == "across":
            image = image.resize((wide, image.height), way)
        return image.resize((wide, tall), way).crop((left, top, left + columns, top + rows))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Return columns and rows of the resized picture."""
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        short = self.resize or 0
        if width <= height:
            return short, short * height // width
        return short * width // height, short

    def _window(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the seen box exactly, in the picture's own pixels."""
        rows, columns = self.size
        wide, tall = self._resized(width, height)
        left, top = self._start(wide - columns), self._start(tall - rows)
        across, down = width / wide, height / tall
        right, bottom = min(width, (left + columns) * across), min(height, (top + rows) * down)
        return left * across, top * down, right, bottom

    def _start(self, spare: int) -> int:
        return round(spare / 2) if self.centring == "round" else spare // 2

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
        """Return the fields as JSON can hold them; the later ones only where they say something."""
        plain = {item.name: item.default for item in fields(self) if item.name in _SINCE_FIRST}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if key not in plain or value != plain[key]
        }

    @classmethod
    def from_dict(cls, value: object) -> Preprocessing:
        """Make the record from `to_dict`'s result.

        Raises:
            DataError: It is not one, or a value is out of range.
        """
        keys = [item.name for item in fields(cls)]
        needed = set(keys) - set(_SINCE_FIRST)
        if not isinstance(value, dict) or not needed <= set(map(str, value)) <= set(keys):
            raise DataError(f"expected preprocessing as a mapping of {', '.join(keys)}, got {_shown(value)}")
        chosen: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in value.items()
        }
        return cls(**chosen)


def _rounded(numerator: int, denominator: int) -> int:
    return max(1, (2 * numerator + denominator) // (2 * denominator))


def _whole(box: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int, int]:
    left, top = min(math.floor(box[0] + 0.5), width - 1), min(math.floor(box[1] + 0.5), height - 1)
    return left, top, max(math.floor(box[2] + 0.5), left + 1), max(math.floor(box[3] + 0.5), top + 1)


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
    for name, value, known in (("centring", record.centring, _CENTRING), ("order", record.order, _ORDERS)):
        if value not in known:
            raise DataError(f"expected {name} {' or '.join(known)}, got {value!r}")
    _check_resize(record.resize, size)


def _check_resize(resize: object, size: tuple[int, int]) -> None:
    if resize is None:
        return
    sides = resize if isinstance(resize, tuple) else (resize, resize)
    fits = len(sides) == 2 and all(map(_is_side, sides)) and sides[0] >= size[0] and sides[1] >= size[1]
    if not fits:
        raise DataError(
            f"expected resize as one whole number or two, from the input's {size[0]}x{size[1]} "
            f"to {_LARGEST_SIDE}, got {resize!r}"
        )


def _is_side(value: object) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST_SIDE


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
