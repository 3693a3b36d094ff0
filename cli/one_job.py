"""A command that several processes run together, as `torchrun` starts them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vitscope.inference.meeting import Meeting

__all__ = ["one_job"]


@contextmanager
def one_job() -> Iterator[Meeting | None]:
    """Join the processes that the environment announces; None where there are no others, without torch.

    An error in one of them stops all: the first tells of it, and all leave with its exit code.

    Raises:
        UsageError: The environment makes no sense.
        EnvironmentFault: The others do not come.
    """
    if "RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
        yield None
        return
    import torch

    from vitscope.inference.meeting import joined
    from vitscope.inference.processes import processes

    # What travels between the processes is in the CPU's memory, whatever device each computes on.
    with processes(torch.device("cpu")) as here, joined(here) as meeting:
        yield meeting
