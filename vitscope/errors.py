"""What can go wrong, each kind with the exit code of the command line.

VitscopeError                1   a bug, or what no other kind says
├── UsageError               2   the request itself makes no sense
├── InputError               3   what was given cannot be used
│   ├── CheckpointError          not a checkpoint, damaged, or not what it claims
│   ├── DataError                a data set or a split
│   ├── ImageError               one image file
│   └── CaptureError             a model without the attention that was asked for
├── EnvironmentFault         4   no GPU, no space, no network, no permission
├── OutputError              5   the output exists or is in use
├── NotFiniteError           6   NaN or infinity where a number must be
└── Interrupted        130 143   stopped by Ctrl-C or by SIGTERM
"""

from __future__ import annotations

__all__ = [
    "CaptureError",
    "CheckpointError",
    "DataError",
    "EnvironmentFault",
    "ImageError",
    "InputError",
    "Interrupted",
    "NotFiniteError",
    "OutputError",
    "UsageError",
    "VitscopeError",
]


class VitscopeError(Exception):
    """An error that vitscope explains in one line, with a hint of what to do.

    Args:
        message: What was expected and what came, in one line.
        hint: What to do about it; empty where there is nothing to say.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(VitscopeError):
    """The request itself makes no sense."""

    exit_code = 2


class InputError(VitscopeError):
    """What was given cannot be used."""

    exit_code = 3


class CheckpointError(InputError):
    """A file is not a checkpoint, is damaged, or is not what it claims to be."""


class DataError(InputError):
    """A data set or one of its splits cannot be used."""


class ImageError(InputError):
    """An image file cannot be read."""


class CaptureError(InputError):
    """A model does not have the attention that was asked for."""


class EnvironmentFault(VitscopeError):
    """The machine lacks something: a GPU, space, the network, a permission."""

    exit_code = 4


class OutputError(VitscopeError):
    """The output exists already or another process is writing it."""

    exit_code = 5


class NotFiniteError(VitscopeError):
    """A number that must be finite is NaN or infinite."""

    exit_code = 6


class Interrupted(VitscopeError):
    """Work was stopped by a signal after everything was saved.

    Args:
        message: What was stopped and what was kept.
        hint: How to go on.
        exit_code: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, message: str, *, hint: str = "", exit_code: int = 130) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
