"""Patch sizes and the convolution stem."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitscope.errors import InputError
from vitscope.models.tokenizers import ConvStem
from vitscope.models.transformers import patch_size_for, vision_transformer


@pytest.mark.parametrize(
    ("image_size", "patch"), [(32, 4), (28, 4), (64, 8), (224, 16), (8, 2), (16, 2), (48, 6), (14, 2), (9, 3)]
)
def test_patch_sizes_by_hand(image_size, patch):
    assert patch_size_for(image_size) == patch


@given(st.integers(4, 1024))
def test_the_patch_size_is_the_largest_that_leaves_seven_a_side(image_size):
    possible = [patch for patch in range(2, 17) if image_size % patch == 0 and image_size >= 2 * patch]
    if not possible:
        with pytest.raises(InputError):
            patch_size_for(image_size)
        return
    patch = patch_size_for(image_size)
    assert patch in possible
    if any(image_size // each >= 7 for each in possible):
        assert image_size // patch >= 7
        assert all(image_size // each < 7 for each in possible if each > patch)
    else:
        assert patch == possible[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 41), st.integers(1, 41))
def test_the_stems_grid_is_that_of_its_output(rows, columns):
    stem = ConvStem(img_size=(rows, columns), in_chans=1, embed_dim=8).eval()
    features = stem.layers(torch.zeros(1, 1, rows, columns))
    assert tuple(features.shape[2:]) == stem.grid_size
    assert stem(torch.zeros(2, 1, rows, columns)).shape == (2, stem.num_patches, 8)


def test_the_stems_tokens_are_in_row_order():
    torch.manual_seed(0)
    stem = ConvStem(img_size=8, in_chans=3, embed_dim=5).eval()
    images = torch.randn(2, 3, 8, 8)
    features, tokens = stem.layers(images), stem(images)
    assert torch.equal(tokens[1, 3], features[1, :, 1, 1])


def test_a_stem_takes_odd_images_where_patches_cannot():
    network = vision_transformer(
        classes=3, image_size=37, channels=1, width=8, depth=1, heads=2, stem="convolution"
    ).eval()
    assert network(torch.zeros(2, 1, 37, 37)).shape == (2, 3)
    assert network.pos_embed.shape == (1, 101, 8)


def test_mean_pooling_has_no_class_token():
    network = vision_transformer(classes=3, image_size=8, channels=1, width=8, depth=1, heads=2, pool="mean")
    assert network.cls_token is None
    assert network.pos_embed.shape == (1, 16, 8)


def test_stochastic_depth_rises_linearly_from_zero():
    network = vision_transformer(
        classes=3, image_size=8, channels=1, width=8, depth=5, heads=2, drop_path=0.4
    )
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in network.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
