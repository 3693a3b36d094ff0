"""The fast convolution network: whitening, first weights, sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles import networks
from vitscope.models.airbench import airbench

COLOUR = {"classes": 10, "image_size": 32, "channels": 3}


def test_parameters_by_hand():
    network = airbench(**COLOUR)
    filters = 24 * 64 + 64 * 64 + 64 * 256 + 256 * 256 + 256 * 256 + 256 * 256
    norms = 2 * 2 * (64 + 256 + 256)
    assert sum(each.numel() for each in network.parameters()) == 24 * 13 + 9 * filters + norms + 2560


@pytest.mark.parametrize("channels", [1, 3])
def test_whitened_patches_have_unit_moments(channels):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(300, channels, 6, 6, generator=generator)
    images[:, :, 1:] += 0.8 * images[:, :, :-1]  # neighbours that look alike
    network = airbench(classes=2, image_size=9, channels=channels, width=4)
    network.initialize_from(images)
    filters = network.whiten.weight.detach().numpy().reshape(2 * channels * 4, -1)
    half = len(filters) // 2
    np.testing.assert_array_equal(filters[half:], -filters[:half])
    white = networks.patches(images.numpy(), 2) @ filters[:half].T
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(half), atol=0.01)


def test_the_whitening_is_not_trained_and_the_norms_have_no_scale():
    network = airbench(**COLOUR)
    frozen = {name for name, each in network.named_parameters() if not each.requires_grad}
    norms = {f"groups.{group}.norm{number}.weight" for group in range(3) for number in (1, 2)}
    assert frozen == {"whiten.weight"} | norms


def test_the_first_filters_pass_their_channel_on():
    network = airbench(**COLOUR)
    images = torch.randn(1, 24, 5, 5)
    passed = network.groups[0].conv1(images)
    assert torch.equal(passed[:, :24], images)
    assert passed.shape == (1, 64, 5, 5)


def test_logits_are_a_ninth_of_the_heads():
    network = airbench(**COLOUR).eval()
    with torch.no_grad():
        network.head.weight.zero_()[:, 0] = 9
        images = torch.randn(2, 3, 32, 32)
        features = network.groups(network.activation(network.whiten(images)))
        assert features.shape == (2, 256, 3, 3)
        expected = features.amax(dim=(2, 3))[:, :1].expand(2, 10)
        torch.testing.assert_close(network(images), expected)
