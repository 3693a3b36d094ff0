"""Decoding many files at once: Pillow's decoders run outside Python's lock, so threads share the work."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vitscope.data.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vitscope.data.preprocessing import Preprocessing

__all__ = ["decode_ahead", "decode_files"]

# A task of several files: handing over a task costs as much as decoding a few small images.
_PER_TASK = 16
_MOST_THREADS = 8
_Item = TypeVar("_Item")


def decode_files(
    paths: Sequence[Path], preprocessing: Preprocessing, *, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.uint8]:
    """Decode files into one array: uint8 `[image, channel, row, column]`, in the order given.

    Args:
        paths: The files.
        preprocessing: What the model sees of them.
        progress: Called with the number done and the number in all.

    Raises:
        ImageError: A file cannot be read; of several, the first in order is named.
    """
    with _workers() as workers:
        batch = _Batch(workers, paths, _shape(preprocessing), _reader(preprocessing))
        try:
            return batch.result(progress)
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise


def decode_ahead(
    batches: Sequence[Sequence[_Item]],
    shape: tuple[int, int, int],
    read: Callable[[_Item], NDArray[np.uint8]],
) -> Iterator[NDArray[np.uint8]]:
    """Yield each batch decoded, while the next one is being decoded in the background.

    Args:
        batches: The items of each batch, such as paths.
        shape: Channels, rows and columns of an item's pixels.
        read: Makes an item's pixels; it is called from several threads.

    Raises:
        ImageError: A file cannot be read; the batches before its own have been yielded.
    """
    workers = _workers()
    try:
        following = _Batch(workers, batches[0], shape, read) if batches else None
        for items in [*batches[1:], None]:
            current = following
            following = None if items is None else _Batch(workers, items, shape, read)
            if current is not None:
                yield current.result()
    finally:
        workers.shutdown(cancel_futures=True)


class _Batch:
    """Items on their way into one array."""

    def __init__(
        self,
        workers: ThreadPoolExecutor,
        items: Sequence[_Item],
        shape: tuple[int, int, int],
        read: Callable[[_Item], NDArray[np.uint8]],
    ) -> None:
        self.array = np.empty((len(items), *shape), dtype=np.uint8)
        starts = range(0, len(items), _PER_TASK)
        self.tasks: list[Future[int]] = [
            workers.submit(_fill, self.array[at : at + _PER_TASK], items[at : at + _PER_TASK], read)
            for at in starts
        ]

    def result(self, progress: Callable[[int, int], None] | None = None) -> NDArray[np.uint8]:
        done = 0
        for task in self.tasks:
            done += task.result()
            if progress is not None:
                progress(done, len(self.array))
        return self.array


def _fill(
    target: NDArray[np.uint8], items: Sequence[_Item], read: Callable[[_Item], NDArray[np.uint8]]
) -> int:
    for place, item in enumerate(items):
        target[place] = read(item)
    return len(items)


def _shape(preprocessing: Preprocessing) -> tuple[int, int, int]:
    return (preprocessing.channels, *preprocessing.size)


def _reader(preprocessing: Preprocessing) -> Callable[[Path], NDArray[np.uint8]]:
    return lambda path: preprocessing.pixels(read_image(path))


def _workers() -> ThreadPoolExecutor:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(
        max_workers=max(2, min(count, _MOST_THREADS)), thread_name_prefix="vitscope-decode"
    )
