"""The pixels of training images: from the device's memory, or from files that are decoded ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset

from vitscope.data.decoding import decode_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from vitscope.data.imageset import ImageSet
    from vitscope.data.preprocessing import Preprocessing
    from vitscope.trainers.augmentation.pipeline import Augmentation

__all__ = ["Loader"]


class Loader:
    """Gives the batches of an epoch: uint8, on the device.

    Pictures of the model's own size that are in memory are put on the device once. Others are read and cut to
    size batch by batch: by threads, or by the processes of a DataLoader where there are `workers`; the pixels
    are the same.

    Args:
        images: The training images.
        preprocessing: What the model sees of them.
        augmentation: Tells which window of a picture is cut out.
        device: Where the pixels go.
        workers: Processes that decode files; 0 for threads of this one.
    """

    def __init__(
        self,
        images: ImageSet,
        preprocessing: Preprocessing,
        augmentation: Augmentation,
        *,
        device: torch.device,
        workers: int = 0,
    ) -> None:
        self.images, self.preprocessing, self.augmentation = images, preprocessing, augmentation
        self.device, self.workers = device, workers
        fits = images.array is not None and preprocessing.leaves(images.array.shape[1:])
        self.resident = images.pixels(preprocessing).to(device) if fits else None

    @property
    def cropped(self) -> bool:
        """Whether the batches are cut out at random already, from the pictures as they are stored."""
        return self.resident is None and self.augmentation.resized_crop is not None

    def batches(self, samples: Sequence[Tensor], draws: Tensor) -> Iterator[Tensor]:
        """Yield the pixels of each batch: uint8 `[image, channel, row, column]`.

        Args:
            samples: The images of each batch, int64 `[image]`.
            draws: The epoch's draws, `[sample, draw]`.

        Raises:
            ImageError: A file cannot be read.
        """
        if self.resident is not None:
            for sample in samples:
                yield self.resident[sample.to(self.device)]
            return
        pictures = _Pictures(self, draws)
        if self.workers:
            lists = [sample.tolist() for sample in samples]
            loader: Any = DataLoader(
                pictures,
                batch_sampler=lists,
                num_workers=self.workers,
                pin_memory=self.device.type == "cuda",
            )
        else:
            shape = (self.preprocessing.channels, *self.preprocessing.size)
            arrays = decode_ahead([sample.tolist() for sample in samples], shape, pictures.read)
            loader = map(torch.from_numpy, arrays)
        for pixels in loader:
            yield pixels.to(self.device, non_blocking=True)


class _Pictures(Dataset["Tensor"]):
    """The pictures of an epoch, each with its window."""

    def __init__(self, loader: Loader, draws: Tensor) -> None:
        self.images, self.preprocessing = loader.images, loader.preprocessing
        self.augmentation, self.draws = loader.augmentation, draws

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return the pixels of one picture."""
        picture = self.images.image(index)
        window = self.augmentation.window(self.draws[index], *picture.size)
        return self.preprocessing.pixels(picture, window)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.read(index))
