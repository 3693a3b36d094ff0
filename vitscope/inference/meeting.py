"""Where several processes that share a job meet, and hear of it when one of them has failed."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from vitscope.errors import EnvironmentFault, VitscopeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vitscope.inference.processes import Processes

__all__ = ["Meeting", "joined"]

# Bytes that a process can say: every meeting is the same one exchange, so that a process that fails anywhere
# can tell of it at the very next one, whatever the others are at. A path has 4096 at most.
_ROOM = 1 << 14
_LONGEST = 600  # letters of an error, of which JSON makes twelve bytes each at most


class Meeting:
    """What several processes do at the same time: say something, and hear all others.

    Args:
        here: This process among those that share the job; their group is open.
    """

    def __init__(self, here: Processes) -> None:
        self.here = here

    def meet(self, said: str = "") -> list[str]:
        """Return what every process says, by rank; all of them must ask.

        Raises:
            VitscopeError: One of them has failed: its error, with its exit code.
            EnvironmentFault: One of them has ended without a word.
        """
        if self.here.world == 1:
            return [said]
        try:
            heard = self._exchange({"said": said})
        except RuntimeError as error:
            raise EnvironmentFault(
                f"another of the {self.here.world} processes has ended",
                hint="its own last lines may say why",
            ) from error
        for rank, answer in enumerate(heard):
            if "error" in answer:
                raise _FailedElsewhere(rank, self.here.world, answer)
        return [str(answer["said"]) for answer in heard]

    def fail(self, error: BaseException) -> bool:
        """Tell the others, at their next meeting, that this process has failed; return whether they hear."""
        if self.here.world == 1:
            return False
        text, hint = _texts(error)
        try:
            self._exchange({"error": text[:_LONGEST], "hint": hint[:_LONGEST], "code": _exit_code(error)})
        except RuntimeError:
            return False  # they have ended
        return True

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the first process go through the block before the others, as where something is downloaded."""
        if not self.here.main:
            self.meet()
        yield
        if self.here.main:
            self.meet()

    def _exchange(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        own = torch.zeros(_ROOM, dtype=torch.uint8)
        text = json.dumps(message).encode()
        own[: len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        heard = [torch.empty_like(own) for _ in range(self.here.world)]
        dist.all_gather(heard, own)
        return [json.loads(each.numpy().tobytes().rstrip(b"\0")) for each in heard]


class _FailedElsewhere(VitscopeError):
    """Another process has failed."""

    def __init__(self, rank: int, world: int, answer: dict[str, Any]) -> None:
        super().__init__(f"process {rank} of {world}: {answer['error']}", hint=answer["hint"])
        self.exit_code = answer["code"]


@contextmanager
def joined(here: Processes) -> Iterator[Meeting]:
    """Let an error in one process stop all: the first one raises it, the others leave with its exit code.

    Raises:
        SystemExit: In all processes but the first, which tells of the error.
    """
    meeting = Meeting(here)
    try:
        yield meeting
    except _FailedElsewhere as error:
        if here.main:
            raise
        raise SystemExit(error.exit_code) from error
    except BaseException as error:
        if meeting.fail(error) and not here.main:
            raise SystemExit(_exit_code(error)) from error
        raise


def _exit_code(error: BaseException) -> int:
    if isinstance(error, VitscopeError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1


def _texts(error: BaseException) -> tuple[str, str]:
    """Return what an error says in one line, and its hint."""
    if isinstance(error, VitscopeError):
        return str(error), error.hint
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted" if isinstance(error, KeyboardInterrupt) else "terminated", ""
    return f"{type(error).__name__}: {error}", "run again with --debug"
