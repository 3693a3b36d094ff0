"""`nn.MultiheadAttention` with its weights on the way to its output, so that gradients reach them."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from vitscope.capture.explicit import DotProduct, refuse_dropout

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["multi_head"]

_SIGNATURE = inspect.signature(F.multi_head_attention_forward)


def multi_head(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Tensor, Tensor | None], Tensor]:
    """Run `F.multi_head_attention_forward` with its weights; return its own result and the weights.

    Queries, keys and values are projected, cut into heads, and multiplied as in `DotProduct`; the heads'
    outputs are joined and projected. That function's own weights are a view beside the computation, which no
    gradient reaches.

    Returns:
        What the function returns for these arguments, and the weights `[image, head, query, key]`, float32 or
        wider, of which the output is made.

    Raises:
        CaptureError: Dropout is on, or the tensors are nested.
    """
    bound = _SIGNATURE.bind(*args, **kwargs)
    bound.apply_defaults()
    asked = bound.arguments
    refuse_dropout(asked["dropout_p"] if asked["training"] else 0.0)
    batched = asked["query"].ndim == 3
    if not batched:
        asked.update({name: asked[name].unsqueeze(1) for name in ("query", "key", "value")})
        if asked["key_padding_mask"] is not None:
            asked["key_padding_mask"] = asked["key_padding_mask"].unsqueeze(0)
    output, weights = _attend(asked)
    given = None
    if asked["need_weights"]:
        given = weights.mean(dim=1) if asked["average_attn_weights"] else weights
        given = given.to(output.dtype)
        given = given if batched else given.squeeze(0)
    return (output if batched else output.squeeze(1), given), weights


def _attend(asked: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Return the output `[query, image, channel]` and the weights `[image, head, query, key]`."""
    heads = asked["num_heads"]
    query, key, value = _projected(asked)
    query = _cut(query, heads)
    key = _cut(key, heads) if asked["static_k"] is None else _stacked(asked["static_k"], heads)
    value = _cut(value, heads) if asked["static_v"] is None else _stacked(asked["static_v"], heads)
    if asked["add_zero_attn"]:
        key, value = (F.pad(each, (0, 0, 0, 1)) for each in (key, value))
    mask, causal = _mask(asked, query, keys=key.shape[2])
    # Where its weights are asked for, torch's own softmax makes NaN of a row that may see nothing.
    blind = math.nan if asked["need_weights"] else 0.0
    output, weights = DotProduct(query, key, value, mask, is_causal=causal, blind=blind).compute()
    joined = output.permute(2, 0, 1, 3).flatten(2)
    return F.linear(joined, asked["out_proj_weight"], asked["out_proj_bias"]), weights


def _projected(asked: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values `[token, image, channel]`; biases of keys and values are tokens."""
    query, key, value = asked["query"], asked["key"], asked["value"]
    bias = asked["in_proj_bias"]
    if asked["use_separate_proj_weight"]:
        matrices = [asked[f"{name}_proj_weight"] for name in "qkv"]
    else:
        matrices = list(asked["in_proj_weight"].chunk(3))
    if query is key and key is value and not asked["use_separate_proj_weight"]:
        query, key, value = F.linear(query, asked["in_proj_weight"], bias).chunk(3, dim=-1)
    else:
        biases = (None, None, None) if bias is None else bias.chunk(3)
        query, key, value = (
            F.linear(tokens, matrix, shift)
            for tokens, matrix, shift in zip((query, key, value), matrices, biases, strict=True)
        )
    if asked["bias_k"] is not None:
        images = query.shape[1]
        key = torch.cat([key, asked["bias_k"].expand(-1, images, -1)])
        value = torch.cat([value, asked["bias_v"].expand(-1, images, -1)])
    return query, key, value


def _cut(tokens: Tensor, heads: int) -> Tensor:
    """Return `[token, image, channel]` as `[image, head, token, channel]`."""
    return tokens.reshape(*tokens.shape[:2], heads, -1).permute(1, 2, 0, 3)


def _stacked(each: Tensor, heads: int) -> Tensor:
    """Return `[image · head, …]` as `[image, head, …]`."""
    return each.reshape(-1, heads, *each.shape[1:])


def _mask(asked: dict[str, Any], query: Tensor, *, keys: int) -> tuple[Tensor | None, bool]:
    """Return what is added to the scores, broadcast over `[image, head, query, key]`, and if causal.

    `is_causal` stands for the mask given, as torch takes it, unless weights or a padding mask are asked for.
    """
    padding, mask = asked["key_padding_mask"], asked["attn_mask"]
    if asked["is_causal"] and padding is None and not asked["need_weights"]:
        return None, True
    added = None
    if mask is not None:
        added = _added(mask, query, keys=keys)
        added = _stacked(added, query.shape[1]) if added.ndim == 3 else added
    if padding is not None:
        shut = _added(padding, query, keys=keys)[:, None, None, :]
        added = shut if added is None else added + shut
    return added, False


def _added(mask: Tensor, query: Tensor, *, keys: int) -> Tensor:
    """Return a mask whose truth means `not allowed` as numbers, open for the keys that were appended."""
    if mask.dtype is torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill(mask, -math.inf)
    return F.pad(mask, (0, keys - mask.shape[-1]))
