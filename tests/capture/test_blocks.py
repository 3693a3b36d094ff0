"""Blocks: found in any model, their outputs as by hand, and a readout that is the model's own head."""

from __future__ import annotations

import threading

import pytest
import timm
import torch
from torch import nn
from torchvision.models import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer
from transformers import ViTConfig, ViTForImageClassification

from tests.oracles.smallnets import Mixer, SmallNet, fused, image_size, timm_net
from vitscope.capture.blocks import find_blocks, find_layers
from vitscope.errors import CaptureError

SEED = torch.Generator().manual_seed(3)
SMALL = torch.randn(3, 3, 16, 16, generator=SEED)


def close(one, other):
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def torchvision_net():
    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=16, patch_size=8, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=4
    )
    nn.init.normal_(model.heads[0].weight)  # begins at 0, where any readout would do
    return model.eval()


def hugging_face_net():
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16, image_size=16,
        patch_size=8, num_labels=4,
    )  # fmt: skip
    return ViTForImageClassification(config).eval()


@pytest.mark.parametrize(
    "kind", ["vit", "wide", "distilled", "registers_mean", "eva02", "relative", "hybrid"]
)
def test_the_last_blocks_tokens_give_the_logits(kind):
    model = timm_net(kind)
    images = torch.randn(2, 3, *image_size(kind), generator=SEED)
    blocks = find_blocks(model)
    with torch.no_grad():
        tokens = blocks.outputs(images)
        logits = blocks.readout(torch.cat(tokens), images)
        close(logits[-2:], model(images))
    assert blocks.names == tuple(f"blocks.{number}" for number in range(len(model.blocks)))
    assert not torch.equal(logits[:2], logits[-2:])


@pytest.mark.parametrize("kind", ["vit", "registers"])
def test_any_blocks_tokens_as_by_hand(kind):
    model = timm_net(kind)
    images = torch.randn(2, 3, *image_size(kind), generator=SEED)
    with torch.no_grad():
        own = model.norm_pre(model._pos_embed(model.patch_embed(images)))
        for tokens, block in zip(find_blocks(model).outputs(images), model.blocks, strict=True):
            own = block(own)
            close(tokens, own)
            close(find_blocks(model).readout(tokens, images), model.forward_head(model.norm(own)))


def test_torchvision():
    model = torchvision_net()
    blocks = find_blocks(model)
    with torch.no_grad():
        tokens = blocks.outputs(SMALL)
        close(blocks.readout(tokens[-1], SMALL), model(SMALL))
        close(blocks.readout(tokens[0], SMALL), model.heads(model.encoder.ln(tokens[0])[:, 0]))
    assert blocks.names == tuple(f"encoder.layers.encoder_layer_{number}" for number in range(3))


def test_hugging_face():
    model = hugging_face_net()
    blocks = find_blocks(model)
    with torch.no_grad():
        made = model(SMALL, output_hidden_states=True)
        tokens = blocks.outputs(SMALL)
        close(tokens[0], made.hidden_states[1])
        close(blocks.readout(tokens[-1], SMALL), made.logits)
        close(blocks.readout(tokens[1], SMALL), model.classifier(model.vit.layernorm(tokens[1])[:, 0]))


def test_a_readout_has_gradients():
    model = timm_net("vit").double()
    images = torch.randn(2, 3, 32, 32, generator=SEED, dtype=torch.float64)
    blocks = find_blocks(model)
    tokens = blocks.outputs(images)[0].detach().requires_grad_()
    score = blocks.readout(tokens, images)[:, 1].sum()
    own = model.forward_head(model.norm(tokens))[:, 1].sum()
    close(torch.autograd.grad(score, tokens)[0], torch.autograd.grad(own, tokens)[0])


def test_the_image_of_a_readout_changes_nothing():
    model = timm_net("vit")
    images = torch.randn(2, 3, 32, 32, generator=SEED)
    blocks = find_blocks(model)
    with torch.no_grad():
        tokens = blocks.outputs(images)[1]
        assert torch.equal(blocks.readout(tokens, images), blocks.readout(tokens, torch.zeros_like(images)))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_way_around_the_blocks_is_refused(rows):
    """What stands before the blocks and is added after them would be the first image's for every row."""

    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = timm_net("vit")

        def forward(self, images):
            tokens = self.trunk._pos_embed(self.trunk.patch_embed(images))
            return self.trunk.forward_head(self.trunk.norm(tokens + self.trunk.blocks(tokens)))

    images = torch.randn(rows, 3, 32, 32, generator=SEED)
    blocks = find_blocks(Around().eval())
    with torch.no_grad(), pytest.raises(CaptureError, match="does not read tokens"):
        blocks.readout(blocks.outputs(images)[-1], images)


def test_a_wrapper_is_looked_through():
    model = nn.Sequential(nn.Identity(), nn.ModuleDict({"net": timm_net("vit")})["net"])
    assert find_blocks(model).names == ("1.blocks.0", "1.blocks.1", "1.blocks.2")


def test_no_trace_is_left_also_after_an_exception():
    model = timm_net("vit")
    blocks = find_blocks(model)
    before = [(len(m._forward_hooks), len(m._forward_pre_hooks), m.training) for m in model.modules()]
    with pytest.raises(ValueError, match="stop"), blocks.recording():
        raise ValueError("stop")
    with pytest.raises(CaptureError, match="does not read tokens"):
        blocks.readout(torch.zeros(1, 65, 7), torch.zeros(1, 3, 32, 32))
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks), m.training) for m in model.modules()] == before
    assert all(parameter.grad is None for parameter in model.parameters())


def test_each_pass_begins_anew_and_other_threads_are_not_seen():
    model = timm_net("vit")
    images = torch.randn(2, 3, 32, 32, generator=SEED)
    blocks = find_blocks(model)
    with torch.no_grad(), blocks.recording() as record:
        model(images[:1])
        model(images)
        other = threading.Thread(target=lambda: model(images[:1]))
        other.start()
        other.join()
    assert [len(tokens) for tokens in record.tokens(2)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("resnet18", {"channels": (8, 8, 8, 8)}, 8),
        ("convnext_atto", {"depths": (1, 1, 1, 1), "dims": (8, 8, 8, 8)}, 4),
        ("regnety_002", {}, 5),
        ("mixer_s32_224", {"img_size": 32}, 8),
        ("vit_tiny_r_s16_p8_224", {"depth": 2, "img_size": 32}, 3),
    ],
)
def test_layers_of_any_trunk(name, options, found):
    model = timm.create_model(name, pretrained=False, num_classes=2, **options).eval()
    layers = find_layers(model)
    with torch.no_grad(), layers.recording() as record:
        model(torch.zeros(1, 3, 32, 32))
    assert len(record.features()) == found


def test_stages_among_what_joins_them_give_their_blocks():
    """Torchvision's Swin: a list of stages, each a list of blocks, and the mergings between them."""
    model = SwinTransformer([2, 2], 8, [1, 2, 1], [1, 1, 1], [2, 2], num_classes=2).eval()
    expected = ("features.1.0", "features.2", "features.3.0", "features.3.1", "features.4", "features.5.0")
    assert find_layers(model).names == expected
    with torch.no_grad(), find_layers(model).recording() as record:
        model(torch.zeros(1, 3, 16, 16))
    assert len(record.features()) == len(expected)


def test_a_plain_stack_of_convolutions():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(288, 2))
    assert find_layers(model).names == ("0", "2")


SWIN = {"window_size": 2, "embed_dim": 8, "depths": (1, 1), "num_heads": (1, 1)}


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("resnet18", {"channels": (8, 8, 8, 8)}, "no transformer blocks"),
        ("swin_tiny_patch4_window7_224", SWIN | {"img_size": 32}, r"not \[image, token, channel\]"),
        (
            "cait_xxs24_224",
            {"depth": 2, "embed_dim": 16, "num_heads": 2, "img_size": 32},
            "the tokens change",
        ),
        ("mobilevit_xxs", {}, "stand among others"),
    ],
)
def test_what_is_no_chain_is_refused(name, options, why):
    model = timm.create_model(name, pretrained=False, num_classes=2, **options).eval()
    with torch.no_grad(), pytest.raises(CaptureError, match=why):
        find_blocks(model).outputs(torch.zeros(1, 3, 32, 32))


def test_blocks_of_two_streams_are_refused():
    class Both(nn.Linear):
        def forward(self, images):
            return [super().forward(images), images]

    model = nn.Sequential(Both(16, 16))
    with pytest.raises(CaptureError, match="puts out no tensor but list"):
        find_blocks(model, names=("0",)).outputs(SMALL)


def test_names_can_be_told():
    model = SmallNet(Mixer(fused))
    with pytest.raises(CaptureError, match="no transformer blocks"):
        find_blocks(model)
    images = torch.randn(2, 3, 16, 16, generator=SEED)
    blocks = find_blocks(model, names=("mixer",))
    assert [list(tokens.shape) for tokens in blocks.outputs(images)] == [[2, 16, 8]]
    with pytest.raises(CaptureError, match="no module 'mixture'"):
        find_blocks(model, names=("mixture",))
    with pytest.raises(CaptureError, match="at least one"):
        find_blocks(model, names=())


def test_outputs_that_are_changed_in_place():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3)).eval()
    layers = find_layers(model)
    with torch.no_grad(), layers.recording() as record:
        model(SMALL)
        assert torch.equal(record.features()[0], model[0](SMALL))
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(inplace=True))
    with torch.no_grad(), find_layers(model, names=("0",)).recording() as record:
        model(SMALL)
    with pytest.raises(CaptureError, match="output of 0 was changed in place"):
        record.features()


def test_a_block_that_runs_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.mixer = nn.Linear(3, 3)

        def forward(self, images):
            return self.mixer(self.mixer(images.mean(dim=(2, 3))))

    with pytest.raises(CaptureError, match="1 blocks ran 2 times"):
        find_blocks(Twice(), names=("mixer",)).outputs(SMALL)
