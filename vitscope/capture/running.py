"""Which module of a model is running, learned from hooks that are gone after the block."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

__all__ = ["Running", "Watcher"]


class Watcher(Protocol):
    """What wants to know when the model starts and ends, and what it runs."""

    def started(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The model was called with these arguments."""

    def entered(self, name: str) -> None:
        """A module of the model was called."""

    def ended(self, output: object) -> None:
        """The model returned this."""


class Running:
    """The stack of the modules that are running in the thread that made this.

    Args:
        model: The model to follow.
        watcher: What is told.
    """

    def __init__(self, model: nn.Module, watcher: Watcher) -> None:
        self._model = model
        self._watcher = watcher
        self._thread = threading.get_ident()
        self._stack: list[str] = []

    @property
    def module(self) -> str:
        """The innermost running module's name; empty for the model itself."""
        return self._stack[-1] if self._stack else ""

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Follow the model inside the block."""
        handles = [self._model.register_forward_pre_hook(self._start, with_kwargs=True, prepend=True)]
        try:
            for name, module in self._model.named_modules():
                if module is not self._model and not _is_plain(module):
                    handles.append(module.register_forward_pre_hook(partial(self._enter, name)))
                    handles.append(module.register_forward_hook(partial(self._leave, name), always_call=True))
            handles.append(self._model.register_forward_hook(self._end))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _elsewhere(self) -> bool:
        # Another thread may run the same model, with a capture of its own.
        return threading.get_ident() != self._thread

    def _start(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ARG002
        if not self._elsewhere():
            self._stack.clear()
            self._watcher.started(args, kwargs)

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: object) -> None:  # noqa: ARG002
        if not self._elsewhere():
            self._watcher.ended(output)

    def _enter(self, name: str, module: nn.Module, args: tuple[Any, ...]) -> None:  # noqa: ARG002
        if not self._elsewhere():
            self._stack.append(name)
            self._watcher.entered(name)

    def _leave(self, name: str, module: nn.Module, args: tuple[Any, ...], output: object) -> None:  # noqa: ARG002
        if not self._elsewhere() and self._stack and self._stack[-1] == name:
            self._stack.pop()


def _is_plain(module: nn.Module) -> bool:
    """Whether this is a layer of torch with nothing inside, such as `Linear`: it computes no attention."""
    return type(module).__module__.startswith("torch.nn.modules.") and next(module.children(), None) is None
