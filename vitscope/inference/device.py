"""The device that a model runs on."""

from __future__ import annotations

import torch

from vitscope.errors import EnvironmentFault, UsageError

__all__ = ["is_out_of_memory", "resolve_device"]

# What the allocator for the CPU says; it has no exception of its own.
_ALLOCATOR = ("can't allocate memory", "not enough memory")


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; `auto` takes a GPU where there is one.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`…

    Raises:
        UsageError: There is no such kind of device.
        EnvironmentFault: The device is not on this machine.
    """
    if name == "auto":
        return torch.device(_accelerator() or "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}", hint="use auto, cpu, cuda, cuda:1 or mps") from error
    available = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if device.type not in available:
        raise UsageError(f"unknown device {name!r}", hint="use auto, cpu, cuda, cuda:1 or mps")
    if (device.index or 0) >= available[device.type]:
        raise EnvironmentFault(f"this machine has no device {name}", hint="use --device auto or --device cpu")
    return device


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether `error` says that there was no memory, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ALLOCATOR)


def _accelerator() -> str | None:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None
