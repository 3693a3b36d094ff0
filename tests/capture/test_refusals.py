"""What cannot be captured right is an error that names modules, never a part."""

from __future__ import annotations

import re

import pytest
import timm
import torch
from torch import nn

from tests.oracles.smallnets import (
    Mixer,
    SmallNet,
    by_hand,
    changed_in_place,
    cumulated,
    fused,
    over_channels,
    timm_net,
)
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError
from vitscope.explain.methods import METHODS


def refusal(model, size=(16, 16), **options):
    with torch.no_grad(), capture(model, **options) as tape:
        model(torch.randn(2, 3, *size))
    with pytest.raises(CaptureError) as caught:
        tape.attention()
    assert caught.value.exit_code == 3
    return f"{caught.value} / {caught.value.hint}"


class Classes:
    """Mixers whose class names say what they are."""

    class SelfAttention(Mixer):
        pass

    class XCA(Mixer):
        pass


def test_resnet_has_no_attention():
    said = refusal(timm.create_model("resnet18", pretrained=False).eval(), (32, 32))
    assert "no attention" in said
    assert "Grad-CAM" in said


def test_the_hint_names_a_method_that_there_is():
    said = refusal(timm.create_model("resnet18", pretrained=False).eval(), (32, 32))
    named = re.findall(r"--method ([a-z-]+)", said)
    assert named == ["grad-cam"]
    assert set(named) <= set(METHODS)


def test_swin_attends_within_windows():
    model = timm.create_model(
        "swin_tiny_patch4_window7_224", pretrained=False, depths=(1, 1), num_heads=(2, 4)
    )
    said = refusal(model.eval(), (224, 224))
    assert "within windows" in said
    assert "layers.0.blocks.0.attn" in said
    assert "[128, 2, 49, 49] for 2 images" in said


def test_siglip_pools_by_cross_attention():
    model = timm.create_model("vit_base_patch16_siglip_224", pretrained=False, img_size=32, depth=1)
    said = refusal(model.eval(), (32, 32))
    assert "attn_pool" in said
    assert "from some tokens to others" in said


def test_tokens_that_become_fewer():
    model = timm.create_model("pit_ti_224", pretrained=False, depth=(1, 1, 1)).eval()
    said = refusal(model, (224, 224))
    assert "number of tokens changes" in said
    assert "730 in transformers.0.blocks.0.attn, 197 in transformers.1.blocks.0.attn" in said


def test_a_softmax_that_is_changed_before_it_meets_the_values():
    said = refusal(SmallNet(Mixer(changed_in_place)))
    assert said.startswith(
        "mixer: a softmax or matrix [2, 2, 16, 16] that meets the values with weights that"
    )


def test_attention_over_channels():
    said = refusal(SmallNet(Classes.XCA(over_channels)))
    assert said.startswith("mixer: attends over channels")


def test_attention_that_makes_no_matrix():
    said = refusal(SmallNet(Classes.SelfAttention(cumulated)))
    assert said.startswith("the attention of mixer was not seen")


@pytest.mark.parametrize("seen", [fused, by_hand])
def test_a_part_of_the_layers(seen):
    model = SmallNet(nn.Sequential(Mixer(seen), Classes.SelfAttention(cumulated)))
    said = refusal(model)
    assert said.startswith("the attention of mixer.1 was not seen, only that of mixer.0")


def test_the_model_was_not_run():
    with capture(timm_net("vit")) as tape:
        pass
    with pytest.raises(CaptureError, match="did not run"):
        tape.attention()


def test_a_part_of_the_model_was_run():
    model = timm_net("vit")
    with torch.no_grad(), capture(model) as tape:
        model.forward_features(torch.randn(1, 3, 32, 32))
    with pytest.raises(CaptureError, match="did not run"):
        tape.attention()


def test_dropout_in_training():
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, attn_drop_rate=0.1).train()
    with capture(model), pytest.raises(CaptureError, match="dropout"):
        model(torch.randn(1, 3, 32, 32))
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    with capture(model), pytest.raises(CaptureError, match="dropout"):
        model(torch.randn(1, 3, 32, 32))


def test_multihead_attention_with_dropout_in_training():
    model = SmallNet(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)).train()
    with capture(model), pytest.raises(CaptureError, match="dropout"):
        model(torch.randn(1, 3, 8, 8))


@pytest.mark.slow
def test_models_that_hide_their_calls():
    model = SmallNet(Mixer(fused))
    with pytest.raises(CaptureError, match="the model is compiled"), capture(torch.compile(model)):
        pass
    holder = nn.Sequential(nn.Identity(), torch.compile(SmallNet(Mixer(fused))))
    with pytest.raises(CaptureError, match=r"^1 is compiled"), capture(holder):
        pass


def test_no_tensor_of_images():
    model = timm_net("vit")
    with capture(model), pytest.raises(CaptureError, match="without a tensor of images"):
        model(torch.randn(3, 32, 32))


def test_passes_of_different_sizes():
    model = SmallNet(Mixer(fused))
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(1, 3, 16, 16))
        model(torch.randn(1, 3, 8, 8))
    with pytest.raises(CaptureError, match="passes differ"):
        tape.attention()
