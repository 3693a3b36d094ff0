"""The explicit computation equals the fused kernels, argument by argument."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from vitscope.capture.explicit import DotProduct
from vitscope.errors import CaptureError


def tensors(heads=4, queries=5, keys=5, channels=8, groups=None, dtype=torch.float32):
    torch.manual_seed(0)
    query = torch.randn(2, heads, queries, channels, dtype=dtype)
    key, value = torch.randn(2, 2, groups or heads, keys, channels, dtype=dtype)
    return query, key, value


CASES = {
    "plain": ({}, {}),
    "scale": ({}, {"scale": 0.7}),
    "causal": ({}, {"is_causal": True}),
    "causal_cross": ({"queries": 3}, {"is_causal": True}),
    "bool_mask": ({}, {"attn_mask": torch.eye(5, dtype=torch.bool).roll(1, 0)}),
    "float_mask": ({}, {"attn_mask": torch.linspace(-3, 3, 25).view(5, 5)}),
    "mask_an_image": ({}, {"attn_mask": torch.arange(10).view(2, 1, 1, 5) % 3 > 0}),
    "nothing_to_see": ({}, {"attn_mask": torch.arange(5).view(5, 1).expand(5, 5) > 0}),
    "groups": ({"groups": 2}, {"enable_gqa": True}),
    "cross": ({"keys": 7}, {}),
    "double": ({"dtype": torch.float64}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_equal_to_the_fused_kernels(case):
    shape, options = CASES[case]
    query, key, value = tensors(**shape)
    expected = F.scaled_dot_product_attention(query, key, value, **options)
    output, weights = DotProduct(query, key, value, **options).compute()
    assert output.dtype is expected.dtype
    torch.testing.assert_close(output, expected, atol=2e-6, rtol=0)
    rows = weights.sum(dim=-1)
    empty = torch.zeros_like(rows)
    if case == "nothing_to_see":
        empty[:, :, 0] = 1
    torch.testing.assert_close(rows, 1 - empty)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_near_the_truth_as_the_fused_kernels(dtype):
    query, key, value = tensors(dtype=torch.float64)
    truth = F.scaled_dot_product_attention(query, key, value)
    halves = [each.to(dtype) for each in (query, key, value)]
    fused = F.scaled_dot_product_attention(*halves)
    output, weights = DotProduct(*halves).compute()
    assert output.dtype is dtype
    assert weights.dtype is torch.float32
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
    assert (output - truth).abs().max() <= 2 * (fused - truth).abs().max()


def test_gradients_equal_those_of_the_fused_kernels():
    given = [each.requires_grad_() for each in tensors()]
    expected = torch.autograd.grad(F.scaled_dot_product_attention(*given).square().sum(), given)
    found = torch.autograd.grad(DotProduct(*given).compute()[0].square().sum(), given)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 9),
    st.floats(0.01, 30),
    st.booleans(),
)
def test_any_shape_and_any_size_of_scores(heads, queries, keys, channels, size, masked):
    query, key, value = tensors(heads, queries, keys, channels)
    mask = torch.rand(queries, keys) > 0.4 if masked else None
    expected = F.scaled_dot_product_attention(size * query, key, value, attn_mask=mask)
    output, weights = DotProduct(size * query, key, value, attn_mask=mask).compute()
    torch.testing.assert_close(output, expected, atol=1e-4, rtol=0)
    assert ((weights >= 0) & (weights <= 1 + 1e-6)).all()


def test_dropout_is_refused():
    with pytest.raises(CaptureError, match="dropout is on") as caught:
        DotProduct(*tensors(), dropout_p=0.1).compute()
    assert "eval()" in caught.value.hint
