"""Rollout: against plain loops, by hand, and its properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.rollout import full_rollout, rollout_map
from tests.oracles.smallnets import timm_net
from vitscope.capture.tape import capture
from vitscope.errors import InputError
from vitscope.explain.rollout import rollout
from vitscope.records.attention import Attention


def random_attention(seed=0, layers=3, images=2, heads=2, grid=(2, 3), prefix=1, pool="cls"):
    generator = torch.Generator().manual_seed(seed)
    tokens = prefix + grid[0] * grid[1]
    weights = [
        (2 * torch.randn(images, heads, tokens, tokens, generator=generator, dtype=torch.float64)).softmax(-1)
        for _ in range(layers)
    ]
    return Attention(weights, grid, prefix, tuple(f"layer {n}" for n in range(layers)), pool)


def with_weights(attention, weights, **changes):
    fields = {"grid": attention.grid, "prefix": attention.prefix, "pool": attention.pool} | changes
    return Attention(weights=weights, layers=attention.layers[: len(weights)], **fields)


shapes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1000),
        "layers": st.integers(1, 4),
        "images": st.integers(1, 3),
        "heads": st.integers(1, 3),
        "grid": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "prefix": st.integers(0, 3),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    shapes,
    st.sampled_from(["cls", "mean"]),
    st.sampled_from(["mean", "max", "min"]),
    st.sampled_from([0, 0.3, 0.9]),
)
def test_equals_the_plain_loops(shape, pool, how, discard):
    attention = random_attention(**shape, pool=pool if shape["prefix"] else "mean")
    found = rollout(attention, fuse=how, discard=discard).values
    for image in range(len(attention)):
        layers = [weight[image].tolist() for weight in attention.weights]
        expected = rollout_map(layers, attention.grid, attention.prefix, attention.pool, how, discard)
        np.testing.assert_allclose(found[image], expected, atol=1e-6)


def test_three_tokens_by_hand():
    """One class token, two patches, two layers.

    A_1 = [[1/2, 1/4, 1/4], [0, 1, 0], [1/2, 0, 1/2]], A_2 = [[0, 1, 0], [0, 1, 0], [0, 0, 1]].
    Â_2's first row is [1/2, 1/2, 0]. Â_1 = [[3/4, 1/8, 1/8], [0, 1, 0], [1/4, 0, 3/4]].
    R[0] = 1/2·[3/4, 1/8, 1/8] + 1/2·[0, 1, 0] = [3/8, 9/16, 1/16].
    """
    first = torch.tensor([[0.5, 0.25, 0.25], [0, 1, 0], [0.5, 0, 0.5]])
    last = torch.tensor([[0.0, 1, 0], [0, 1, 0], [0, 0, 1]])
    attention = Attention([first[None, None], last[None, None]], (1, 2), 1, ("a", "b"))
    np.testing.assert_allclose(rollout(attention).values, [[[9 / 16, 1 / 16]]])
    # Mean of the patches: rows [0, 1, 0] and [0, 0, 1] of Â_2, so the mean of Â_1's last two rows.
    mean = with_weights(attention, attention.weights, pool="mean")
    np.testing.assert_allclose(rollout(mean).values, [[[1 / 2, 3 / 8]]])


def test_discarding_by_hand():
    """Of the six entries with a patch for a key two go, ⌊0.4 · 6⌋: the zero, and the first 1/4, in row 0.

    A = [[1/2, 1/4, 1/4], [0, 1, 0], [1/2, 1/4, 1/4]] keeps row 0 as [1/2, 0, 1/4] → [2/3, 0, 1/3],
    Â's row 0 is [5/6, 0, 1/6].
    """
    weight = torch.tensor([[0.5, 0.25, 0.25], [0, 1, 0], [0.5, 0.25, 0.25]])
    attention = Attention([weight[None, None]], (1, 2), 1, ("a",))
    np.testing.assert_allclose(rollout(attention, discard=0.4).values, [[[0, 1 / 6]]], atol=1e-7)


def test_identity_attention_gives_the_identity():
    eye = torch.eye(7)[None, None]
    cls = Attention([eye] * 4, (2, 3), 1, ("a",) * 4)
    np.testing.assert_array_equal(rollout(cls).values, np.zeros((1, 2, 3)))
    mean = Attention([eye] * 4, (2, 3), 1, ("a",) * 4, pool="mean")
    np.testing.assert_allclose(rollout(mean).values, np.full((1, 2, 3), 1 / 6), rtol=1e-6)


@pytest.mark.parametrize("layers", [1, 2, 5, 12])
def test_uniform_attention(layers):
    tokens = 1 + 12
    weight = torch.full((1, 2, tokens, tokens), 1 / tokens)
    attention = Attention([weight] * layers, (3, 4), 1, ("a",) * layers)
    np.testing.assert_allclose(rollout(attention).values, (1 - 2.0**-layers) / tokens, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(shapes, st.sampled_from(["mean", "max", "min"]), st.sampled_from([0, 0.5]))
def test_rows_of_the_full_matrix_sum_to_one(shape, how, discard):
    attention = random_attention(**shape, pool="mean")
    matrix = full_rollout(
        [weight[0].tolist() for weight in attention.weights], how, discard, attention.prefix
    )
    np.testing.assert_allclose(np.sum(matrix, axis=1), 1)
    values = rollout(attention, fuse=how, discard=discard).values
    assert (values >= 0).all()
    assert (values.sum(axis=(1, 2)) <= 1 + 1e-5).all()
    if attention.prefix == 0:
        np.testing.assert_allclose(values.sum(axis=(1, 2)), 1, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["cls", "mean"]), st.sampled_from([0, 0.4]))
def test_patches_in_another_order_give_the_map_in_that_order(seed, pool, discard):
    attention = random_attention(seed, pool=pool, prefix=2)
    patches = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    order = torch.cat([torch.arange(2), 2 + patches])
    moved = with_weights(attention, [weight[:, :, order][:, :, :, order] for weight in attention.weights])
    expected = rollout(attention, discard=discard).values.reshape(2, 6)[:, patches]
    np.testing.assert_allclose(rollout(moved, discard=discard).values.reshape(2, 6), expected, atol=1e-6)


@pytest.mark.parametrize("discard", [0.0, 0.7])
@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_a_batch_equals_its_images_one_by_one(pool, discard):
    attention = random_attention(images=4, pool=pool)
    whole = rollout(attention, discard=discard).values
    for image in range(4):
        alone = with_weights(attention, [weight[image : image + 1] for weight in attention.weights])
        np.testing.assert_array_equal(rollout(alone, discard=discard).values[0], whole[image])


def test_heads_fused_in_capturing_equal_heads_fused_here():
    attention = random_attention()
    early = with_weights(
        attention, [weight.mean(1, keepdim=True) for weight in attention.weights], heads="mean"
    )
    np.testing.assert_allclose(rollout(early).values, rollout(attention).values, rtol=1e-6)
    with pytest.raises(InputError, match="fused by mean in capturing"):
        rollout(early, fuse="max")


@pytest.mark.parametrize("prefix", [1, 3])
def test_discarding_never_empties_a_prefix_column(prefix):
    """The class token is the least looked at of all: its column stays, every patch column goes."""
    attention = random_attention(prefix=prefix, layers=1, images=1, heads=1)
    weight = attention.weights[0].clone()
    weight[..., :prefix] = 1e-6
    least = with_weights(attention, [weight / weight.sum(dim=-1, keepdim=True)])
    # All patch entries but one are gone, so that the class token's row is its prefix and itself.
    values = rollout(least, discard=0.99).values
    assert (values > 0).sum() <= 1


def test_nothing_left_in_a_row_leaves_the_token_itself():
    weight = torch.tensor([[0.1, 0.9], [0.5, 0.5]])[None, None]
    attention = Attention([weight], (1, 2), 0, ("a",), pool="mean")
    values = rollout(attention, discard=0.75).values
    np.testing.assert_allclose(values, [[[0.5 * 0.5, 0.5 * 0.5 + 0.5]]])


@pytest.mark.parametrize("discard", [-0.1, 1.0, float("nan")])
def test_discard_out_of_range(discard):
    with pytest.raises(InputError, match="discard"):
        rollout(random_attention(), discard=discard)


def test_unknown_fusion():
    with pytest.raises(InputError, match="median"):
        rollout(random_attention(), fuse="median")


def test_of_a_model_with_gradients_on():
    model = timm_net("registers_mean")
    with capture(model) as tape:
        model(torch.randn(2, 3, 48, 48))
    attention = tape.attention()
    heatmap = rollout(attention)
    assert heatmap.values.dtype == np.float32
    assert heatmap.values.shape == (2, 3, 3)
    assert heatmap.options == {"fuse": "mean", "discard": 0.0, "pool": "mean", "layers": 2}
    layers = [weight[1].tolist() for weight in attention.weights]
    np.testing.assert_allclose(heatmap.values[1], rollout_map(layers, (3, 3), 4, "mean"), atol=1e-6)


def test_half_precision_weights_are_multiplied_in_single():
    attention = random_attention()
    halves = with_weights(attention, [weight.to(torch.bfloat16) for weight in attention.weights])
    singles = with_weights(attention, [weight.to(torch.bfloat16).float() for weight in attention.weights])
    np.testing.assert_allclose(
        rollout(halves, fuse="max").values, rollout(singles, fuse="max").values, rtol=1e-6
    )


def test_autocast_changes_nothing():
    attention = Attention(
        weights=[torch.rand(2, 1, 5, 5).softmax(dim=-1) for _ in range(3)],
        grid=(2, 2),
        prefix=1,
        layers=("a", "b", "c"),
        heads="mean",
    )
    plain = rollout(attention).values
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(rollout(attention).values, plain)
