"""What capture records equals what each model computes by its own explicit code."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from tests.oracles.smallnets import (
    LAYOUTS,
    TIMM,
    Mixer,
    SmallNet,
    by_hand,
    fused,
    image_size,
    own_attention,
    timm_net,
)
from vitscope.capture.tape import capture


def run(model, images, **options):
    with torch.no_grad(), capture(model, **options) as tape:
        logits = model(images)
    return logits, tape.attention()


@pytest.mark.parametrize("kind", TIMM)
def test_timm_models(kind):
    model = timm_net(kind)
    images = torch.randn(2, 3, *image_size(kind))
    with torch.no_grad():
        plain = model(images)
    logits, attention = run(model, images)
    expected, _ = own_attention(model, images)
    assert (logits - plain).abs().max() <= 1e-5
    assert (attention.grid, attention.prefix, attention.pool) == LAYOUTS[kind]
    assert len(attention.weights) == len(expected) == len(model.blocks)
    assert attention.layers == tuple(f"blocks.{number}.attn" for number in range(len(expected)))
    for seen, own in zip(attention.weights, expected, strict=True):
        assert seen.dtype is torch.float32
        torch.testing.assert_close(seen, own, atol=1e-5, rtol=0)
        torch.testing.assert_close(seen.sum(dim=-1), torch.ones(seen.shape[:-1]), atol=1e-5, rtol=0)
    assert attention.logits is logits


@pytest.mark.parametrize("kind", ["vit", "beit", "eva02", "relative"])
def test_timm_models_without_fused_kernels(kind):
    model = timm_net(kind)
    images = torch.randn(2, 3, *image_size(kind))
    expected, _ = own_attention(model, images)
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    _, attention = run(model, images)
    for seen, own in zip(attention.weights, expected, strict=True):
        assert torch.equal(seen, own)
    assert attention.layers == tuple(f"blocks.{number}.attn" for number in range(len(expected)))


def test_torchvision_vit_by_its_own_need_weights():
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(32, 8, 2, 4, 16, 32, num_classes=5).eval()
    images = torch.randn(3, 3, 32, 32)
    own = []
    original = nn.MultiheadAttention.forward
    for layer in model.encoder.layers:
        attend = layer.self_attention

        def spy(query, key, value, attend=attend, **_):
            output, weights = original(
                attend, query, key, value, need_weights=True, average_attn_weights=False
            )
            own.append(weights)
            return output, weights

        attend.forward = spy
    with torch.no_grad():
        plain = model(images)
    for layer in model.encoder.layers:
        del layer.self_attention.forward
    logits, attention = run(model, images)
    assert (logits - plain).abs().max() <= 1e-5
    assert (attention.grid, attention.prefix, attention.pool) == ((4, 4), 1, "cls")
    for seen, expected in zip(attention.weights, own, strict=True):
        torch.testing.assert_close(seen, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("asked", "average"), [(True, True), (True, False), (False, True)])
def test_multihead_attention_returns_what_it_was_asked_for(asked, average):
    attend = nn.MultiheadAttention(8, 2, batch_first=True).eval()

    class Asking(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = attend

        def forward(self, tokens):
            self.given = self.attend(
                tokens, tokens, tokens, need_weights=asked, average_attn_weights=average
            )[1]
            return self.given is not None, self.attend(tokens, tokens, tokens)[0]

    class Whole(SmallNet):
        def forward(self, images):
            tokens = self.cut(images).flatten(2).transpose(1, 2)
            return self.mixer(tokens)[1]

    asking = Asking()
    model = Whole(asking)
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        model(images)
    plain = asking.given
    with torch.no_grad(), capture(model):
        model(images)
    seen = asking.given
    assert (plain is None) == (seen is None)
    if plain is not None:
        torch.testing.assert_close(seen, plain)


def test_transformer_encoder_of_torch_whose_fast_path_hides_it():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = SmallNet(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))
    images = torch.randn(3, 3, 8, 16)
    with torch.no_grad():
        plain = model(images)
    logits, attention = run(model, images)
    assert (logits - plain).abs().max() <= 1e-5
    assert attention.layers == ("mixer.layers.0.self_attn", "mixer.layers.1.self_attn")
    assert attention.grid == (2, 4)


def test_attention_by_hand_equals_the_fused_one():
    torch.manual_seed(3)
    mixer = Mixer(fused)
    model = SmallNet(mixer, cls=True)
    images = torch.randn(2, 3, 16, 16)
    logits, attention = run(model, images)
    mixer.compute = by_hand
    other_logits, other = run(model, images)
    torch.testing.assert_close(logits, other_logits)
    torch.testing.assert_close(attention.weights[0], other.weights[0])
    assert attention.layers == other.layers == ("mixer",)


@pytest.mark.parametrize("how", ["mean", "max", "min"])
def test_heads_fused_on_the_fly(how):
    model = timm_net("vit")
    images = torch.randn(2, 3, 32, 32)
    _, every = run(model, images)
    _, one = run(model, images, heads=how)
    assert one.heads == how
    reduce = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}[how]
    for seen, whole in zip(one.weights, every.weights, strict=True):
        torch.testing.assert_close(seen, reduce(whole, dim=1, keepdim=True))
