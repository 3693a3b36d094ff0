"""One split of a data set: labelled images, in memory or as files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vitscope.data.decoding import decode_ahead, decode_files
from vitscope.data.images import probe_image, read_image
from vitscope.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from vitscope.data.preprocessing import Preprocessing

__all__ = ["ImageSet"]

_SMALL = 64
_MEMORY = 8 << 30
_SAMPLE = 1000


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The labelled images of one split, in a fixed order.

    Attributes:
        name: The data set's name, or its folder's.
        split: `train`, `validation` or `test`.
        classes: The class names; a label is an index into them.
        labels: `[image]`, int64.
        names: `[image]`, each once: the path below the data folder, or the index in the source.
        array: uint8 `[image, channel, row, column]` with 1 or 3 channels, or None.
        paths: `[image]`, the files; given exactly where `array` is not.

    Raises:
        DataError: The fields do not fit together.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    array: NDArray[np.uint8] | None = None
    paths: tuple[Path, ...] | None = None

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image.Image:
        """Return one picture as it is stored, mode `L` or `RGB`.

        Raises:
            ImageError: Its file cannot be read.
        """
        if self.array is None:
            return read_image(self._files[index])
        values = self.array[index]
        return Image.fromarray(
            values[0] if len(values) == 1 else np.ascontiguousarray(values.transpose(1, 2, 0))
        )

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> ImageSet:
        """Return the chosen images, in the order given."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            labels=self.labels[chosen],
            names=tuple(self.names[index] for index in chosen),
            array=None if self.array is None else self.array[chosen],
            paths=None if self.paths is None else tuple(self.paths[index] for index in chosen),
        )

    def pixels(
        self, preprocessing: Preprocessing, indices: Sequence[int] | NDArray[np.int64] | None = None
    ) -> Tensor:
        """Return what a model sees: uint8 `[image, channel, row, column]`; all images, or the chosen ones.

        Raises:
            ImageError: A file cannot be read; the first of them is named.
        """
        chosen = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=np.int64)
        return _tensor(self._decoded(preprocessing, chosen))

    def batches(self, preprocessing: Preprocessing, batch_size: int) -> Iterator[Tensor]:
        """Yield uint8 batches in order; files of the next batch are decoded while this one is used.

        Raises:
            ImageError: A file cannot be read.
            DataError: The batch size is below 1.
        """
        if batch_size < 1:
            raise DataError(f"expected a batch size of at least 1, got {batch_size}")
        chunks = [
            np.arange(start, min(start + batch_size, len(self))) for start in range(0, len(self), batch_size)
        ]
        if self.array is not None:
            yield from (self.pixels(preprocessing, chunk) for chunk in chunks)
            return
        shape = (preprocessing.channels, *preprocessing.size)
        lists = [chunk.tolist() for chunk in chunks]
        arrays = decode_ahead(lists, shape, lambda index: preprocessing.pixels(self.image(index)))
        yield from map(_tensor, arrays)

    def in_memory(
        self, preprocessing: Preprocessing, *, progress: Callable[[int, int], None] | None = None
    ) -> ImageSet:
        """Decode every image once, at the model's size, so that epochs need no files.

        For inputs of at most 64 × 64 and 8 GiB in all; larger sets are returned as they are, still on disk.
        So are those of a model that cuts its input from a resized picture: done twice it is not done once.
        The pictures of the result are what the model sees: ask this set, not that one, for the originals.

        Args:
            preprocessing: What the model sees.
            progress: Called with the number done and the number in all, some times a second.

        Raises:
            ImageError: A file cannot be read.
        """
        rows, columns = preprocessing.size
        shape = (preprocessing.channels, rows, columns)
        if max(rows, columns) > _SMALL or len(self) * int(np.prod(shape)) > _MEMORY:
            return self
        if not preprocessing.leaves(shape) or (self.array is not None and self.array.shape[1:] == shape):
            return self
        array = self._decoded(preprocessing, np.arange(len(self)), progress)
        return replace(self, array=array, paths=None)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the JSON list [classes, names, labels], ASCII, without spaces."""
        content = [list(self.classes), list(self.names), self.labels.tolist()]
        text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def common_size(self) -> tuple[int, int] | None:
        """Return rows and columns if all images share them, else None; of many files, a seeded 1000 count.

        Raises:
            ImageError: A file's header cannot be read.
        """
        if self.array is not None:
            return self.array.shape[2], self.array.shape[3]
        sizes = {(rows, columns) for rows, columns, _ in self._headers}
        return sizes.pop() if len(sizes) == 1 else None

    def channels(self) -> int:
        """Return 1 if all images are stored as grey, else 3; of many files, a seeded 1000 are asked.

        Raises:
            ImageError: A file's header cannot be read.
        """
        if self.array is not None:
            return int(self.array.shape[1])
        return 1 if all(grey for _, _, grey in self._headers) else 3

    @property
    def _files(self) -> tuple[Path, ...]:
        assert self.paths is not None, "callers ask only where there is no array"  # noqa: S101
        return self.paths

    @cached_property
    def _headers(self) -> list[tuple[int, int, bool]]:
        count = min(len(self), _SAMPLE)
        sample = np.random.default_rng(0).choice(len(self), count, replace=False)
        return [probe_image(self._files[index]) for index in np.sort(sample)]

    def _decoded(
        self,
        preprocessing: Preprocessing,
        chosen: NDArray[np.int64],
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.uint8]:
        if self.array is None:
            return decode_files([self._files[index] for index in chosen], preprocessing, progress=progress)
        shape = (preprocessing.channels, *preprocessing.size)
        if preprocessing.leaves(self.array.shape[1:]):
            return self.array[chosen]
        result = np.empty((len(chosen), *shape), dtype=np.uint8)
        for place, index in enumerate(chosen):
            result[place] = preprocessing.pixels(self.image(int(index)))
        return result


def _tensor(array: NDArray[np.uint8]) -> Tensor:
    import torch

    return torch.from_numpy(array)


def _check(images: ImageSet) -> None:
    count = len(images.labels)
    if (images.array is None) == (images.paths is None):
        raise DataError(
            "expected either an array or paths, got " + ("neither" if images.array is None else "both")
        )
    held = images.array if images.array is not None else images.paths
    if held is not None and len(held) != count:
        raise DataError(f"expected {count} images, one a label, got {len(held)}")
    if len(images.names) != count:
        raise DataError(f"expected {count} image names, one a label, got {len(images.names)}")
    array = images.array
    if array is not None and (array.ndim != 4 or array.shape[1] not in (1, 3) or array.dtype != np.uint8):
        raise DataError(f"expected uint8 [image, 1 or 3, row, column], got {array.dtype} {list(array.shape)}")
    if images.labels.dtype != np.int64 or images.labels.ndim != 1:
        raise DataError(
            f"expected int64 labels [image], got {images.labels.dtype} {list(images.labels.shape)}"
        )
    if count and (int(images.labels.min()) < 0 or int(images.labels.max()) >= len(images.classes)):
        low, high = int(images.labels.min()), int(images.labels.max())
        raise DataError(f"expected labels in 0 … {len(images.classes) - 1}, got {low} … {high}")
