"""The table of methods and the one function that runs them."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

from vitscope.capture.tape import capture
from vitscope.errors import CaptureError, InputError, NotFiniteError, UsageError
from vitscope.explain.flow import attention_flow
from vitscope.explain.gradients import attention_gradients
from vitscope.explain.maps import MAPS
from vitscope.explain.methods import METHODS, explain, find_method, method_options
from vitscope.explain.raw import raw_attention
from vitscope.explain.relevance import gradient_rollout, relevance
from vitscope.explain.rollout import rollout
from vitscope.inference.hf_source import HuggingFaceNetwork
from vitscope.models.registry import build_model
from vitscope.models.transformers import vision_transformer

# Fewer passes than by default where many would show nothing more.
LIGHT = {
    "integrated-gradients": {"steps": 5},
    "smoothgrad": {"samples": 5},
    "gradient-shap": {"samples": 5},
    "occlusion": {"window": 4, "stride": 4},
}


@pytest.fixture(scope="module")
def model():
    """Small in every way, so that hundreds of passes cost little."""
    torch.manual_seed(0)
    options = {"image_size": 16, "channels": 3, "width": 16, "depth": 3, "heads": 2, "patch_size": 4}
    model = vision_transformer(classes=5, **options).eval()
    nn.init.normal_(model.head.weight)
    return model


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(3))


def trace(model):
    """What must be the same before and after: weights, gradients, modes, hooks."""
    return (
        {name: value.clone() for name, value in model.state_dict().items()},
        [(each.grad, each.requires_grad) for each in model.parameters()],
        [(each.training, len(each._forward_hooks), len(each._forward_pre_hooks)) for each in model.modules()],
        [len(each._backward_hooks) for each in model.modules()],
    )


def assert_untouched(before, after):
    assert all(torch.equal(value, after[0][name]) for name, value in before[0].items())
    assert before[1:] == after[1:]


def test_the_table_and_the_functions_hold_the_same_names():
    assert list(METHODS) == list(MAPS)
    assert all(name == method.name for name, method in METHODS.items())


def test_the_table_is_read_without_torch():
    code = "import sys, vitscope.explain.methods as table; print(len(table.METHODS), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(METHODS)), "False"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_an_image_and_leaves_no_trace(model, images, method):
    model = model.requires_grad_(False)
    given = images.clone()
    state, drawn = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - captum's generator
    before = trace(model)
    light = LIGHT.get(method, {})
    with torch.inference_mode():
        named = torch.tensor([3, 0, 1])
        explain(model, given, method=method, targets=named, **light)
        heatmap = explain(model, given, method=method, **light)
    assert_untouched(before, trace(model))
    assert torch.equal(given, images)
    assert not given.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == drawn).all()  # noqa: NPY002
    assert len(heatmap) == 3
    assert heatmap.values.dtype == np.float32
    assert all(np.ptp(values) > 0 for values in heatmap.values)
    known = METHODS[method]
    assert heatmap.signed == known.signed
    if not known.signed:
        assert heatmap.values.min() >= 0
    if known.per_class:
        assert heatmap.targets.tolist() == model(images).argmax(dim=1).tolist()
    else:
        assert heatmap.targets is None


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_equals_its_images_and_a_call_its_repetition(model, images, method):
    targets, light = torch.tensor([4, 0, 2]), LIGHT.get(method, {})
    whole = explain(model, images, method=method, targets=targets, **light).values
    again = explain(model, images, method=method, targets=targets, **light).values
    np.testing.assert_array_equal(again, whole)
    for number in (2, 0):
        some = slice(number, number + 1)
        one = explain(model, images[some], method=method, targets=targets[some], **light).values[0]
        np.testing.assert_allclose(one, whole[number], rtol=2e-3, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.per_class])
def test_targets_choose_the_class(model, images, method):
    light = LIGHT.get(method, {})
    one, other = (
        explain(model, images, method=method, targets=torch.full((3,), each), **light) for each in (1, 3)
    )
    assert one.targets.tolist() == [1, 1, 1]
    assert np.abs(one.values - other.values).max() > 0.01 * np.abs(one.values).max()
    with pytest.raises(InputError, match="got 5"):
        explain(model, images, method=method, targets=torch.tensor([0, 1, 5]))
    with pytest.raises(InputError, match="3 whole numbers"):
        explain(model, images, method=method, targets=torch.tensor([0]))


def test_attention_methods_equal_their_functions(model, images):
    with torch.no_grad(), capture(model) as tape:
        model(images)
    attention, gradients = tape.attention(), attention_gradients(model, images)
    expected = {
        ("rollout", ()): rollout(attention),
        ("rollout", (("fuse", "max"), ("discard", 0.5))): rollout(attention, fuse="max", discard=0.5),
        ("rollout", (("layers", (0, 1)),)): rollout(attention, layers=(0, 1)),
        ("flow", (("fuse", "min"),)): attention_flow(attention, fuse="min"),
        ("raw", (("layer", 1), ("head", 1))): raw_attention(attention, 1)[1],
        ("gradient-rollout", ()): gradient_rollout(gradients),
        ("relevance", ()): relevance(gradients),
    }
    for (method, options), own in expected.items():
        found = explain(model, images, method=method, **dict(options))
        np.testing.assert_allclose(found.values, own.values, rtol=1e-4, atol=1e-7)
        assert found.options == own.options
    mean = np.mean([head.values for head in raw_attention(attention)], axis=0)
    np.testing.assert_allclose(explain(model, images, method="raw").values, mean, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "near"),
    [("Rollout", "rollout"), ("gradient_rollout", "gradient-rollout"), ("relevence", "relevance")],
)
def test_unknown_methods_name_the_nearest_and_all(name, near):
    with pytest.raises(UsageError, match="there are rollout, raw, ") as caught:
        find_method(name)
    assert caught.value.hint == f"did you mean {near}?"
    with pytest.raises(UsageError) as caught:
        find_method("§")
    assert caught.value.hint == "choose one of these"


def test_unknown_options(model, images):
    with pytest.raises(UsageError, match="rollout has no option 'fused'") as caught:
        explain(model, images, method="rollout", fused="max")
    assert caught.value.hint == "did you mean fuse?"
    with pytest.raises(UsageError) as caught:
        explain(model, images, method="relevance", steps=3)
    assert caught.value.hint == "it has grid, prefix, pool"
    assert method_options("flow") == {"fuse": "mean", "grid": None, "prefix": None, "pool": None}


def test_inputs_that_no_method_takes(model, images):
    for wrong in (images[0], (images * 10).to(torch.uint8), images[:0]):
        with pytest.raises(InputError, match="expected normalised float images"):
            explain(model, wrong, method="rollout")
    with pytest.raises(InputError, match="a head in 0 … 1, got 2"):
        explain(model, images, method="raw", head=2)
    training = copy.deepcopy(model)
    training.blocks[1].train()
    with pytest.raises(UsageError, match=r"blocks\.1 is in training mode"):
        explain(training, images, method="rollout")


@pytest.mark.parametrize("method", METHODS)
def test_models_that_a_method_does_not_apply_to_are_refused_with_a_reason(model, images, method):
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.head.weight.fill_(float("nan"))
    with pytest.raises(NotFiniteError):
        explain(broken, images, method=method)
    if METHODS[method].applies.startswith("transformers"):
        with pytest.raises(CaptureError, match=r"no attention|no transformer blocks"):
            explain(timm.create_model("test_resnet", num_classes=3).eval(), images, method=method)


def others(kind):
    """A small model of another kind, its images' side, and whether it has a chain of global attention."""
    torch.manual_seed(0)
    if kind == "vision":
        return torchvision.models.VisionTransformer(32, 8, 3, 4, 16, 32, num_classes=5), 32, True
    if kind == "hybrid":
        options = {"classes": 5, "image_size": 16, "channels": 3, "width": 24, "depth": 2}
        return build_model("hybrid", options), 16, True
    if kind == "hugging face":
        import transformers  # seconds, which the fast tests can do without

        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
        config = transformers.ViTConfig(image_size=16, patch_size=4, num_labels=5, **sizes)
        return HuggingFaceNetwork(transformers.ViTForImageClassification(config)), 16, True
    if kind == "registers":
        name, options = (
            "vit_medium_patch16_reg4_gap_256",
            {"embed_dim": 24, "num_heads": 2, "depth": 2, "init_values": 1.0},
        )
        return timm.create_model(name, img_size=24, patch_size=8, num_classes=5, **options), 24, True
    if kind == "windows":
        options = {"img_size": 28, "depths": (1, 1), "num_heads": (2, 2), "embed_dim": 16, "window_size": 4}
        return timm.create_model("swin_tiny_patch4_window7_224", num_classes=5, **options), 28, False
    return timm.create_model("test_resnet", num_classes=5), 64, False


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vision", "hybrid", "hugging face", "registers", "windows", "convolutions"])
def test_every_method_on_every_kind_of_model(kind):
    model, side, chain = others(kind)
    for parameter in model.parameters():
        if parameter.ndim == 2 and not parameter.any():
            nn.init.normal_(parameter)  # heads of zeros
    model.eval().requires_grad_(False)
    images = torch.randn(2, 3, side, side)
    before = trace(model)
    for name, method in METHODS.items():
        with torch.inference_mode():
            if method.applies.startswith("transformers") and not chain:
                with pytest.raises(CaptureError):
                    explain(model, images, method=name)
                continue
            heatmap = explain(model, images, method=name)
        assert len(heatmap) == 2
        assert all(np.ptp(values) > 0 for values in heatmap.values)
    assert_untouched(before, trace(model))
