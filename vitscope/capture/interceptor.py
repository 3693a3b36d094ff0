"""The function mode that sees attention being computed, fused or by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from vitscope.capture.explicit import DotProduct, refuse_dropout
from vitscope.capture.multihead import multi_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

__all__ = ["Interceptor", "Listener"]

_SOFTMAX = frozenset({torch.softmax, torch.Tensor.softmax, F.softmax, torch.special.softmax})
_PRODUCT = frozenset(
    {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm},
)
# What may happen to the weights between the softmax and the product without making other weights of them.
_SAME = frozenset(
    {
        torch.Tensor.to,
        torch.Tensor.type,
        torch.Tensor.type_as,
        torch.Tensor.float,
        torch.Tensor.half,
        torch.Tensor.bfloat16,
        torch.Tensor.contiguous,
    },
)
_DROPOUT = frozenset({F.dropout, torch.dropout})


class Listener(Protocol):
    """What is told of attention."""

    @property
    def active(self) -> bool:
        """Whether the model is running."""

    def heard(self, weights: Tensor) -> None:
        """The running module computed attention with these weights."""

    def unused(self, shape: tuple[int, ...], module: str) -> None:
        """A module made a softmax that never met its values, so that its meaning is not known."""

    @property
    def module(self) -> str:
        """The running module's name."""


@dataclass
class _Candidate:
    """A softmax that may turn out to be attention; `tensors` keeps the ids below from being used again."""

    weights: Tensor
    module: str
    tensors: list[Tensor]
    changed: bool = False


class Interceptor(TorchFunctionMode):
    """Let every call through but attention, which is computed with its weights in sight.

    Args:
        listener: What is told of the weights.
    """

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener
        self._candidates: dict[int, _Candidate] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Pass the call on, or compute attention explicitly."""
        kwargs = kwargs or {}
        if not self._listener.active:
            return func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return self._dot_product(args, kwargs)
        if func is F.multi_head_attention_forward:
            result, weights = multi_head(args, kwargs)
            self._listener.heard(weights)
            return result
        if func in _SOFTMAX:
            return self._softmax(func, args, kwargs)
        if self._candidates and args:
            return self._follow(func, args, kwargs)
        return func(*args, **kwargs)

    def settle(self) -> None:
        """Tell of the softmaxes that never met their values, and forget them: the model has returned."""
        for candidate in {id(found): found for found in self._candidates.values()}.values():
            self._listener.unused(tuple(candidate.weights.shape), candidate.module)
        self.forget()

    def forget(self) -> None:
        """Forget what is not settled: a new forward pass begins, or the block ends."""
        self._candidates.clear()

    def _dot_product(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        output, weights = DotProduct(*args, **kwargs).compute()
        self._listener.heard(weights)
        return output

    def _softmax(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        weights: Tensor = func(*args, **kwargs)
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if weights.ndim >= 3 and dim in (-1, weights.ndim - 1):
            self._candidates[id(weights)] = _Candidate(weights, self._listener.module, [weights])
        return weights

    def _follow(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        candidate = self._candidates.get(id(args[0]))
        result = func(*args, **kwargs)
        if candidate is None:
            return result
        if func in _PRODUCT and not candidate.changed:
            self._candidates = {
                key: other for key, other in self._candidates.items() if other is not candidate
            }
            self._listener.heard(candidate.weights)
        elif func in _DROPOUT:
            refuse_dropout(_dropout_rate(args, kwargs))
            self._alias(candidate, result)
        elif func in _SAME:
            self._alias(candidate, result)
        elif _is_in_place(func):
            candidate.changed = True
        return result

    def _alias(self, candidate: _Candidate, result: Tensor) -> None:
        candidate.tensors.append(result)
        self._candidates[id(result)] = candidate


def _dropout_rate(args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
    training = kwargs.get("training", kwargs.get("train", args[2] if len(args) > 2 else True))
    return float(rate) if training else 0.0


def _is_in_place(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    return name.endswith("_") and not name.endswith("__")
