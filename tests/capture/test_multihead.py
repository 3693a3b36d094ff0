"""`nn.MultiheadAttention` with its weights in sight: torch's own outputs and gradients in every variant."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from vitscope.capture.multihead import multi_head
from vitscope.errors import CaptureError

IMAGES, HEADS, TOKENS, WIDTH = 2, 2, 5, 8
EYE = torch.eye(TOKENS, dtype=torch.bool).roll(1, 0)
LAST_SHUT = torch.arange(TOKENS).expand(IMAGES, TOKENS) >= torch.tensor([[3], [4]])
CAUSAL = torch.full((TOKENS, TOKENS), -math.inf).triu(1)
A_HEAD = torch.linspace(-2, 2, IMAGES * HEADS * TOKENS * TOKENS).view(IMAGES * HEADS, TOKENS, TOKENS)
BOOL_A_HEAD = torch.arange(A_HEAD.numel()).view_as(A_HEAD) % 3 == 0

# What the layer is made with, what it is called with.
CASES = {
    "plain": ({}, {}),
    "no_bias": ({"bias": False}, {}),
    "cross": ({}, {"keys": 7}),
    "key_is_value": ({}, {"keys": 7, "key_is_value": True}),
    "separate": ({"kdim": 6, "vdim": 4}, {"keys": 7}),
    "separate_without_bias": ({"kdim": 6, "vdim": 4, "bias": False}, {"keys": 7}),
    "bias_tokens": ({"add_bias_kv": True}, {}),
    "zero_token": ({"add_zero_attn": True}, {}),
    "both_tokens": ({"add_bias_kv": True, "add_zero_attn": True}, {}),
    "bool_mask": ({}, {"attn_mask": EYE}),
    "float_mask": ({}, {"attn_mask": CAUSAL + 0.5}),
    "mask_a_head": ({}, {"attn_mask": A_HEAD}),
    "bool_mask_a_head": ({}, {"attn_mask": BOOL_A_HEAD}),
    "padding": ({}, {"key_padding_mask": LAST_SHUT}),
    "float_padding": ({}, {"key_padding_mask": LAST_SHUT * -3.0}),
    "padding_and_mask": ({}, {"key_padding_mask": LAST_SHUT * 1.0, "attn_mask": A_HEAD}),
    "all_at_once": (
        {"add_bias_kv": True, "add_zero_attn": True},
        {"key_padding_mask": LAST_SHUT, "attn_mask": EYE},
    ),
    "causal": ({}, {"attn_mask": CAUSAL, "is_causal": True}),
    "causal_and_padding": ({}, {"attn_mask": CAUSAL, "is_causal": True, "key_padding_mask": LAST_SHUT * 1.0}),
    "causal_with_tokens": ({"add_bias_kv": True}, {"attn_mask": CAUSAL, "is_causal": True}),
    "nothing_to_see": ({}, {"attn_mask": torch.arange(TOKENS).view(-1, 1).expand(TOKENS, TOKENS) < 1}),
    "unbatched": ({}, {"unbatched": True}),
    "unbatched_padding": ({}, {"unbatched": True, "key_padding_mask": LAST_SHUT[0]}),
    "unbatched_mask": ({}, {"unbatched": True, "attn_mask": A_HEAD[:HEADS]}),
}


def layer(dtype=torch.float64, **made):
    torch.manual_seed(0)
    attend = nn.MultiheadAttention(WIDTH, HEADS, dtype=dtype, **made).eval()
    for parameter in attend.parameters():
        nn.init.normal_(parameter, std=0.5)
    return attend


def tensors(attend, *, keys=None, unbatched=False, key_is_value=False):
    """Queries, keys and values `[token, image, channel]`; one tensor where nothing says otherwise."""
    torch.manual_seed(1)
    dtype, dims = attend.out_proj.weight.dtype, (IMAGES,) if not unbatched else ()
    query = torch.randn(TOKENS, *dims, WIDTH, dtype=dtype)
    if keys is None:
        return query, query, query
    key = torch.randn(keys, *dims, attend.kdim, dtype=dtype)
    return query, key, key if key_is_value else torch.randn(keys, *dims, attend.vdim, dtype=dtype)


def call(attend, query, key, value, **options):
    """The arguments with which `nn.MultiheadAttention` calls the function, outside its fast path."""
    separate = {}
    if not attend._qkv_same_embed_dim:
        weights = {f"{name}_proj_weight": getattr(attend, f"{name}_proj_weight") for name in "qkv"}
        separate = {"use_separate_proj_weight": True, **weights}
    args = (query, key, value, WIDTH, HEADS, attend.in_proj_weight, attend.in_proj_bias, attend.bias_k)
    args += (
        attend.bias_v,
        attend.add_zero_attn,
        attend.dropout,
        attend.out_proj.weight,
        attend.out_proj.bias,
    )
    return args, {"training": attend.training, **separate, **options}


def check(made, called, **options):
    attend = layer(**made)
    called = dict(called)
    shape = {name: called.pop(name) for name in ("keys", "unbatched", "key_is_value") if name in called}
    called = {
        name: value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for name, value in called.items()
    }
    args, kwargs = call(attend, *tensors(attend, **shape), **called, **options)
    expected, expected_weights = F.multi_head_attention_forward(*args, **kwargs)
    (output, given), weights = multi_head(args, kwargs)
    torch.testing.assert_close(output, expected, atol=1e-12, rtol=0, equal_nan=True)
    assert (given is None) == (expected_weights is None)
    if given is not None:
        torch.testing.assert_close(given, expected_weights, atol=1e-12, rtol=0, equal_nan=True)
    return args, kwargs, weights


@pytest.mark.parametrize(("asked", "average"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize("case", CASES)
def test_equal_to_torch_in_every_variant(case, asked, average):
    made, called = CASES[case]
    args, kwargs, weights = check(made, called, need_weights=asked, average_attn_weights=average)
    if case == "nothing_to_see" or kwargs.get("is_causal"):
        return
    every = F.multi_head_attention_forward(
        *args, **{**kwargs, "need_weights": True, "average_attn_weights": False}
    )[1]
    torch.testing.assert_close(weights, every if every.ndim == 4 else every[None], atol=1e-12, rtol=0)


@pytest.mark.parametrize("asked", [False, True])
def test_static_keys_and_values(asked):
    attend = layer()
    static = torch.randn(2, IMAGES * HEADS, 9, WIDTH // HEADS, dtype=torch.float64)
    args, kwargs = call(attend, *tensors(attend), static_k=static[0], static_v=static[1], need_weights=asked)
    expected, _ = F.multi_head_attention_forward(*args, **kwargs)
    (output, _), weights = multi_head(args, kwargs)
    torch.testing.assert_close(output, expected, atol=1e-12, rtol=0)
    assert weights.shape == (IMAGES, HEADS, TOKENS, 9)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_any_shape_in_single_precision(images, heads, channels, queries, keys):
    attend = nn.MultiheadAttention(heads * channels, heads).eval()
    query, key = torch.randn(queries, images, heads * channels), torch.randn(keys, images, heads * channels)
    args = (query, key, key, heads * channels, heads, attend.in_proj_weight, attend.in_proj_bias, None, None)
    args += (False, 0.0, attend.out_proj.weight, attend.out_proj.bias)
    expected, _ = F.multi_head_attention_forward(*args, training=False)
    (output, _), weights = multi_head(args, {"training": False})
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(images, heads, queries))


def test_gradients_of_parameters_and_inputs_are_torch_s():
    attend = layer(add_bias_kv=True, add_zero_attn=True)
    tokens = tensors(attend)[0].requires_grad_()
    args, kwargs = call(attend, tokens, tokens, tokens, attn_mask=CAUSAL.double())
    wanted = [tokens, *attend.parameters()]
    expected = torch.autograd.grad(F.multi_head_attention_forward(*args, **kwargs)[0].square().sum(), wanted)
    found = torch.autograd.grad(multi_head(args, kwargs)[0][0].square().sum(), wanted)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def test_the_gradient_by_a_weight_is_the_value_it_lets_through():
    """One image, no output projection: ∂(sum of output)/∂A[q, k] = the sum of value k's channels."""
    attend = layer()
    with torch.no_grad():
        attend.out_proj.weight.copy_(torch.eye(WIDTH))
    tokens = tensors(attend)[0][:, :1]
    args, kwargs = call(attend, tokens, tokens, tokens)
    (output, _), weights = multi_head(args, kwargs)
    found = torch.autograd.grad(output.sum(), weights)[0]
    value = F.linear(tokens, attend.in_proj_weight[2 * WIDTH :], attend.in_proj_bias[2 * WIDTH :])[:, 0]
    sums = value.view(TOKENS, HEADS, -1).sum(dim=-1)
    for head in range(HEADS):
        torch.testing.assert_close(found[0, head], sums[:, head].expand(TOKENS, TOKENS))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_type_and_wider_weights(dtype):
    attend = layer(dtype)
    args, kwargs = call(attend, *tensors(attend), need_weights=True)
    expected, expected_weights = F.multi_head_attention_forward(*args, **kwargs)
    (output, given), weights = multi_head(args, kwargs)
    assert output.dtype is given.dtype is dtype
    assert weights.dtype is torch.float32
    torch.testing.assert_close(output, expected, atol=0.03, rtol=0.03)
    torch.testing.assert_close(given, expected_weights, atol=0.02, rtol=0)


def test_dropout_is_refused_in_training_alone():
    attend = layer(dropout=0.1)
    args, kwargs = call(attend, *tensors(attend))
    multi_head(args, kwargs)
    with pytest.raises(CaptureError, match="dropout is on"):
        multi_head(args, {**kwargs, "training": True})
