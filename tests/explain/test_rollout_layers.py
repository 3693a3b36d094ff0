"""Rollout of some layers alone, and by depth: against plain loops, by hand, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.explain.test_rollout import random_attention, shapes, with_weights
from tests.oracles.rollout import maps_by_depth, rollout_map
from vitscope.errors import InputError
from vitscope.explain.rollout import rollout, rollout_by_depth
from vitscope.records.attention import Attention

HOWS = st.sampled_from(["mean", "max", "min"])
POOLS = st.sampled_from(["cls", "mean"])


def plain(attention, image):
    return [weight[image].tolist() for weight in attention.weights]


@settings(max_examples=40, deadline=None)
@given(shapes, POOLS, HOWS, st.sampled_from([0, 0.4]), st.data())
def test_some_layers_equal_the_plain_loops_over_them(shape, pool, how, discard, data):
    attention = random_attention(**shape, pool=pool if shape["prefix"] else "mean")
    first = data.draw(st.integers(0, shape["layers"] - 1))
    last = data.draw(st.integers(first, shape["layers"] - 1))
    found = rollout(attention, fuse=how, discard=discard, layers=range(first, last + 1))
    for image in range(len(attention)):
        layers = plain(attention, image)[first : last + 1]
        expected = rollout_map(layers, attention.grid, attention.prefix, attention.pool, how, discard)
        np.testing.assert_allclose(found.values[image], expected, atol=1e-6)
    assert found.options["layers"] == last + 1 - first
    assert found.options["first_layer"] == first


@settings(max_examples=40, deadline=None)
@given(shapes, POOLS, HOWS, st.sampled_from([0, 0.4]))
def test_each_depth_equals_the_plain_loops_up_to_it(shape, pool, how, discard):
    attention = random_attention(**shape, pool=pool if shape["prefix"] else "mean")
    found = rollout_by_depth(attention, fuse=how, discard=discard)
    assert [each.options["layers"] for each in found] == list(range(1, shape["layers"] + 1))
    for image in range(len(attention)):
        expected = maps_by_depth(
            plain(attention, image), attention.grid, attention.prefix, attention.pool, how, discard
        )
        np.testing.assert_allclose([each.values[image] for each in found], expected, atol=1e-6)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_the_last_depth_is_the_rollout_and_each_depth_that_of_its_layers(pool):
    attention = random_attention(layers=5, pool=pool)
    found = rollout_by_depth(attention, discard=0.3)
    np.testing.assert_allclose(found[-1].values, rollout(attention, discard=0.3).values, rtol=1e-6)
    assert found[-1].options == rollout(attention, discard=0.3).options
    for depth, each in enumerate(found, 1):
        alone = rollout(attention, discard=0.3, layers=range(depth))
        np.testing.assert_allclose(each.values, alone.values, rtol=1e-6)
        assert (each.method, each.values.dtype) == ("rollout", np.float32)


def test_depths_and_layers_by_hand():
    """One class token, two patches: Â_1's rows are [3/4, 1/8, 1/8], [0, 1, 0], [1/4, 0, 3/4].

    After one layer [1/8, 1/8]. Â_2's first row is [1/2, 1/2, 0]: alone it gives [1/2, 0], and after Â_1
    1/2·[3/4, 1/8, 1/8] + 1/2·[0, 1, 0] = [3/8, 9/16, 1/16].
    """
    first = torch.tensor([[0.5, 0.25, 0.25], [0, 1, 0], [0.5, 0, 0.5]])
    last = torch.tensor([[0.0, 1, 0], [0, 1, 0], [0, 0, 1]])
    attention = Attention([first[None, None], last[None, None]], (1, 2), 1, ("a", "b"))
    one, two = rollout_by_depth(attention)
    np.testing.assert_allclose(one.values, [[[1 / 8, 1 / 8]]])
    np.testing.assert_allclose(two.values, [[[9 / 16, 1 / 16]]])
    np.testing.assert_allclose(rollout(attention, layers=[1]).values, [[[1 / 2, 0]]])
    np.testing.assert_allclose(rollout(attention, layers=[-2, -1]).values, two.values)


@pytest.mark.parametrize("layers", [1, 2, 5, 12])
def test_uniform_attention_by_depth(layers):
    weight = torch.full((1, 2, 13, 13), 1 / 13)
    attention = Attention([weight] * layers, (3, 4), 1, ("a",) * layers)
    for depth, each in enumerate(rollout_by_depth(attention), 1):
        np.testing.assert_allclose(each.values, (1 - 2.0**-depth) / 13, rtol=1e-5)


def test_layers_of_different_precision():
    attention = random_attention()
    mixed = [attention.weights[0].half(), attention.weights[1].float(), attention.weights[2].float()]
    found = rollout_by_depth(with_weights(attention, mixed))
    np.testing.assert_allclose(found[-1].values, rollout(attention).values, atol=1e-3)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([0, 2], "without a gap"),
        ([-3, -1], "without a gap"),
        ([], "at least one layer"),
        ([1, 0], "rising order"),
        ([1, 1], "each once"),
        ([1, -2], "each once"),
        ([3], r"a layer in 0 … 2 or -3 … -1, got 3"),
        ([-4], "got -4"),
    ],
)
def test_layers_that_make_no_chain(layers, said):
    with pytest.raises(InputError, match=said):
        rollout(random_attention(), layers=layers)


def test_depths_refuse_what_rollout_refuses():
    with pytest.raises(InputError, match="discard"):
        rollout_by_depth(random_attention(), discard=1)
    early = random_attention(heads=1)
    early = with_weights(early, early.weights, heads="mean")
    with pytest.raises(InputError, match="fused by mean in capturing"):
        rollout_by_depth(early, fuse="max")
