"""Ctrl-C and SIGTERM, noted in place of being obeyed at once."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["first_signal"]


@contextmanager
def first_signal(*, repeated: float = 0.0) -> Iterator[list[int]]:
    """Note the first Ctrl-C or SIGTERM instead of obeying it; the second acts as it always did.

    Args:
        repeated: So many seconds long after the first, others are the same one again: a terminal tells all
            processes of Ctrl-C, and `torchrun` tells its own once more.
    """
    caught: list[int] = []
    until = 0.0
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread is told of signals
        return
    # A handler that is None was set outside Python, and could not be put back.
    now = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    kept = {number: handler for number, handler in now.items() if handler is not None}

    def put_back() -> None:
        for number, handler in kept.items():
            signal.signal(number, handler)

    def note(number: int, _: object) -> None:
        nonlocal until
        if not caught:
            caught.append(number)
            until = time.monotonic() + repeated
        elif time.monotonic() >= until:
            put_back()
            signal.raise_signal(number)

    for number in kept:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        put_back()
