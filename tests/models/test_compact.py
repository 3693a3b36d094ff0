"""The compact transformer: its pool, its tokens, and its attention."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import networks
from vitscope.capture.tape import capture
from vitscope.errors import InputError
from vitscope.models.compact import compact_transformer
from vitscope.models.tokenizers import ConvTokenizer

SMALL = {"classes": 3, "channels": 3, "width": 8, "depth": 2, "heads": 2}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return compact_transformer(image_size=16, **SMALL).eval()


def test_the_pool_is_a_mean_weighted_by_a_softmax(network):
    tokens = torch.randn(2, 5, 8)
    layer = torch.nn.Linear(8, 1)
    with torch.no_grad():
        network.sequence_pool.weight.copy_(10 * layer.weight)  # far from equal weights
        network.sequence_pool.bias.copy_(layer.bias)
        found = network.pool(tokens)
    weight, bias = network.sequence_pool.weight[0].tolist(), network.sequence_pool.bias.item()
    expected = [networks.sequence_pool(each.tolist(), weight, bias) for each in tokens]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_the_head_reads_the_pool(network):
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        features = network.forward_features(images)
        torch.testing.assert_close(network(images), network.head(network.pool(features)))
    assert features.shape == (2, 64, 8)
    torch.testing.assert_close(features.mean(dim=2), torch.zeros(2, 64), atol=1e-5, rtol=0)  # after the norm


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 41), st.integers(1, 41))
def test_the_tokenizers_grid_is_that_of_its_output(rows, columns):
    tokenizer = ConvTokenizer(img_size=(rows, columns), in_chans=1, embed_dim=4)
    features = tokenizer.layers(torch.zeros(1, 1, rows, columns))
    assert tuple(features.shape[2:]) == tokenizer.grid_size
    assert tokenizer(torch.zeros(2, 1, rows, columns)).shape == (2, tokenizer.num_patches, 4)


def test_32_pixels_make_256_tokens():
    assert ConvTokenizer(img_size=32).num_patches == 256


def test_attention_is_captured_and_read_as_a_mean(network):
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad(), capture(network) as tape:
        logits = network(images)
    attention = tape.attention()
    assert (len(attention.weights), attention.grid, attention.prefix, attention.pool) == (
        2,
        (8, 8),
        0,
        "mean",
    )
    with torch.no_grad():
        torch.testing.assert_close(logits, network(images))


def test_only_dropout_makes_two_passes_differ():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 16, 16)
    for rate in (0.0, 0.5):
        network = compact_transformer(image_size=16, attention_dropout=rate, **SMALL).train()
        assert torch.equal(network(images), network(images)) == (rate == 0)


def test_heads_that_do_not_divide():
    with pytest.raises(InputError, match="divide the width 8, got 3"):
        compact_transformer(image_size=16, **SMALL | {"heads": 3})
