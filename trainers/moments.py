"""An optimizer's state from a checkpoint, laid out in memory as the weights are."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["restore"]


def restore(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load what `state_dict` returned, each moment with the strides of its weight.

    Checkpoints hold contiguous tensors; fused optimizers walk through weights and moments as they lie in
    memory, and would pair them wrongly where channels come last in the one and not in the other.
    """
    optimizer.load_state_dict(state)
    for weight, moments in optimizer.state.items():
        for name, moment in moments.items():
            if (
                torch.is_tensor(moment)
                and moment.shape == weight.shape
                and moment.stride() != weight.stride()
            ):
                moments[name] = torch.empty_like(weight, dtype=moment.dtype).copy_(moment)
