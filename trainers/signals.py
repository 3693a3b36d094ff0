"""Ctrl-C and SIGTERM, noted in place of being obeyed at once."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["first_signal"]


@contextmanager
def first_signal() -> Iterator[list[int]]:
    """Note the first Ctrl-C or SIGTERM instead of obeying it; the second acts as it always did."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread is told of signals
        return
    # A handler that is None was set outside Python, and could not be put back.
    now = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    kept = {number: handler for number, handler in now.items() if handler is not None}

    def note(number: int, _: object) -> None:
        caught.append(number)
        for each, handler in kept.items():
            signal.signal(each, handler)

    for number in kept:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
