"""Sizes of models by name, against networks with weights and a hand's sum."""

from __future__ import annotations

import pytest
import torch
from timm import create_model

from vitscope.errors import InputError
from vitscope.inference.sizes import model_size
from vitscope.models.registry import MODELS, build_model

QUICK = ("vit-micro", "resnet18", "airbench")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_parameters_of_a_network_with_weights(name):
    size = model_size(name)
    network = build_model(name, {"classes": 10, "image_size": 32, "channels": 3})
    assert size.parameters == sum(tensor.numel() for tensor in network.parameters())
    assert size.attention == MODELS[name].attention
    assert set(size.options) == set(MODELS[name].options)
    assert not {"classes", "image_size", "channels"} & set(size.options)


def test_multiply_adds_of_vit_tiny_by_hand():
    tokens, width = 65, 192
    block = tokens * width * (3 * width + width + 2 * 4 * width) + 2 * tokens * tokens * width
    size = model_size("vit-tiny")
    assert size.multiply_adds == 64 * 48 * width + 12 * block + 10 * width
    assert size.options["patch_size"] == 4


def test_a_published_number():
    """torchvision gives ResNet-18 1.814 billion multiply-adds and 11,689,512 parameters."""
    size = model_size("resnet18", image_size=224, classes=1000)
    assert (size.parameters, size.multiply_adds) == (11_689_512, 1_814_073_344)


def test_a_model_of_another_library():
    size = model_size("timm:test_vit", image_size=160, classes=7)
    theirs = create_model("test_vit", num_classes=7)
    assert size.parameters == sum(tensor.numel() for tensor in theirs.parameters())
    assert size.attention is None
    assert size.options == {}


def test_sizes_that_do_not_fit():
    with pytest.raises(InputError, match="vit-tny"):
        model_size("vit-tny")
    with pytest.raises(InputError, match="patch"):
        model_size("vit-tiny", image_size=37)


def test_nothing_is_drawn():
    before = torch.get_rng_state()
    model_size("vit-micro")
    assert torch.equal(torch.get_rng_state(), before)
