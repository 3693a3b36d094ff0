"""Which module of a model is running: read off the calls in progress, with few hooks."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Running", "Watcher"]


class Watcher(Protocol):
    """What wants to know when the model starts and ends, and that some modules run."""

    def started(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The model was called with these arguments."""

    def entered(self, name: str) -> None:
        """A module that is followed was called."""

    def ended(self, output: object) -> None:
        """The model returned this."""


class Running:
    """The modules that are running in the thread that made this.

    Args:
        modules: The modules of the model to follow, as `dict(model.named_modules())`.
        watcher: What is told.
    """

    def __init__(self, modules: Mapping[str, nn.Module], watcher: Watcher) -> None:
        self._modules = modules
        self._names = {id(module): name for name, module in modules.items()}
        self._watcher = watcher
        self._thread = threading.get_ident()

    @property
    def module(self) -> str:
        """The innermost running module's name; empty for the model itself.

        Layers of torch with nothing inside count as a part of the module that calls them.
        """
        return self.call()[0]

    def call(self) -> tuple[str, tuple[Any, ...]]:
        """Return the innermost running module's name and what it was called with."""
        # A hook on each module would tell as well, at several times the cost of a small model's pass.
        call = nn.Module._call_impl.__code__
        frame = sys._getframe()
        while (above := frame.f_back) is not None:
            frame = above
            if frame.f_code is call:
                module = frame.f_locals["self"]
                name = self._names.get(id(module))
                if name is not None and not _is_plain(module):
                    return name, (*frame.f_locals["args"], *frame.f_locals["kwargs"].values())
        return "", ()

    @contextmanager
    def hooked(self, followed: Iterable[str]) -> Iterator[None]:
        """Notice the model's calls, and those of the modules with these names, inside the block."""
        model = self._modules[""]
        handles = [model.register_forward_pre_hook(self._start, with_kwargs=True, prepend=True)]
        try:
            for name in followed:
                module = self._modules[name]
                handles.append(module.register_forward_pre_hook(partial(self._enter, name)))
            handles.append(model.register_forward_hook(self._end))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _elsewhere(self) -> bool:
        # Another thread may run the same model, with a capture of its own.
        return threading.get_ident() != self._thread

    def _start(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ARG002
        if not self._elsewhere():
            self._watcher.started(args, kwargs)

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: object) -> None:  # noqa: ARG002
        if not self._elsewhere():
            self._watcher.ended(output)

    def _enter(self, name: str, module: nn.Module, args: tuple[Any, ...]) -> None:  # noqa: ARG002
        if not self._elsewhere():
            self._watcher.entered(name)


def _is_plain(module: nn.Module) -> bool:
    """Whether this is a layer of torch with nothing inside, such as `Linear`: it computes no attention."""
    return type(module).__module__.startswith("torch.nn.modules.") and next(module.children(), None) is None
