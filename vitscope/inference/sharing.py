"""Passes over images that several processes share: each predicts its rows, and each has the whole result.

A process writes its rows into a file of its own, and the first one puts the files together, block by block:
no process holds more in memory than one alone would.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.inference.processes import Processes
from vitscope.records.storage import create_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from vitscope.inference.meeting import Meeting

__all__ = ["SharedPass", "share_of", "shared_pass", "sharing"]

_BLOCK = 2**20  # values copied in one go


@dataclass
class _Sharing:
    meeting: Meeting
    scratch: Path | None
    passes: int = 0

    def begin(self, store: Path | None) -> Path:
        """Return the folder of the next pass, which the first process decides."""
        self.passes += 1
        folder = store or (self.scratch / str(self.passes) if self.scratch else None)
        chosen = self.meeting.meet(str(folder) if folder is not None else "")[0]
        if self.scratch is not None:  # what went before has been used by all of them
            shutil.rmtree(self.scratch / str(self.passes - 1), ignore_errors=True)
        return Path(chosen)


_sharing: ContextVar[_Sharing | None] = ContextVar("sharing", default=None)


@contextmanager
def sharing(meeting: Meeting, scratch: Path | None = None) -> Iterator[None]:
    """Share every pass of `predict` inside the block among the processes that meet.

    All of them must make the same passes in the same order. Outside the block each predicts for itself.

    Args:
        meeting: Where they meet.
        scratch: A folder that all of them can reach, for passes that are not to be kept; only the first
            process must give it. It is removed at the end.
    """
    before = _sharing.set(_Sharing(meeting, scratch) if meeting.here.world > 1 else None)
    try:
        yield
    finally:
        _sharing.reset(before)
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def shared_pass(count: int, *, store: Path | None, unit: int, batch_size: int) -> SharedPass | None:
    """Begin a pass over `count` images that all processes share; None where passes are not shared.

    Args:
        count: All images.
        store: The folder to keep the result in; the first process decides.
        unit: Processes take multiples of so many images, so that the batches are those of one process.
        batch_size: Images at a time.
    """
    shared = _sharing.get()
    if shared is None:
        return None
    return SharedPass(shared.meeting, shared.begin(store), count, unit=unit, batch_size=batch_size)


def share_of(here: Processes, count: int, unit: int) -> range:
    """Return the rows of one of several processes: contiguous, from one multiple of `unit` to another."""
    units = here.rows(-(-count // unit))
    return range(min(units.start * unit, count), min(units.stop * unit, count))


class SharedPass:
    """This process's part of one pass.

    Attributes:
        rows: The rows that it predicts; perhaps none.
    """

    def __init__(self, meeting: Meeting, folder: Path, count: int, *, unit: int, batch_size: int) -> None:
        self._meeting, self._folder, self._count, self._unit = meeting, folder, count, unit
        here = meeting.here
        self.rows = share_of(here, count, unit)
        most = max(len(rows) for rows in self._shares())
        self._steps = -(-most // batch_size)  # every process meets as often as the one with the most images

    def _shares(self) -> list[range]:
        world = self._meeting.here.world
        return [share_of(Processes(rank, world), self._count, self._unit) for rank in range(world)]

    def file(self, name: str, rank: int | None = None) -> Path:
        """Return where a process keeps its rows of an array."""
        return self._folder / f"{name}-{self._meeting.here.rank if rank is None else rank:05d}.npy"

    def told(self, progress: Callable[[int], None] | None) -> Callable[[int], None]:
        """Return what is to be called after each batch: all meet, and the images of all are counted."""

        def step(images: int) -> None:
            self._steps -= 1
            done = sum(map(int, self._meeting.meet(str(images))))
            if progress is not None:
                progress(done)

        return step

    def whole(self, step: Callable[[int], None], *, features: bool) -> tuple[Any, Any]:
        """Wait for all processes, and return logits and features of all images, memory-mapped."""
        while self._steps > 0:
            step(0)
        self._meeting.meet()
        main = self._meeting.here.main
        names = ("logits", "features") if features else ("logits",)
        if main:
            for name in names:
                self._put_together(name)
        self._meeting.meet()
        arrays = [np.load(self._folder / f"{name}.npy", mmap_mode="r+" if main else "r") for name in names]
        return arrays[0], arrays[1] if features else None

    def _put_together(self, name: str) -> None:
        parts = [(rows, self.file(name, rank)) for rank, rows in enumerate(self._shares()) if rows]
        first = np.load(parts[0][1], mmap_mode="r")
        width: int = first.shape[1]
        whole = create_array(self._folder / f"{name}.npy", (self._count, width), first.dtype)
        step = max(1, _BLOCK // width)
        for rows, path in parts:
            part: NDArray[np.floating] = np.load(path, mmap_mode="r")
            for start in range(0, len(rows), step):
                block = part[start : start + step]
                whole[rows.start + start : rows.start + start + len(block)] = block
        whole.flush()
        for _, path in parts:
            with suppress(OSError):
                path.unlink()
