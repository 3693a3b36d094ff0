"""LeGrad: against explicit attention in plain loops, by hand, and where it does not apply."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from tests.oracles.legrad import layer_gradients, legrad_map
from tests.oracles.smallnets import Mixer, SmallNet, fused
from vitscope.errors import CaptureError, InputError, NotFiniteError
from vitscope.explain.legrad import legrad
from vitscope.models.transformers import vision_transformer


def small_vit(pool="cls"):
    torch.manual_seed(0)
    options = {"image_size": 8, "channels": 1, "width": 12, "depth": 3, "heads": 3, "patch_size": 4}
    model = vision_transformer(classes=4, pool=pool, **options).double().eval()
    nn.init.normal_(model.head.weight)
    for norm in (model.norm, model.fc_norm):
        if isinstance(norm, nn.LayerNorm):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    return model


class Attention(nn.Module):
    """One head whose values are the tokens themselves."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(2, 2, bias=False, dtype=torch.float64)

    def forward(self, tokens):
        return (
            tokens
            + F.scaled_dot_product_attention(*(self.query(tokens)[:, None], *[tokens[:, None]] * 2))[:, 0]
        )


class TwoAttentions(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = Attention(), Attention()

    def forward(self, tokens):
        return self.two(self.one(tokens))


class ThreeTokens(nn.Module):
    """A class token [1, 1] and two patches, the pixels 1 and 2 as [p, −p]; one block, no norm, a head."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Attention()])
        self.head = nn.Linear(2, 2, bias=False, dtype=torch.float64)
        self.eval()

    def forward(self, images):
        pixels = images.flatten(1)
        patches = torch.stack([pixels, -pixels], dim=2)
        tokens = torch.cat([torch.ones_like(patches[:, :1]), patches], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens[:, 0])


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_equals_explicit_attention_in_plain_loops(pool):
    model = small_vit(pool)
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    targets = torch.tensor([3, 0, 1])
    found = legrad(model, images, targets=targets)
    assert found.targets.tolist() == [3, 0, 1]
    for number, target in enumerate(targets.tolist()):
        gradients = layer_gradients(model, images[number], target)
        expected = legrad_map(gradients, (2, 2), 1 if pool == "cls" else 0)
        np.testing.assert_allclose(found.values[number], expected, rtol=1e-5, atol=1e-9)
    assert (found.values > 0).any()


def test_three_tokens_by_hand():
    """s = w·mean(X + A·X), so ∂s/∂A[q, k] = w·x_k/3 for every query q, whatever A is.

    w_0 = [2, 1] and the pixels 3 and −6: x = [1, 1], [3, −3], [−6, 6], w·x = 3, 3, −6: the map is [1, 0].
    w_1 = −w_0: −3, −3, 6: the map is [0, 2].
    """
    model = ThreeTokens()
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[2.0, 1.0], [-2.0, -1.0]]))
    image = torch.tensor([[[[3.0, -6.0]]]], dtype=torch.float64).repeat(2, 1, 1, 1)
    found = legrad(model, image, targets=torch.tensor([0, 1]), grid=(1, 2)).values
    np.testing.assert_allclose(found, [[[1, 0]], [[0, 2]]], rtol=1e-6, atol=1e-9)


def test_a_batch_equals_its_images_and_leaves_no_trace():
    model = small_vit().requires_grad_(False)
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    with torch.inference_mode():
        whole = legrad(model, images)
        assert torch.is_inference_mode_enabled()
    assert whole.targets.tolist() == model(images).argmax(dim=1).tolist()
    for number in range(3):
        np.testing.assert_allclose(
            legrad(model, images[number : number + 1]).values[0], whole.values[number], rtol=1e-5
        )
    assert not images.requires_grad
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_models_that_have_no_such_chain():
    images = torch.randn(1, 3, 16, 16)
    with pytest.raises(CaptureError, match="no transformer blocks") as caught:
        legrad(timm.create_model("test_resnet", num_classes=3).eval(), images)
    assert caught.value.hint == "Grad-CAM and the gradient methods need no transformer"
    with pytest.raises(CaptureError):
        legrad(SmallNet(Mixer(fused)), images)  # its attention stands in no block
    model = small_vit()
    with pytest.raises(InputError, match="got 4"):
        legrad(model, torch.randn(1, 1, 8, 8, dtype=torch.float64), targets=torch.tensor([4]))
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    with pytest.raises(NotFiniteError):
        legrad(model, torch.randn(1, 1, 8, 8, dtype=torch.float64))


def test_attention_that_is_not_one_in_each_block():
    model = ThreeTokens()
    model.blocks = nn.ModuleList([TwoAttentions(), Attention()])
    with pytest.raises(CaptureError, match="do not stand one in each of"):
        legrad(model, torch.randn(1, 1, 1, 2, dtype=torch.float64), grid=(1, 2))
