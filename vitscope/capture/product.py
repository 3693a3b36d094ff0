"""Products that weights and values may meet in, and which of their factors are the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from vitscope.capture.lineage import Root

__all__ = ["PRODUCTS", "Factor", "find_factors", "is_stochastic", "makes_scores", "shown", "with_factor"]

_MATRICES = frozenset(
    {
        torch.matmul,
        torch.Tensor.matmul,
        torch.Tensor.__matmul__,
        torch.linalg.matmul,
        torch.bmm,
        torch.Tensor.bmm,
    },
)
# What may make scores, or bring weights and values together.
PRODUCTS = _MATRICES | {torch.einsum, torch.baddbmm, torch.Tensor.baddbmm}


@dataclass(frozen=True)
class Factor:
    """A factor of a product that may be the weights.

    Attributes:
        tensor: The factor.
        place: Its place among the call's operands.
        turned: Whether its rows are keys: it stands behind the values.
        values: The other factor.
    """

    tensor: Tensor
    place: int
    turned: bool
    values: Tensor

    @property
    def axis(self) -> int:
        """The axis of the keys, which is summed over."""
        return self.tensor.ndim - (2 if self.turned else 1)


def find_factors(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Factor]:
    """Return the factors of a product over batches of matrices, each as the weights that it may be."""
    if kwargs:
        return []
    if func in _MATRICES and len(args) == 2:
        left, right = args
        if not (isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor)):
            return []
        pair = [Factor(left, 0, turned=False, values=right), Factor(right, 1, turned=True, values=left)]
        # One row an image, as of classes or experts, moves nothing between tokens.
        return [each for each in pair if each.tensor.ndim > 2 or len(set(each.tensor.shape)) == 1]
    if func is torch.einsum and isinstance(args[0], str):
        given = list(args[1]) if len(args) == 2 and isinstance(args[1], tuple | list) else list(args[1:])
        return _einsum_factors(args[0], given) if len(given) == 2 else []
    return []


def makes_scores(result: object) -> bool:
    """Whether a product is a batch of square matrices, which may be scores of attention."""
    return isinstance(result, torch.Tensor) and result.ndim > 2 and result.shape[-1] == result.shape[-2] > 1


def is_stochastic(weights: Tensor, *, axis: int) -> bool:
    """Whether nothing is negative and everything sums to 1 along an axis, or to 0 where all is masked."""
    with torch.no_grad():
        wide = weights.float()
        sums = wide.sum(dim=axis)
        near = 0.02 if weights.dtype in (torch.float16, torch.bfloat16) else 1e-3
        right = ((sums - 1).abs() <= near) | (sums == 0)
        return bool((wide >= -1e-6).all() & right.all() & (sums > 0).any())


def shown(factor: Factor, root: Root | None) -> tuple[Tensor, Tensor]:
    """Return the weights `[image, …, query, key]` to record, and the factor to go on with, made from them.

    The record lies on the way to the product, float32 or wider, so that gradients reach it.

    Args:
        factor: The weights as they meet the values.
        root: The softmax that they are, cast at most; None where they were made into something else.
    """
    own = factor.tensor if root is None or root.weights is None else root.weights
    kept = own.to(torch.promote_types(own.dtype, torch.float32))
    if factor.turned:
        kept = kept.transpose(-2, -1)
    if kept.ndim == 3:
        kept = kept.unsqueeze(1)
    if kept is own:
        return kept, factor.tensor
    used = kept.squeeze(1) if factor.tensor.ndim == 3 else kept
    if factor.turned:
        used = used.transpose(-2, -1)
    return kept, used.to(factor.tensor.dtype)


def with_factor(args: tuple[Any, ...], place: int, used: Tensor) -> tuple[Any, ...]:
    """Return a product's arguments with another factor in one place; einsum's equation stays first."""
    if isinstance(args[0], str):
        operands = list(args[1]) if isinstance(args[1], tuple | list) else list(args[1:])
        operands[place] = used
        return (args[0], *operands)
    changed = list(args)
    changed[place] = used
    return tuple(changed)


def _einsum_factors(equation: str, operands: list[Tensor]) -> list[Factor]:
    """Return the operands that are matrices [query, key] or [key, query] whose keys are summed over."""
    inputs, arrow, output = equation.replace(" ", "").replace("...", "…").partition("->")
    names = inputs.split(",")
    if not arrow or len(names) != 2:
        return []
    found = []
    for place, (own, other) in enumerate([names, names[::-1]]):
        pair = own[-2:]
        if len(pair) < 2 or "…" in pair or len(set(own)) < len(own):
            continue
        for query, key in ((pair[0], pair[1]), (pair[1], pair[0])):
            summed = key in other and key not in output
            if summed and query in output and query not in other and set(own) - {key} <= set(output):
                values = operands[1 - place]
                found.append(Factor(operands[place], place, turned=key != own[-1], values=values))
    return found
