"""The models by name: sizes, options, and what is refused."""

from __future__ import annotations

import json

import pytest
import torch

from tests.oracles import parameters
from vitscope.errors import InputError
from vitscope.models.registry import MODELS, build_model, resolve_options

CIFAR = {"classes": 10, "image_size": 32, "channels": 3}
WIDTHS = {"vit-tiny": (192, 12, 3), "vit-micro": (96, 6, 3), "hybrid": (384, 8, 6)}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_published_sizes():
    assert count(build_model("vit-tiny", CIFAR)) == 5_362_762
    assert count(build_model("resnet18", CIFAR)) == 11_173_962
    assert count(build_model("cct-7-3x1", CIFAR)) == 3_760_139


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize(("image_size", "channels", "classes"), [(32, 3, 10), (28, 1, 3), (8, 1, 10)])
def test_transformers_have_the_parameters_of_the_formula(name, pool, image_size, channels, classes):
    width, depth, _ = WIDTHS[name]
    data = {"classes": classes, "image_size": image_size, "channels": channels}
    options = resolve_options(name, data | {"pool": pool})
    with torch.device("meta"):
        network = build_model(name, options)
    assert count(network) == parameters.transformer(
        **data,
        width=width,
        depth=depth,
        patch=options["patch_size"],
        pool=pool,
        convolution=name == "hybrid",
    )


@pytest.mark.parametrize(("image_size", "stem"), [(8, 3), (64, 3), (65, 7), (96, 7)])
def test_resnet18_has_the_parameters_of_the_formula(image_size, stem):
    network = build_model("resnet18", {"classes": 7, "image_size": image_size, "channels": 1})
    assert count(network) == parameters.resnet18(classes=7, channels=1, stem=stem)
    assert network.conv1.kernel_size == (stem, stem)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("image_size", "channels"), [(8, 1), (28, 1), (32, 3)])
def test_logits_of_any_image_size(name, image_size, channels):
    small = {"width": 24, "depth": 2, "heads": 2} if MODELS[name].attention else {}
    data = {"classes": 5, "image_size": image_size, "channels": channels}
    if name == "airbench" and image_size < 9:
        with pytest.raises(InputError, match="at least 9 pixels, got 8"):
            build_model(name, data)
        return
    network = build_model(name, data | small).eval()
    with torch.inference_mode():
        logits = network(torch.zeros(3, channels, image_size, image_size))
    assert logits.shape == (3, 5)


@pytest.mark.parametrize("name", MODELS)
def test_resolved_options_are_complete(name):
    given = CIFAR | ({"width": 24} if name == "airbench" else {"drop_path": 0.2})
    options = resolve_options(name, given)
    assert json.loads(json.dumps(options)) == options
    assert None not in options.values()
    assert resolve_options(name, options) == options
    assert set(options) == set(MODELS[name].options) | set(CIFAR)
    with torch.device("meta"):
        first, again = build_model(name, given), build_model(name, options)
    shapes = [{key: value.shape for key, value in each.state_dict().items()} for each in (first, again)]
    assert shapes[0] == shapes[1]
    assert str(first) == str(again)


def test_none_takes_the_default():
    assert resolve_options("vit-tiny", CIFAR | {"width": None}) == resolve_options("vit-tiny", CIFAR)


@pytest.mark.parametrize(
    ("name", "change", "message", "hint"),
    [
        ("vit-tini", {}, "unknown model 'vit-tini'", "vit-tiny"),
        (
            "zzz",
            {},
            "unknown model",
            "there are vit-tiny, vit-micro, hybrid, cct-7-3x1, resnet18, airbench; timm:NAME",
        ),
        ("vit-tiny", {"widht": 3}, "vit-tiny has no option 'widht'", "width"),
        ("vit-tiny", {"stem": "convolution"}, "no option 'stem'", ""),
        ("resnet18", {"patch_size": 4}, "resnet18 has no option 'patch_size'", "drop"),
        ("vit-tiny", {"heads": 5}, "divide the width 192, got 5", "model.heads"),
        ("vit-tiny", {"heads": 0}, "divide the width 192, got 0", "model.heads"),
        ("vit-tiny", {"pool": "max"}, "`cls` or `mean`, got 'max'", "model.pool"),
        ("vit-tiny", {"patch_size": 5}, "divides 32, got 5", "model.patch_size"),
        ("vit-tiny", {"patch_size": -4}, "divides 32, got -4", "model.patch_size"),
        ("vit-tiny", {"mlp_ratio": 0.001}, "0.001 times 192", "model.mlp_ratio"),
        ("vit-tiny", {"image_size": 37}, "divides an image size of 37", "data.image_size"),
        ("hybrid", {"patch_size": 8}, "patches of 4 pixels, not 8", "model.patch_size"),
    ],
)
def test_what_does_not_fit_is_refused(name, change, message, hint):
    with pytest.raises(InputError) as caught:
        build_model(name, CIFAR | change)
    assert message in str(caught.value)
    assert hint in caught.value.hint
