"""Faults: the k-th call of the operating system fails, as a full or broken disk would."""

from __future__ import annotations

import builtins
import errno
import io
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable


class failing_calls:  # noqa: N801 - used as `with failing_calls(3):`
    """Count opening for writing, writes, fsync, replace, rename and mkdir; call number `fatal` raises ENOSPC.

    Attributes:
        count: How many calls there were.
        passed: The names of those that came through.
        failed: The name of the one that did not.
    """

    def __init__(self, fatal: int | None, *, code: int = errno.ENOSPC) -> None:
        self.fatal, self.code = fatal, code
        self.count = 0
        self.passed: list[str] = []
        self.failed = ""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for module, name in ((os, "fsync"), (os, "replace"), (os, "rename"), (os, "mkdir"), (os, "open")):
            wrapped = self._watched(name, getattr(module, name))
            self._stack.enter_context(mock.patch.object(module, name, wrapped))
        opened = self._opened(io.open)
        self._stack.enter_context(mock.patch.object(io, "open", opened))
        self._stack.enter_context(mock.patch.object(builtins, "open", opened))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _meet(self, name: str) -> None:
        self.count += 1
        if self.count - 1 == self.fatal:
            self.failed = name
            raise OSError(self.code, os.strerror(self.code))
        self.passed.append(name)

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            self._meet(name)
            return call(*arguments, **options)

        return watched

    def _opened(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if not set(mode) & set("wax+"):
                return call(file, mode, *arguments, **options)
            self._meet("open")
            stream = call(file, mode, *arguments, **options)
            return _Stream(stream, self) if "b" in mode else stream

        return opened


class _Stream:
    """A binary stream whose writes are counted."""

    def __init__(self, stream: Any, faults: failing_calls) -> None:
        self._stream, self._faults = stream, faults

    def write(self, data: Any) -> int:
        self._faults._meet("write")
        return int(self._stream.write(data))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
