"""Cascading randomisation: every parameter, from the top down, of a copy."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from tests.oracles.smallnets import timm_net
from vitscope.errors import InputError
from vitscope.explain.randomisation import parameter_layers, randomised

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def vit():
    return timm_net("vit")


@pytest.fixture(scope="module")
def resnet():
    with torch.device("meta"):  # the names alone matter
        return torchvision.models.resnet18(num_classes=4).eval()


@pytest.fixture(scope="module")
def convolutional():
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Conv2d(width, 6, 3), nn.BatchNorm2d(6), nn.ReLU()) for width in (3, 6)]
    model = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    model(IMAGES)  # statistics of batch normalisation
    return model.eval()


def test_layers_of_a_transformer_go_from_the_answer_to_the_image(vit):
    names = list(parameter_layers(vit, IMAGES))
    assert names[:5] == ["head", "norm", "blocks.2", "blocks.1", "blocks.0"]
    assert set(names[5:]) == {"patch_embed.proj", ""}
    assert names[-1] == ""  # class token and position embeddings


def test_layers_of_a_convolutional_network(resnet):
    names = list(parameter_layers(resnet, IMAGES.to("meta")))
    assert names == ["fc", "layer4", "layer3", "layer2", "layer1", "bn1", "conv1"]


def test_a_name_with_a_digit_is_no_series():
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.dinov2 = nn.Sequential(nn.Flatten(), nn.Linear(3072, 4), nn.Linear(4, 4))

        def forward(self, images):
            return self.dinov2(images)

    assert list(parameter_layers(Wrapped(), IMAGES)) == ["dinov2.2", "dinov2.1"]


@pytest.mark.parametrize("kind", ["vit", "convolutional"])
def test_each_step_redraws_one_layer_more_and_in_the_end_every_parameter(kind, request):
    model = request.getfixturevalue(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layers = [{id(each) for each in part} for part in parameter_layers(model, IMAGES).values()]
    place = {id(value): name for name, value in model.named_parameters()}
    expected: set[str] = set()
    for layer, (_, changed) in zip(layers, randomised(model, IMAGES), strict=True):
        expected |= {place[each] for each in layer}
        now = changed.state_dict()
        for name, value in before.items():
            if name in expected:
                assert not (now[name] == value).any(), name
            else:
                assert torch.equal(now[name], value), name
    assert expected == {name for name, _ in model.named_parameters()}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_draws_keep_mean_and_spread_and_depend_on_the_seed(vit):
    def last(seed):
        for _, model in randomised(vit, IMAGES, seed=seed):
            found = model
        return copy.deepcopy(found.state_dict())

    state = torch.get_rng_state()
    one, same, other = last(0), last(0), last(1)
    assert torch.equal(torch.get_rng_state(), state)
    name = "blocks.1.mlp.fc1.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])
    known = vit.state_dict()
    assert float(one[name].std()) == pytest.approx(float(known[name].std()), rel=0.05)
    assert float(one["blocks.1.norm1.weight"].std()) == pytest.approx(0.02, rel=0.3)  # ones before
    assert float(one["blocks.1.norm1.weight"].mean()) == pytest.approx(1, abs=0.01)


def test_a_shared_parameter_is_redrawn_once():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 4))
    model[2].weight = model[1].weight
    steps = [copied[1].weight.clone() for _, copied in randomised(model, torch.zeros(1, 1, 2, 2))]
    assert torch.equal(steps[0], steps[1])
    assert not torch.equal(steps[0], model[1].weight)


def test_models_that_cannot_be_randomised():
    with pytest.raises(InputError, match="no parameter"):
        next(randomised(nn.Flatten(), IMAGES))

    class Single(nn.Linear):
        def __deepcopy__(self, memo):
            raise RuntimeError("only one of me")

    with pytest.raises(InputError, match="cannot be copied to randomise it: only one of me"):
        next(randomised(Single(2, 2), IMAGES))


def test_numbers_of_layers_do_not_depend_on_what_is_above():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 4))
    *_, (_, whole) = randomised(model, torch.zeros(1, 1, 2, 2))
    with torch.no_grad():
        model[2].weight.fill_(3.0)
    *_, (_, again) = randomised(model, torch.zeros(1, 1, 2, 2))
    assert torch.equal(whole[1].weight, again[1].weight)
    np.testing.assert_allclose(again[2].weight.mean().item(), 3, atol=0.05)
