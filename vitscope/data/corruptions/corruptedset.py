"""A data set whose pictures are corrupted as they are read."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vitscope.data.corruptions.generator import corrupt, corrupt_batch
from vitscope.data.corruptions.kinds import GENERATOR, check_corruption
from vitscope.data.imageset import ImageSet
from vitscope.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray
    from torch import Tensor

    from vitscope.data.preprocessing import Preprocessing

__all__ = ["CorruptedSet", "corrupted"]

# As many pictures as stay in a processor's cache; also what a thread takes at a time.
_PER_TASK = 64
_MOST_THREADS = 8


@dataclass(frozen=True, eq=False)
class CorruptedSet(ImageSet):
    """The pictures of another set, corrupted whenever they are asked for; nothing is kept.

    A picture is corrupted where it has the fewest pixels: at its own size, and then enlarged, where the
    model's input is larger, and else at the model's size, after preprocessing. So CIFAR's pictures are
    corrupted with 32 pixels a side for any model, and photographs after cropping, as ImageNet-C's were.

    Attributes:
        kind: The kind of corruption.
        severity: 1 … 5.
        seed: The seed of all random draws.
        positions: `[image]`, each picture's number in the clean set, on which its draws depend.
    """

    kind: str = ""
    severity: int = 0
    seed: int = 0
    positions: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_corruption(self.kind, self.severity)
        if self.positions.shape != self.labels.shape:
            raise DataError(f"expected {len(self)} positions, one an image, got {list(self.positions.shape)}")

    def image(self, index: int) -> Image.Image:
        """Return one picture, corrupted at its own size.

        Raises:
            ImageError: Its file cannot be read.
        """
        clean = np.asarray(super().image(index))
        return Image.fromarray(
            corrupt(clean, self.kind, self.severity, seed=self.seed, index=int(self.positions[index]))
        )

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> CorruptedSet:
        """Return the chosen images, in the order given, each corrupted as it is here."""
        chosen = np.asarray(indices, dtype=np.int64)
        # Every array of this class goes through the same choice; the base class knows its own alone.
        taken = self._clean().take(chosen)
        return replace(
            self, labels=taken.labels, names=taken.names, array=taken.array, paths=taken.paths,
            positions=self.positions[chosen],
        )  # fmt: skip

    def batches(self, preprocessing: Preprocessing, batch_size: int) -> Iterator[Tensor]:
        """Yield uint8 batches in order; the next batch is read and corrupted while this one is used.

        Raises:
            ImageError: A file cannot be read.
            DataError: The batch size is below 1.
        """
        import torch

        if batch_size < 1:
            raise DataError(f"expected a batch size of at least 1, got {batch_size}")
        workers = ThreadPoolExecutor(_threads(), thread_name_prefix="vitscope-corrupt")
        try:
            waiting: list[Future[NDArray[np.uint8]]] | None = None
            for start in [*range(0, len(self), batch_size), None]:
                current = waiting
                if start is not None:
                    stop = min(start + batch_size, len(self))
                    waiting = [
                        workers.submit(self._decoded, preprocessing, np.arange(at, min(at + _PER_TASK, stop)))
                        for at in range(start, stop, _PER_TASK)
                    ]
                if current is not None:
                    yield torch.from_numpy(np.concatenate([task.result() for task in current]))
        finally:
            workers.shutdown(cancel_futures=True)

    def in_memory(
        self,
        preprocessing: Preprocessing,  # noqa: ARG002
        *,
        progress: Callable[[int, int], None] | None = None,  # noqa: ARG002
    ) -> CorruptedSet:
        """Return the set as it is: keep the clean set in memory instead, and corrupt that."""
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the clean set's digest, the generator, the seed, and each picture's number."""
        parts = f"{self._clean().digest}/{GENERATOR}/{self.kind}/{self.severity}/{self.seed}/"
        numbers = self.positions.astype("<i8").tobytes()
        return hashlib.sha256(parts.encode() + numbers).hexdigest()

    def _clean(self) -> ImageSet:
        return ImageSet(**{item.name: getattr(self, item.name) for item in fields(ImageSet)})

    def _decoded(
        self,
        preprocessing: Preprocessing,
        chosen: NDArray[np.int64],
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.uint8]:
        if self.array is not None and _is_smaller(self.array.shape[2:], preprocessing):
            return self._corrupted_first(self.array[chosen], preprocessing, chosen)
        result = np.empty((len(chosen), preprocessing.channels, *preprocessing.size), dtype=np.uint8)
        late = []  # the pictures that are corrupted at the model's size, all of one size, so together
        for place, index in enumerate(chosen.tolist()):
            picture = super().image(index)
            if _is_smaller(picture.size[::-1], preprocessing):
                alone = np.asarray(picture)
                alone = alone[None] if alone.ndim == 2 else alone.transpose(2, 0, 1)
                result[place] = self._corrupted_first(alone[None], preprocessing, chosen[place : place + 1])[
                    0
                ]
            else:
                result[place] = preprocessing.pixels(picture)
                late.append(place)
            if progress is not None:
                progress(place + 1, len(chosen))
        if late:
            result[late] = self._changed(result[late], chosen[late])
        return result

    def _changed(self, pixels: NDArray[np.uint8], chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Corrupt in parts that stay in a processor's cache."""
        positions = self.positions[chosen]
        parts = [slice(start, start + _PER_TASK) for start in range(0, len(pixels), _PER_TASK)]
        changed = [
            corrupt_batch(pixels[part], self.kind, self.severity, seed=self.seed, indices=positions[part])
            for part in parts
        ]
        return np.concatenate(changed) if changed else pixels

    def _corrupted_first(
        self, pixels: NDArray[np.uint8], preprocessing: Preprocessing, chosen: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        changed = self._changed(pixels, chosen)
        if preprocessing.leaves(changed.shape[1:]):
            return changed
        result = np.empty((len(changed), preprocessing.channels, *preprocessing.size), dtype=np.uint8)
        for target, values in zip(result, changed.transpose(0, 2, 3, 1), strict=True):
            picture = values[..., 0] if values.shape[2] == 1 else np.ascontiguousarray(values)
            target[:] = preprocessing.pixels(Image.fromarray(picture))
        return result


def corrupted(images: ImageSet, kind: str, severity: int, *, seed: int = 0) -> CorruptedSet:
    """Return the set with every picture corrupted, each by its own draws, on the fly.

    Args:
        images: The clean pictures.
        kind: A name of `CORRUPTIONS`.
        severity: 1 … 5.
        seed: The seed of all random draws.

    Raises:
        UsageError: There is no such kind or severity.
        DataError: The pictures are corrupted already.
    """
    if isinstance(images, CorruptedSet):
        raise DataError(f"the pictures of {images.name} are corrupted already")
    own = {item.name: getattr(images, item.name) for item in fields(ImageSet)}
    own["name"] = f"{images.name} with {kind} {severity} ({GENERATOR}, seed {seed})"
    return CorruptedSet(**own, kind=kind, severity=severity, seed=seed, positions=np.arange(len(images)))


def _is_smaller(size: tuple[int, ...], preprocessing: Preprocessing) -> bool:
    """Return whether a picture of so many rows and columns has no more pixels than the model's input has."""
    left, top, right, bottom = preprocessing.region(size[1], size[0])
    return (right - left) * (bottom - top) <= preprocessing.size[0] * preprocessing.size[1]


def _threads() -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _MOST_THREADS))
