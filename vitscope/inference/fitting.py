"""Fitting weights into a network: all of them, or a line that says why not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.checkpoint.files import load_state
from vitscope.checkpoint.state import explain_mismatch, strip_prefixes
from vitscope.checkpoint.tensorfile import read_tensors
from vitscope.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor, nn

__all__ = ["fit_weights", "head_size", "read_weights"]

_COUNTER = "num_batches_tracked"


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Read a weights file of either kind: `.safetensors`, else a state dict of `torch.save`.

    Raises:
        CheckpointError: It is neither, or damaged.
        NotFiniteError: A weight is NaN or infinite.
    """
    path = Path(path)
    state = read_tensors(path).state if path.suffix.lower() == ".safetensors" else load_state(path)
    return strip_prefixes(state)


def fit_weights(network: nn.Module, state: Mapping[str, Tensor], *, name: str, assign: bool = False) -> None:
    """Give a network every one of its weights, in the precision of the architecture.

    The counters of batch norm, which nothing reads in evaluation, may be missing: files from before
    torch 0.4.1 have none.

    Args:
        network: It is changed in place.
        state: Weights by name; the prefixes of wrappers are stripped.
        name: The architecture, for the message.
        assign: Take the tensors themselves, as a network without memory needs it.

    Raises:
        CheckpointError: A weight is missing, is not the model's, or has another shape.
    """
    fresh = network.state_dict()
    given = strip_prefixes(state)
    counters = {key: value for key, value in fresh.items() if key.endswith(_COUNTER) and not value.is_meta}
    given = {key: value for key, value in counters.items() if key not in given} | given
    mismatch = explain_mismatch({key: tuple(tensor.shape) for key, tensor in fresh.items()}, given)
    if mismatch:
        raise CheckpointError(f"its weights do not fit {name}: {mismatch}")
    # Weights kept in half precision are used in the precision of the architecture.
    fitting = {key: tensor.to(fresh[key].dtype) for key, tensor in given.items()}
    network.load_state_dict(fitting, strict=True, assign=assign)


def head_size(state: Mapping[str, Tensor], layers: Iterable[str]) -> int | None:
    """Return how many classes the weights have, by the first of some layers that they know; else None."""
    for layer in layers:
        weight = state.get(f"{layer}.weight")
        if weight is not None and weight.ndim >= 2:
            return int(weight.shape[0])
    return None
