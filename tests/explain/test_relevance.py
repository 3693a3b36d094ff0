"""Relevance and gradient rollout: against plain loops, by hand, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.relevance import gradient_rollout_matrix, read_off, relevance_matrix
from tests.oracles.smallnets import timm_net
from vitscope.explain.gradients import AttentionGradients, attention_gradients
from vitscope.explain.relevance import gradient_rollout, relevance
from vitscope.explain.rollout import rollout
from vitscope.records.attention import Attention

MAPS = {relevance: relevance_matrix, gradient_rollout: gradient_rollout_matrix}


def made(seed=0, layers=3, images=2, heads=2, grid=(2, 3), prefix=1, pool="cls"):
    generator = torch.Generator().manual_seed(seed)
    shape = (images, heads, prefix + grid[0] * grid[1], prefix + grid[0] * grid[1])
    weights, gradients = (
        [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(layers)]
        for _ in range(2)
    )
    names = tuple(f"layer {number}" for number in range(layers))
    attention = Attention([weight.softmax(-1) for weight in weights], grid, prefix, names, pool)
    return AttentionGradients(attention, gradients, torch.arange(images))


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


@pytest.mark.parametrize("method", MAPS)
@settings(max_examples=40, deadline=None)
@given(shape=shapes, pool=st.sampled_from(["cls", "mean"]))
def test_equals_the_plain_loops(method, shape, pool):
    source = made(**shape, pool=pool if shape["prefix"] else "mean")
    attention, heatmap = source.attention, method(source)
    assert heatmap.targets.tolist() == list(range(len(attention)))
    assert heatmap.values.dtype == np.float32
    for image in range(len(attention)):
        layers = [weight[image].tolist() for weight in attention.weights]
        slopes = [gradient[image].tolist() for gradient in source.gradients]
        expected = read_off(MAPS[method](layers, slopes), attention.grid, attention.prefix, attention.pool)
        np.testing.assert_allclose(heatmap.values[image], expected, rtol=1e-6, atol=1e-6)


def three_tokens():
    """One class token, two patches, two heads in the first layer and the same twice in the last."""
    first = torch.tensor([[[0.5, 0.25, 0.25], [0, 1, 0], [0, 0, 1]], [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]])
    last = torch.tensor([[[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]] * 2)
    slopes = torch.zeros(2, 3, 3)
    slopes[0, 0, 1], slopes[1, 0, 1], slopes[0, 0, 2] = 4.0, -1.0, 2.0
    slopes_last = torch.zeros(2, 3, 3)
    slopes_last[:, 0, 1] = 2.0
    attention = Attention([first[None], last[None]], (1, 2), 1, ("a", "b"))
    return AttentionGradients(attention, [slopes[None], slopes_last[None]], torch.tensor([0]))


def test_relevance_of_three_tokens_by_hand():
    """A ⊙ G of the first layer's class row: head 0 [0, 1, 1/2], head 1 [0, −1/2, 0].

    Ā_1's row 0 is [0, 1/2, 1/4], its other rows 0; Ā_2's row 0 is [0, 1, 0]. R after layer 1 has the rows
    [1, 1/2, 1/4], [0, 1, 0], [0, 0, 1]; after layer 2 row 0 is [1, 1/2, 1/4] + 1·[0, 1, 0] = [1, 3/2, 1/4].
    """
    np.testing.assert_allclose(relevance(three_tokens()).values, [[[1.5, 0.25]]])


def test_gradient_rollout_of_three_tokens_by_hand():
    """relu after the mean: Ā_1's row 0 is [0, 1/4, 1/4], so Â_1's is [2/3, 1/6, 1/6]; Â_2's is [1/2, 1/2, 0].

    R[0] = 1/2·[2/3, 1/6, 1/6] + 1/2·[0, 1, 0] = [1/3, 7/12, 1/12].
    """
    np.testing.assert_allclose(gradient_rollout(three_tokens()).values, [[[7 / 12, 1 / 12]]], rtol=1e-6)


@pytest.mark.parametrize("method", MAPS)
def test_a_batch_equals_its_images(method):
    model = timm_net("vit")
    images = torch.randn(4, 3, 32, 32)
    targets = torch.tensor([1, 4, 0, 1])
    whole = method(attention_gradients(model, images, targets=targets)).values
    for number in range(4):
        one = attention_gradients(model, images[number : number + 1], targets=targets[number : number + 1])
        np.testing.assert_allclose(method(one).values[0], whole[number], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("method", MAPS)
def test_patches_that_change_places_take_their_values_along(method):
    source = made(grid=(2, 3))
    order = torch.tensor([0, 3, 1, 6, 2, 5, 4])
    moved = [
        [tensor[:, :, order][..., order] for tensor in tensors]
        for tensors in (source.attention.weights, source.gradients)
    ]
    attention = Attention(moved[0], (2, 3), 1, source.attention.layers)
    found = method(AttentionGradients(attention, moved[1], source.targets)).values.reshape(2, 6)
    expected = method(source).values.reshape(2, 6)[:, order[1:] - 1]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_without_gradients_nothing_is_relevant():
    source = made()
    nothing = AttentionGradients(
        source.attention, [torch.zeros_like(each) for each in source.gradients], source.targets
    )
    assert (relevance(nothing).values == 0).all()
    assert (gradient_rollout(nothing).values == 0).all()


def test_one_head_with_gradients_of_one_is_rollout():
    source = made(heads=1)
    ones = AttentionGradients(
        source.attention, [torch.ones_like(each) for each in source.gradients], source.targets
    )
    np.testing.assert_allclose(gradient_rollout(ones).values, rollout(source.attention).values, rtol=1e-6)


def test_another_class_has_another_map():
    model = timm_net("vit")
    images = torch.randn(1, 3, 32, 32)
    one, other = (
        relevance(attention_gradients(model, images, targets=torch.tensor([target]))).values
        for target in (0, 1)
    )
    assert np.abs(one - other).max() > 0.01 * one.max()
