"""Parameters, multiply-adds and speed, against sums worked by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from tests.oracles.foreign import torchvision_model
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import InputError
from vitscope.inference.classifier import Classifier
from vitscope.inference.cost import model_cost
from vitscope.models.registry import build_model


def classifier(network, side=8, classes=10):
    form = Preprocessing((side, side), 3, (0.5,) * 3, (0.5,) * 3)
    names = [str(index) for index in range(classes)]
    return Classifier(network, classes=names, preprocessing=form)


def vit_multiply_adds(*, tokens, width, depth, patch, classes, ratio=4):
    """The textbook's sum: patches, then per block qkv, two products, projection and MLP; then the head."""
    patches = (tokens - 1) * patch * patch * 3 * width
    block = tokens * width * 3 * width + 2 * tokens * tokens * width + tokens * width * width
    block += 2 * tokens * width * ratio * width
    return patches + depth * block + width * classes


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_linear_layer_and_a_convolution(batch_size):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)
    )
    cost = model_cost(classifier(network), batch_size=batch_size)
    assert cost.multiply_adds == 4 * 4 * 4 * 3 * 3 * 3 + 64 * 10
    assert cost.parameters == 4 * 27 + 4 + 640 + 10
    assert cost.images_per_second > 0
    assert (cost.batch_size, cost.device) == (batch_size, "cpu")
    assert list(cost.metrics()) == [
        "parameters",
        "multiply_adds",
        "images_per_second",
        "batch_size",
        "device",
    ]


def test_grouped_convolutions():
    network = nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.Flatten(), nn.Linear(216, 10, bias=False))
    assert model_cost(classifier(network)).multiply_adds == 6 * 6 * 6 * 9 + 2160


def test_a_vision_transformer_with_its_attention():
    options = {"classes": 10, "image_size": 32, "channels": 3, "width": 48, "depth": 3, "heads": 3}
    network = build_model("vit-tiny", options | {"patch_size": 4})
    cost = model_cost(classifier(network, 32), batch_size=2)
    assert cost.multiply_adds == vit_multiply_adds(tokens=65, width=48, depth=3, patch=4, classes=10)


def test_torchvisions_transformer_whose_fused_kernel_hides_its_products():
    network = VisionTransformer(32, 8, 2, 4, hidden_dim=32, mlp_dim=128, num_classes=10)
    before = torch.backends.mha.get_fastpath_enabled()
    cost = model_cost(classifier(network, 32), batch_size=1)
    assert cost.multiply_adds == vit_multiply_adds(tokens=17, width=32, depth=2, patch=8, classes=10)
    assert torch.backends.mha.get_fastpath_enabled() == before


@pytest.mark.slow
def test_published_numbers():
    """torchvision gives ResNet-18 11,689,512 parameters and 1.814 billion multiply-adds."""
    from torchvision.models import ResNet18_Weights

    meta = ResNet18_Weights.DEFAULT.meta
    cost = model_cost(classifier(torchvision_model("resnet18"), 224, 1000), batch_size=1)
    assert cost.parameters == meta["num_params"]
    assert cost.multiply_adds / 1e9 == pytest.approx(meta["_ops"], rel=1e-3)


def test_weights_that_layers_share_count_once():
    shared = nn.Linear(192, 192)
    network = nn.Sequential(nn.Flatten(), shared, shared, nn.Linear(192, 10))
    cost = model_cost(classifier(network))
    assert cost.parameters == 192 * 192 + 192 + 1930
    assert cost.multiply_adds == 2 * 192 * 192 + 1920


class Delicate(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.head = nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Linear(192, 10)
        self.broken = False

    def forward(self, batch):
        if self.broken:
            raise RuntimeError("by hand")
        return self.head(self.drop(self.norm(batch)).flatten(1))


def test_it_leaves_no_trace():
    model = classifier(Delicate()).train()
    model.network.drop.eval()
    before = {name: module.training for name, module in model.named_modules()}
    statistics = model.network.norm.running_mean.clone()
    fast = torch.backends.mha.get_fastpath_enabled()
    model_cost(model, batch_size=2)
    model.network.broken = True
    with pytest.raises(RuntimeError, match="by hand"):
        model_cost(model, batch_size=2)
    assert {name: module.training for name, module in model.named_modules()} == before
    assert torch.equal(model.network.norm.running_mean, statistics)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert torch.is_grad_enabled()


def test_no_image_is_no_batch():
    with pytest.raises(InputError, match="at least 1, got 0"):
        model_cost(classifier(Delicate()), batch_size=0)
