"""Attention flow: against plain augmenting paths and smallest cuts, by hand, and its properties."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.flow import edges, flow_map, maximum_flow, smallest_cut
from tests.oracles.rollout import with_residual
from vitscope.errors import InputError
from vitscope.explain.flow import attention_flow
from vitscope.explain.rollout import rollout
from vitscope.records.attention import Attention


def made(*, seed=0, layers=3, images=2, heads=2, grid=(2, 2), prefix=1, pool="cls", sharp=3.0):
    generator = torch.Generator().manual_seed(seed)
    tokens = prefix + grid[0] * grid[1]
    shape = (images, heads, tokens, tokens)
    weights = [
        (sharp * torch.randn(shape, generator=generator, dtype=torch.float64)).softmax(-1)
        for _ in range(layers)
    ]
    return Attention(weights, grid, prefix, tuple(f"layer {number}" for number in range(layers)), pool)


def of_matrices(*matrices, grid=(1, 2), prefix=1, pool="cls"):
    """One image and one head a layer, from input to output."""
    weights = [torch.tensor(matrix, dtype=torch.float64)[None, None] for matrix in matrices]
    return Attention(weights, grid, prefix, tuple(map(str, range(len(weights)))), pool)


shapes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1000),
        "layers": st.integers(1, 4),
        "images": st.integers(1, 2),
        "heads": st.integers(1, 2),
        "grid": st.tuples(st.integers(1, 2), st.integers(1, 3)),
        "prefix": st.integers(0, 2),
        "sharp": st.sampled_from([0.0, 1.0, 5.0, 30.0]),
    }
)


@settings(max_examples=25, deadline=None)
@given(shape=shapes, pool=st.sampled_from(["cls", "mean"]), fuse=st.sampled_from(["mean", "max", "min"]))
def test_equals_augmenting_paths(shape, pool, fuse):
    attention = made(**shape, pool=pool if shape["prefix"] else "mean")
    found = attention_flow(attention, fuse=fuse).values
    assert found.dtype == np.float32
    for image in range(len(attention)):
        layers = [weight[image].tolist() for weight in attention.weights]
        expected = flow_map(layers, attention.grid, attention.prefix, attention.pool, fuse)
        np.testing.assert_allclose(found[image], expected, atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_the_flow_is_the_smallest_cut(seed):
    """Duality: no set of nodes around the source lets less through than flows, and one lets just that."""
    attention = made(seed=seed, images=1, grid=(1, 2), sharp=6.0)
    capacities = edges([weight[0].tolist() for weight in attention.weights])
    cuts = [smallest_cut(capacities, (3, 0), (0, token)) for token in range(3)]
    assert [maximum_flow(capacities, (3, 0), (0, token)) for token in range(3)] == pytest.approx(cuts)
    np.testing.assert_allclose(
        attention_flow(attention).values.ravel(), np.array(cuts[1:]) / sum(cuts), atol=1e-7
    )


def test_three_tokens_by_hand():
    """Â_1 has the rows [1/2, 1/2, 0], [0, 1, 0], [0, 1/2, 1/2]; Â_2's row 0 is [1/2, 1/4, 1/4].

    One layer (Â_1): the map is [1/2, 0]. Two: F[0] = min(1/2, 1/2) = 1/2; F[1] = min(1/2, 1/2) + min(1/4, 1)
    + min(1/4, 1/2) = 1; F[2] = min(1/4, 1/2) = 1/4; the sum is 7/4, so the map is [4/7, 1/7].
    Rollout of the same: [1/2·1/2 + 1/4 + 1/4·1/2, 1/4·1/2] = [5/8, 1/8].
    """
    first = [[0, 1, 0], [0, 1, 0], [0, 1, 0]]
    last = [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(attention_flow(of_matrices(first)).values, [[[0.5, 0]]])
    np.testing.assert_allclose(attention_flow(of_matrices(first, last)).values, [[[4 / 7, 1 / 7]]], rtol=1e-6)
    np.testing.assert_allclose(rollout(of_matrices(first, last)).values, [[[5 / 8, 1 / 8]]])


def test_a_narrow_layer_holds_the_flow_up():
    """Three layers; the middle one lets the class token reach patch 1 by 1/4 alone, and nothing else does.

    A_3: class → itself. A_2: class → [1/2, 1/2, 0]. A_1: identity. So Â_3[0] = [1, 0, 0], Â_2[0] =
    [3/4, 1/4, 0], Â_1 = I: F = [3/4, 1/4, 0].
    """
    still = np.eye(3).tolist()
    middle = [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(attention_flow(of_matrices(still, middle, still)).values, [[[0.25, 0]]])


def test_two_layers_are_sums_of_smaller_capacities():
    attention = made(layers=2, images=1, heads=1, grid=(2, 3))
    first, last = (np.array(with_residual(weight[0, 0].tolist())) for weight in attention.weights)
    flows = np.minimum(last[0][:, None], first).sum(axis=0)
    np.testing.assert_allclose(
        attention_flow(attention).values.ravel(), (flows / flows.sum())[1:], rtol=1e-6, atol=1e-8
    )


def test_the_mean_of_the_patches_joins_the_last_layer():
    """Two patches and no prefix. One layer: the mean of Â's rows [1/2, 1/2], [0, 1] is [1/4, 3/4]."""
    attention = of_matrices([[0, 1], [0, 1]], prefix=0, pool="mean")
    np.testing.assert_allclose(attention_flow(attention).values, [[[0.25, 0.75]]])


def test_identity_and_uniform_attention():
    """Uniform over 5 tokens: Â has 0.6 on its diagonal and 0.1 elsewhere.

    Of three layers, the class token takes in 0.6 + 4·0.1 = 1 and can be sent all of it. A patch could take in
    1 as well, but of the 0.6 that goes straight down no more than 0.1 gets to each of the 5 tokens in time
    (the own token passes on 0.1): 0.5 + 4·0.1 = 0.9. The sum is 1 + 4·0.9.
    """
    still = of_matrices(*[np.eye(5).tolist()] * 3, grid=(2, 2))
    assert (attention_flow(still).values == 0).all()  # all of it stays with the class token
    even = of_matrices(*[np.full((5, 5), 0.2).tolist()] * 3, grid=(2, 2))
    np.testing.assert_allclose(attention_flow(even).values, np.full((1, 2, 2), 0.9 / 4.6), rtol=1e-6)


def test_sums_to_one_with_the_prefix_and_moves_with_the_patches():
    attention = made(grid=(2, 3), prefix=1)
    found = attention_flow(attention).values
    assert (found.sum(axis=(1, 2)) < 1).all()
    order = torch.tensor([0, 3, 1, 6, 2, 5, 4])
    moved = [weight[:, :, order][..., order] for weight in attention.weights]
    again = attention_flow(Attention(moved, (2, 3), 1, attention.layers)).values.reshape(2, 6)
    np.testing.assert_allclose(again, found.reshape(2, 6)[:, order[1:] - 1], atol=1e-7)


def test_heads_that_were_fused():
    attention = made()
    fused = [weight.mean(dim=1, keepdim=True) for weight in attention.weights]
    record = Attention(fused, (2, 2), 1, attention.layers, heads="mean")
    np.testing.assert_allclose(attention_flow(record).values, attention_flow(attention).values, atol=1e-7)
    with pytest.raises(InputError, match="fused by mean in capturing"):
        attention_flow(record, fuse="max")


def test_an_image_of_65_tokens_and_12_layers_takes_less_than_a_second():
    attention = made(layers=12, images=1, heads=3, grid=(8, 8), sharp=1.0)
    for _ in range(3):  # a busy machine may be slow once
        start = time.process_time()
        found = attention_flow(attention).values
        taken = time.process_time() - start
        if taken < 1:
            break
    assert taken < 1
    # Nothing holds the flow up but the first layer and the source, as the docstring says.
    first = np.array(with_residual(attention.weights[0][0].mean(dim=0).tolist()))
    flows = np.minimum(1, first.sum(axis=0))
    np.testing.assert_allclose(found.ravel(), (flows / flows.sum())[1:], rtol=1e-5)
