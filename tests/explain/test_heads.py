"""Entropy and mean attention distance: plain loops, uniform and one-hot rows, batches, degenerate rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.oracles.inspecting import mean_distance, mean_entropy
from vitscope.errors import InputError
from vitscope.explain.heads import HeadSums, head_statistics
from vitscope.records.attention import Attention
from vitscope.records.heads import HeadStatistics

GRID, PREFIX = (2, 3), 2
TOKENS = PREFIX + 6


def attention(weights, grid=GRID, prefix=PREFIX, pool="cls", heads=None):
    names = tuple(f"blocks.{number}" for number in range(len(weights)))
    return Attention(list(weights), grid=grid, prefix=prefix, layers=names, pool=pool, heads=heads)


def random_weights(images=3, heads=2, layers=2, tokens=TOKENS, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [
        torch.randn(images, heads, tokens, tokens, generator=random).mul(2).softmax(-1) for _ in range(layers)
    ]


def test_against_plain_loops():
    weights = random_weights()
    found = head_statistics(attention(weights), size=(8, 30))
    for layer, weight in enumerate(weights):
        lists = weight.double().tolist()
        oracle = {
            "entropy": mean_entropy(lists, queries=range(TOKENS)),
            "class_entropy": mean_entropy(lists, queries=[0]),
            "distance": mean_distance(lists, GRID, PREFIX, (1, 1)),
            "pixel_distance": mean_distance(lists, GRID, PREFIX, (4, 10)),
        }
        for name, expected in oracle.items():
            np.testing.assert_allclose(found.means[name][layer], expected, rtol=1e-5)
    assert (found.patch, found.tokens, found.images) == ((4, 10), TOKENS, 3)


def test_uniform_attention_has_the_logarithm_of_its_tokens():
    found = head_statistics(attention([torch.full((1, 2, TOKENS, TOKENS), 1 / TOKENS)]), size=(8, 30))
    np.testing.assert_allclose(found.means["entropy"], math.log(TOKENS), rtol=1e-6)
    places = [(row, column) for row in range(2) for column in range(3)]
    mean = sum(math.dist(one, other) for one in places for other in places) / 36
    np.testing.assert_allclose(found.means["distance"], mean, rtol=1e-6)


def test_one_hot_attention_has_no_entropy_and_its_own_distance():
    """Three patches in a row, the first two look at their right neighbour, the last at the first: 4/3."""
    weights = torch.zeros(1, 1, 3, 3)
    weights[0, 0, [0, 1, 2], [1, 2, 0]] = 1
    found = head_statistics(attention([weights], grid=(1, 3), prefix=0, pool="mean"), size=(5, 12))
    assert found.means["entropy"].tolist() == [[0]]
    assert found.means["distance"][0, 0] == pytest.approx(4 / 3)
    assert found.means["pixel_distance"][0, 0] == pytest.approx(16 / 3)
    assert "class_entropy" not in found.means


def test_attention_to_oneself_goes_nowhere():
    found = head_statistics(attention([torch.eye(TOKENS).expand(2, 3, -1, -1)]), size=(2, 3))
    assert found.means["distance"].tolist() == [[0, 0, 0]]


def test_what_goes_to_the_prefix_is_left_out():
    weights = random_weights(layers=1)[0]
    more = weights.clone()
    more[..., PREFIX:] *= 0.25
    more[..., 0] += 1 - more.sum(-1)
    one, other = (head_statistics(attention([each]), size=(2, 3)) for each in (weights, more))
    np.testing.assert_allclose(one.means["distance"], other.means["distance"], rtol=1e-5)


def test_rows_that_reach_no_patch_are_left_out():
    weights = random_weights(images=2, layers=1)[0]
    weights[0, 0, PREFIX] = 0
    weights[0, 0, PREFIX, 0] = 1
    weights[:, 1] = 0
    weights[:, 1, :, 0] = 1
    found = head_statistics(attention([weights]), size=(2, 3))
    per_image = [
        mean_distance([image], GRID, PREFIX, (1, 1))[0] for image in weights[:, :1].double().tolist()
    ]
    assert found.means["distance"][0, 0] == pytest.approx(np.mean(per_image), rel=1e-5)
    assert np.isnan(found.means["distance"][0, 1])
    assert found.means["entropy"][0, 1] == 0


def test_batches_give_what_the_whole_does_and_the_standard_error_is_over_images():
    weights = random_weights(images=7)
    whole = head_statistics(attention(weights), size=(8, 30))
    sums = HeadSums((8, 30))
    for part in (slice(0, 3), slice(3, 4), slice(4, 7)):
        sums.add(attention([weight[part] for weight in weights]))
    joined = sums.result()
    per_image = [mean_entropy([image], queries=[0]) for image in weights[1].double().tolist()]
    for name in whole.means:
        np.testing.assert_allclose(joined.means[name], whole.means[name], rtol=1e-6)
        np.testing.assert_allclose(joined.errors[name], whole.errors[name], rtol=1e-4)
    error = np.std(per_image, axis=0, ddof=1) / math.sqrt(7)
    np.testing.assert_allclose(whole.errors["class_entropy"][1], error, rtol=1e-3)
    single = head_statistics(attention([weights[0][:1]]), size=(8, 30))
    assert np.isnan(single.errors["entropy"]).all()


def test_the_order_of_images_and_heads_is_of_no_account():
    weights = random_weights(images=4, heads=3, layers=1)[0]
    one = head_statistics(attention([weights]), size=(2, 3)).means
    other = head_statistics(attention([weights[[2, 0, 3, 1]][:, [1, 2, 0]]]), size=(2, 3)).means
    for name in one:
        np.testing.assert_allclose(other[name], one[name][:, [1, 2, 0]], rtol=1e-6)


def test_what_does_not_fit():
    weights = random_weights()
    with pytest.raises(InputError, match="fused"):
        head_statistics(attention([weights[0][:, :1]], heads="mean"), size=(8, 30))
    sums = HeadSums((8, 30))
    with pytest.raises(InputError, match="at least one image"):
        sums.result()
    sums.add(attention(weights))
    with pytest.raises(InputError, match="one model"):
        sums.add(attention(weights, grid=(3, 2)))


def test_the_record_comes_back(tmp_path):
    made = head_statistics(attention(random_weights()), size=(8, 30))
    back = HeadStatistics.load(made.save(tmp_path / "heads.npz"))
    for name in made.means:
        np.testing.assert_array_equal(back.means[name], made.means[name])
        np.testing.assert_array_equal(back.errors[name], made.errors[name])
    assert (back.layers, back.grid, back.patch) == (made.layers, made.grid, made.patch)
    with pytest.raises(InputError, match="for each measure"):
        HeadStatistics({"entropy": np.zeros(3)}, {"entropy": np.zeros(3)}, ("a",), (1, 1), (1, 1), 1, 1)
    with pytest.raises(InputError, match="means and errors"):
        HeadStatistics(
            {"spread": np.zeros((1, 3))}, {"spread": np.zeros((1, 3))}, ("a",), (1, 1), (1, 1), 1, 1
        )
