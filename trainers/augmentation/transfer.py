"""Moving what was drawn on the CPU to the images' device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["moved"]


def moved(values: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return a CPU tensor on the device, without waiting for what the device is doing."""
    values = values.to(dtype)
    if device.type == "cuda":
        # From memory that can be paged out, a copy may wait until all work before it is done.
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
