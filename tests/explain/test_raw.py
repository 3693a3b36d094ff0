"""Raw attention: the right row of the right layer and head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.smallnets import own_attention, timm_net
from vitscope.capture.tape import capture
from vitscope.errors import InputError
from vitscope.explain.raw import raw_attention
from vitscope.records.attention import Attention


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -3])
def test_the_class_token_s_row_of_a_real_model(layer):
    model = timm_net("vit")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad(), capture(model) as tape:
        model(images)
    own, _ = own_attention(model, images)
    heads = raw_attention(tape.attention(), layer)
    assert len(heads) == 3
    for number, heatmap in enumerate(heads):
        assert heatmap.values.dtype == np.float32
        np.testing.assert_allclose(heatmap.values, own[layer][:, number, 0, 1:].reshape(2, 8, 8), atol=1e-6)
        assert heatmap.options == {
            "layer": layer % 3,
            "name": f"blocks.{layer % 3}.attn",
            "query": "class token",
            "head": number,
        }


def test_the_mean_of_the_patches_rows():
    weights = torch.rand(2, 2, 7, 7)
    attention = Attention([weights], (2, 3), 1, ("a",), pool="mean")
    heads = raw_attention(attention)
    for image in range(2):
        for head in range(2):
            expected = sum(weights[image, head, query, 1:].numpy() for query in range(1, 7)) / 6
            np.testing.assert_allclose(heads[head].values[image].ravel(), expected, rtol=1e-6)
    assert heads[0].options["query"] == "mean of the patches"


def test_fused_heads_are_one_map_that_says_so():
    attention = Attention([torch.rand(1, 1, 5, 5)], (2, 2), 1, ("a",), heads="max")
    (heatmap,) = raw_attention(attention)
    assert heatmap.options["head"] == "max"


@pytest.mark.parametrize("layer", [1, -2, 99])
def test_no_such_layer(layer):
    attention = Attention([torch.rand(1, 1, 5, 5)], (2, 2), 1, ("a",))
    with pytest.raises(InputError, match="expected a layer in 0 … 0"):
        raw_attention(attention, layer)
