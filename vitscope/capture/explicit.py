"""Attention with its matrix in sight: the same output as the fused kernels, and the weights beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vitscope.errors import CaptureError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DotProduct", "refuse_dropout"]


@dataclass(frozen=True)
class DotProduct:
    """One call of `F.scaled_dot_product_attention`, its arguments in that function's order.

    `softmax(query · keyᵀ · scale + mask) · value`, `[…, head, query, channel]`. `blind`, which that function
    has not, is the weight that a query gives each key if it may see none of them.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    attn_mask: Tensor | None = None
    dropout_p: float = 0.0
    is_causal: bool = False
    scale: float | None = None
    enable_gqa: bool = False
    blind: float = 0.0

    def compute(self) -> tuple[Tensor, Tensor]:
        """Return the output and the weights `[…, head, query, key]`, float32 or wider; rows sum to 1.

        The output is `weights · value`, not the fused kernel's: the product of queries and keys is made once,
        and a gradient of the output reaches the weights.

        Raises:
            CaptureError: Dropout is on, or the tensors are nested.
        """
        self._check()
        key, value = self.key, self.value
        if self.enable_gqa:
            groups = self.query.size(-3) // key.size(-3)
            key, value = key.repeat_interleave(groups, dim=-3), value.repeat_interleave(groups, dim=-3)
        scale = 1 / math.sqrt(self.query.size(-1)) if self.scale is None else self.scale
        scores = torch.matmul(self.query * scale, key.transpose(-2, -1))
        mask = self._mask(scores)
        if mask is not None:
            scores = scores + mask
        weights = torch.softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
        if mask is not None:
            # A query that may see nothing attends to nothing, as in the fused kernels, instead of NaN.
            weights = weights.masked_fill((scores == -math.inf).all(dim=-1, keepdim=True), self.blind)
        return torch.matmul(weights.to(value.dtype), value), weights

    def _check(self) -> None:
        refuse_dropout(self.dropout_p)
        if self.query.is_nested:
            raise CaptureError("attention over nested tensors cannot be captured", hint="pass a plain batch")

    def _mask(self, scores: Tensor) -> Tensor | None:
        mask = self.attn_mask
        if self.is_causal:
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if mask is not None and mask.dtype is torch.bool:
            return torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, -math.inf)
        return mask


def refuse_dropout(rate: float) -> None:
    """Refuse attention dropout: the weights after the softmax are not those that met the values.

    Raises:
        CaptureError: The rate is above 0.
    """
    if rate > 0:
        raise CaptureError(
            f"attention dropout is on ({rate:g}), so that the weights differ from those used",
            hint="call model.eval() before the block",
        )
