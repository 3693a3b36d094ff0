"""Several processes that share one job, as `torchrun` starts them, on one machine or many."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist

from vitscope.errors import EnvironmentFault, UsageError
from vitscope.inference.device import resolve_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["ALONE", "Processes", "announced", "own_device", "processes"]

_T = TypeVar("_T")
_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
# What a process waits for the others: rank 0 may download, decode or write while they do.
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Processes:
    """This process among those that share the job.

    Attributes:
        rank: Its number; 0 is the one that writes and talks.
        world: How many there are.
        local: Its number on this machine, which is that of its GPU.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0

    def rows(self, count: int) -> range:
        """Return this process's part of `count` rows: contiguous, and of equal size up to one."""
        return range(count * self.rank // self.world, count * (self.rank + 1) // self.world)

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process; all of them must ask."""
        return self.each_any(flag)[0]

    def each_any(self, *flags: bool) -> list[bool]:
        """Return of each flag whether it is set in any process, in one exchange; all of them must ask."""
        if self.world == 1:
            return list(flags)
        answers = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(answers, dist.ReduceOp.MAX)
        return [bool(answer) for answer in answers]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, on the CPU; all of them must ask."""
        total = values.detach().cpu().clone()
        if self.world > 1:
            dist.all_reduce(total)
        return total

    def same(self, value: _T) -> _T:
        """Return what the first process gives; all of them must ask."""
        if self.world == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the first process go through the block before the others, as where something is downloaded."""
        if not self.main:
            self._meet()
        yield
        if self.main:
            self._meet()

    def _meet(self) -> None:
        if self.world > 1:
            dist.all_reduce(torch.zeros(1))


ALONE = Processes()


def announced() -> Processes:
    """Return what the environment says about this process; `ALONE` where it says nothing.

    Raises:
        UsageError: It says so in part, or what makes no sense.
    """
    found = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    if "RANK" not in found or "WORLD_SIZE" not in found:
        return ALONE
    try:
        here = Processes(*(int(found.get(name, 0)) for name in _VARIABLES))
    except ValueError:
        here = Processes(-1)
    if not 0 <= here.rank < here.world or here.local < 0:
        raise UsageError(
            "RANK, WORLD_SIZE and LOCAL_RANK make no sense together: "
            + ", ".join(f"{name}={value}" for name, value in found.items()),
            hint="start with torchrun, or unset them",
        )
    return here


def own_device(name: str) -> torch.device:
    """Return the device of this process: each of several on one machine has a GPU of its own.

    Raises:
        UsageError: There is no such kind of device.
        EnvironmentFault: The machine does not have it.
    """
    here, device = announced(), resolve_device(name)
    if here.world == 1 or str(device) != "cuda":
        return device
    device = resolve_device(f"cuda:{here.local}")
    torch.cuda.set_device(device)
    return device


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that the environment announces, and leave them at the end.

    Tensors of a GPU travel by NCCL, those of the CPU by Gloo.

    Raises:
        EnvironmentFault: The others do not come, or one of them has ended.
    """
    here = announced()
    if here.world == 1 or dist.is_initialized():
        yield here
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, rank=here.rank, world_size=here.world, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise EnvironmentFault(
            f"cannot join the other processes: {str(error).splitlines()[0][:160]}",
            hint="start with torchrun, on a port that is free",
        ) from error
    try:
        yield here
    except RuntimeError as error:
        if not _is_of_others(error):
            raise
        raise EnvironmentFault(
            f"another of the {here.world} processes has ended, or does not answer",
            hint="its own last lines may say why",
        ) from error
    finally:
        dist.destroy_process_group()


def _is_of_others(error: RuntimeError) -> bool:
    """Tell whether processes could not exchange something; Gloo has no class of errors of its own."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)
