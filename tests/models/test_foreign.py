"""Models of timm and torchvision by name: what they take, and what is refused."""

from __future__ import annotations

import pytest
import timm
import torch

from vitscope.errors import InputError
from vitscope.models.foreign import is_foreign
from vitscope.models.head import head_of
from vitscope.models.registry import build_model, is_convolutional, resolve_options

DATA = {"classes": 7, "image_size": 32, "channels": 3}


def test_names():
    assert is_foreign("timm:test_vit")
    assert is_foreign("torchvision:resnet18")
    assert not any(is_foreign(name) for name in ("vit-tiny", "timm", "hf:test_vit", ""))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("timm:test_vit", {"drop_path": 0.2, "dropout": 0.1, "attention_dropout": 0.1}),
        ("timm:test_vit.r160_in1k", {}),
        ("timm:test_resnet", {"drop_path": 0.2, "channels": 1, "image_size": 40}),
        pytest.param("torchvision:mobilenet_v3_small", {"dropout": 0.3}, marks=pytest.mark.slow),
    ],
)
def test_a_model_takes_its_options(name, options):
    resolved = resolve_options(name, DATA | options | {"width": None})
    assert resolved == DATA | options
    network = build_model(name, resolved).eval()
    with torch.inference_mode():
        logits = network(torch.zeros(1, resolved["channels"], resolved["image_size"], resolved["image_size"]))
    assert logits.shape == (1, 7)


def test_the_options_arrive():
    network = build_model(
        "timm:test_vit", DATA | {"drop_path": 0.2, "dropout": 0.1, "attention_dropout": 0.3}
    )
    assert network.blocks[-1].drop_path1.drop_prob == pytest.approx(0.2)
    assert network.blocks[0].attn.attn_drop.p == 0.3
    assert network.head_drop.p == 0.1
    assert network.patch_embed.img_size == (32, 32)


@pytest.mark.parametrize(
    ("name", "change", "message", "hint"),
    [
        ("timm:test_vitt", {}, "timm has no model 'test_vitt'", "did you mean timm:test_vit"),
        ("timm:hf-hub:timm/test_vit", {}, "timm has no model 'hf-hub:timm/test_vit'", ""),
        ("timm:local-dir:/etc", {}, "timm has no model", ""),
        ("timm:", {}, "timm has no model ''", ""),
        ("timm:test_vit.mine", {}, "timm knows no weights 'test_vit.mine'", "r160_in1k"),
        ("torchvision:resnet19", {}, "torchvision has no model 'resnet19'", "resnet18"),
        ("torchvision:fcn_resnet50", {}, "torchvision has no model", ""),
        ("torchvision:resnet18.V9", {}, "knows no weights", "IMAGENET1K_V1"),
        ("timm:test_vit", {"width": 9}, "has no option 'width'", "leave model.width out"),
        ("timm:test_resnet", {"attention_dropout": 0.1}, "has no option 'attention_dropout'", "leave"),
        ("torchvision:mobilenet_v3_small", {"drop_path": 0.1}, "has no option 'drop_path'", "leave"),
        ("torchvision:swin_t", {"drop_path": 0.1}, "has no option 'drop_path'", "leave"),
        ("torchvision:resnet18", {"channels": 1}, "takes colour images only", "timm"),
        (
            "timm:test_vit",
            {"image_size": 30},
            "patches of 16 pixels, which do not divide 30",
            "data.image_size",
        ),
        ("timm:test_resnet", {"image_size": 4096}, "1 to 1024 pixels", ""),
        ("timm:test_maxvit", {"image_size": 50}, "does not work with images of 50 pixels", "data.image_size"),
    ],
)
def test_what_is_refused(name, change, message, hint):
    with pytest.raises(InputError) as caught:
        resolve_options(name, DATA | change)
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint


@pytest.mark.slow
def test_two_outputs_in_training_are_refused():
    with pytest.raises(InputError, match="something else than one logit a class while it is trained"):
        resolve_options("torchvision:googlenet", DATA)


def test_the_head_by_name():
    with torch.device("meta"):
        names = {
            name: head_of(build_model(name, DATA))
            for name in ("vit-micro", "cct-7-3x1", "resnet18", "airbench", "torchvision:mobilenet_v3_small")
        }
        distilled = head_of(timm.create_model("deit_tiny_distilled_patch16_224", depth=1))
    assert list(names.values()) == [("head",), ("head",), ("fc",), ("head",), ("classifier.3",)]
    assert distilled == ("head", "head_dist")
    with pytest.raises(InputError, match="no layer that gives logits"):
        head_of(torch.nn.Flatten())


def test_which_networks_convolve():
    found = {}
    for name in ("vit-micro", "resnet18", "timm:test_vit", "timm:test_resnet"):
        with torch.device("meta"):
            found[name] = is_convolutional(name, build_model(name, DATA))
    assert list(found.values()) == [False, True, False, True]
