"""Attention from any model that runs, without touching its code.

The package can be called: `vitscope.capture(model)` is `vitscope.capture.tape.capture(model)`. Python sets
`vitscope.capture` to this package when anything below it is imported, so a function could not keep the name.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import nn

    from vitscope.capture.tape import Tape


class _Capture(ModuleType):
    """The package as a function; the work and the documentation are in `vitscope.capture.tape`."""

    def __call__(self, model: nn.Module, **options: Any) -> AbstractContextManager[Tape]:  # noqa: ANN401 - capture's own
        """Record the attention of every call of `model` in the block: see `vitscope.capture.tape.capture`."""
        from vitscope.capture.tape import capture

        return capture(model, **options)


sys.modules[__name__].__class__ = _Capture
