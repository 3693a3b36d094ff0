"""Corrupting pixels: one image, or a batch of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.data.corruptions import blur, digital, noise, spatter, weather
from vitscope.data.corruptions.kinds import check_corruption
from vitscope.data.corruptions.streams import Streams
from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

__all__ = ["corrupt", "corrupt_batch"]

_CHANGES: dict[str, Callable[[NDArray[np.uint8], int, Streams], NDArray[np.uint8]]] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "spatter": spatter.spatter,
    "saturate": digital.saturate,
}


def corrupt(
    image: NDArray[np.uint8], kind: str, severity: int, *, seed: int = 0, index: int = 0
) -> NDArray[np.uint8]:
    """Corrupt one image.

    *Source*: Hendrycks and Dietterich 2019, arXiv 1903.12261, with the constants of their code: CIFAR-C's for
    images of up to 64 pixels a side, ImageNet-C's for larger ones. *Differs*: each kind says where.

    Args:
        image: uint8 `[row, column]` or `[row, column, 3]`.
        kind: A name of `CORRUPTIONS`.
        severity: 1 … 5.
        seed: The seed of all images.
        index: The image's number in its data set: with the seed, kind and severity it decides every draw.

    Returns:
        uint8 of the same shape.

    Raises:
        UsageError: There is no such kind or severity.
        InputError: It is not such an image.
    """
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise InputError(f"expected an image [row, column] or [row, column, 3], got {list(pixels.shape)}")
    batch = pixels[None, None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[None]
    changed = corrupt_batch(batch, kind, severity, seed=seed, indices=[index])[0]
    return changed[0] if pixels.ndim == 2 else np.ascontiguousarray(changed.transpose(1, 2, 0))


def corrupt_batch(
    pixels: NDArray[np.uint8], kind: str, severity: int, *, seed: int = 0, indices: ArrayLike | None = None
) -> NDArray[np.uint8]:
    """Corrupt images of one size, each exactly as `corrupt` would alone.

    Args:
        pixels: uint8 `[image, channel, row, column]`, 1 or 3 channels; not changed.
        kind: A name of `CORRUPTIONS`.
        severity: 1 … 5.
        seed: The seed of all images.
        indices: `[image]`, each image's number in its data set; 0, 1, 2… where not given.

    Returns:
        uint8 of the same shape.

    Raises:
        UsageError: There is no such kind or severity.
        InputError: They are not such images.
    """
    check_corruption(kind, severity)
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 4
        or pixels.shape[1] not in (1, 3)
        or not all(pixels.shape[2:])
    ):
        raise InputError(
            f"expected uint8 [image, 1 or 3, row, column], got {pixels.dtype} {list(pixels.shape)}"
        )
    numbers = np.arange(len(pixels)) if indices is None else np.asarray(indices)
    if numbers.shape != (len(pixels),):
        raise InputError(f"expected {len(pixels)} indices, one an image, got {list(numbers.shape)}")
    if not len(pixels):
        return pixels.copy()
    return _CHANGES[kind](pixels, severity, Streams(seed, kind, severity, numbers))
