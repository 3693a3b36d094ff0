"""Muon for the matrices inside a network and AdamW for the rest, as one optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vitscope.models.head import head_of
from vitscope.trainers.moments import restore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

__all__ = ["MuonWithAdamW", "hidden_weights"]


class MuonWithAdamW:
    """Two optimizers of torch that step together.

    Muon knows matrices only: a filter `[output, input, row, column]` is handed to it as the matrix
    `[output, input · row · column]`, as its author does for convolutions, and given back after the step.
    A filter that is left to AdamW would leave a convolution network almost nothing for Muon to do.

    *Source*: Jordan et al. 2024, kellerjordan.github.io/posts/muon; `torch.optim.Muon`, with its scaling of
    the step by √max(1, outputs/inputs).
    *Differs*: weights are decayed as AdamW's are, where `airbench94_muon.py` sets their norm at each step.

    Args:
        matrices: The parameter groups of Muon.
        rest: The parameter groups of AdamW.
        muon: Arguments of `torch.optim.Muon`.
        adamw: Arguments of `torch.optim.AdamW`.
    """

    def __init__(
        self,
        matrices: Iterable[dict[str, Any]],
        rest: Iterable[dict[str, Any]],
        *,
        muon: dict[str, Any],
        adamw: dict[str, Any],
    ) -> None:
        self._filters: list[tuple[nn.Parameter, nn.Parameter]] = []
        groups = [group | {"params": [self._matrix(each) for each in group["params"]]} for group in matrices]
        self.muon = torch.optim.Muon(groups, **muon)
        self.adamw = torch.optim.AdamW(list(rest), **adamw)

    def _matrix(self, weight: nn.Parameter) -> nn.Parameter:
        if weight.ndim == 2:
            return weight
        matrix = nn.Parameter(weight.detach().flatten(1).clone())
        self._filters.append((weight, matrix))
        return matrix

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both; to change one changes it in its optimizer."""
        return [*self.muon.param_groups, *self.adamw.param_groups]

    @torch.no_grad()
    def step(self) -> None:
        """Make one step of both."""
        for weight, matrix in self._filters:
            matrix.copy_(weight.flatten(1))
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        self.muon.step()  # type: ignore[no-untyped-call]
        self.adamw.step()
        for weight, matrix in self._filters:
            weight.copy_(matrix.view_as(weight))
            matrix.grad = None

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of both."""
        for weight, _ in self._filters:
            weight.grad = _forgotten(weight.grad, set_to_none=set_to_none)
        self.muon.zero_grad(set_to_none)
        self.adamw.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both, which `load_state_dict` takes."""
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        restore(self.muon, state["muon"])
        restore(self.adamw, state["adamw"])


def hidden_weights(network: nn.Module) -> list[nn.Parameter]:
    """Return the matrices and filters between the first layer and the head, which Muon is meant for.

    Embeddings, norms and biases are none, nor are a matrix of one row and what is frozen.
    """
    heads = set(head_of(network))
    layers = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    weights = [module.weight for name, module in layers[1:] if name not in heads]
    return [
        weight
        for weight in weights
        if isinstance(weight, nn.Parameter) and weight.requires_grad and len(weight) > 1
    ]


def _forgotten(gradient: Tensor | None, *, set_to_none: bool) -> Tensor | None:
    return None if set_to_none or gradient is None else gradient.detach().zero_()
