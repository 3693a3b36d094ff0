"""Grad-CAM: against differences in plain loops, by hand, on every kind of grid, and the layer it chooses."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

from tests.oracles.gradcam import grad_cam_map, slopes
from tests.oracles.smallnets import Mixer, SmallNet, fused, image_size, timm_net
from vitscope.errors import CaptureError, InputError, NotFiniteError, UsageError
from vitscope.explain.gradcam import grad_cam
from vitscope.models.registry import build_model
from vitscope.models.transformers import vision_transformer


class ConvNet(nn.Module):
    """Two convolutions, a pooling that is not linear, a head; `last` puts the channels behind the columns."""

    def __init__(self, last=False, width=6):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(1, 3, 3, padding=1, stride=2)
        self.act = nn.ReLU(inplace=True)
        self.two = nn.Conv2d(3, width, 3, padding=1)
        self.turn = Turn() if last else nn.Identity()
        self.head = nn.Linear(width, 3)
        self.last = last
        self.eval()

    def forward(self, images):
        return self.tail(self.turn(self.two(self.act(self.one(images)))))

    def tail(self, features):
        features = features.permute(0, 3, 1, 2) if self.last else features
        return self.head((features.exp() * features).mean(dim=(2, 3)))


class Turn(nn.Module):
    def forward(self, features):
        return features.permute(0, 2, 3, 1)


def expected_map(features, tail, target):
    """The oracle's map of one image from its features `[channel, row, column]`, float64."""

    def score(array):
        with torch.no_grad():
            return float(tail(torch.from_numpy(array)[None])[0, target])

    return grad_cam_map(features, slopes(features, score))


def seen(model, layer, images):
    """What a module returns for each image."""
    found = []
    handle = model.get_submodule(layer).register_forward_hook(lambda *all_: found.append(all_[2]))
    with torch.no_grad():
        model(images)
    handle.remove()
    return found[0]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("size", [(8, 8), (6, 10)])
def test_convolutions_equal_the_plain_loops(last, size):
    model = ConvNet(last).double()
    images = torch.randn(3, 1, *size, dtype=torch.float64)
    found = grad_cam(model, images, targets=torch.tensor([0, 2, 1]))
    layer = "turn" if last else "two"
    assert found.options["layer"] == layer
    assert found.options["order"] == ("channels last" if last else "channels first")
    plain = ConvNet().double()
    for image, target in enumerate((0, 2, 1)):
        features = seen(plain, "two", images[image : image + 1])[0].numpy()
        expected = expected_map(features, plain.tail, target)
        assert found.values[image].shape == expected.shape
        np.testing.assert_allclose(found.values[image], expected, rtol=1e-5, atol=1e-8)
    assert found.values.max() > 0


@pytest.mark.parametrize(("pool", "layer"), [("cls", "blocks.0"), ("mean", "blocks.1")])
def test_tokens_equal_the_plain_loops(pool, layer):
    torch.manual_seed(0)
    options = {"image_size": 8, "channels": 1, "width": 8, "depth": 2, "heads": 2, "patch_size": 4}
    model = vision_transformer(classes=3, pool=pool, **options).double().eval()
    nn.init.normal_(model.head.weight)
    prefix = 1 if pool == "cls" else 0
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    found = grad_cam(model, images, targets=torch.tensor([2, 0]), layer=layer)
    assert found.options == {"layer": layer, "grid": [2, 2], "order": "tokens"}
    for image, target in enumerate((2, 0)):
        tokens = seen(model, layer, images[image : image + 1])

        def tail(features, tokens=tokens):
            patches = features.flatten(2).transpose(1, 2)
            joined = torch.cat([tokens[:, :prefix], patches], dim=1)
            for block in model.blocks[int(layer[-1]) + 1 :]:
                joined = block(joined)
            return model.forward_head(model.norm(joined))

        features = tokens[0, prefix:].T.unflatten(1, (2, 2)).contiguous().numpy()
        np.testing.assert_allclose(
            found.values[image], expected_map(features, tail, target), rtol=1e-4, atol=1e-8
        )


def test_one_channel_by_hand():
    """F = 2·x at four positions, y_0 = mean F = −y_1: w = ±1/4, so the maps are relu(x/2) and relu(−x/2)."""
    model = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)
    )
    with torch.no_grad():
        model[0].weight.fill_(2.0)
        model[3].weight.copy_(torch.tensor([[1.0], [-1.0]]))
    image = torch.tensor([[[[1.0, -2.0], [0.0, 4.0]]]]).repeat(2, 1, 1, 1)
    found = grad_cam(model.eval(), image, targets=torch.tensor([0, 1])).values
    np.testing.assert_allclose(found, [[[0.5, 0], [0, 2]], [[0, 1], [0, 0]]])


def test_before_a_mean_and_a_linear_head_it_is_the_class_activation_map():
    """∂y_c/∂F_k = W[c, k]/positions everywhere, so the map is relu(Σ_k W[c, k]·F_k)/positions."""
    model = timm.create_model("test_resnet", num_classes=4).eval()
    images = torch.randn(2, 3, 96, 96)
    found = grad_cam(model, images, targets=torch.tensor([3, 1]))
    assert found.options["layer"] == "layer4"
    features = seen(model, "layer4", images)
    expected = torch.einsum("nk,nkij->nij", model.fc.weight[[3, 1]], features).relu() / 9
    np.testing.assert_allclose(found.values, expected.detach().numpy(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("vit", "blocks.1"),  # the block before the last attention
        ("wide", "blocks.0"),
        ("registers", "blocks.0"),
        ("relative", "blocks.1"),  # the last: the head averages the patches
    ],
)
def test_the_layer_that_is_chosen_in_transformers(kind, layer):
    model = timm_net(kind)
    found = grad_cam(model, torch.randn(2, 3, *image_size(kind)))
    assert found.options["layer"] == layer
    assert (found.values.reshape(2, -1).max(axis=1) > 0).all()


def test_the_layer_that_is_chosen_elsewhere():
    torch.manual_seed(0)
    hybrid = build_model("hybrid", {"classes": 4, "image_size": 32, "channels": 3, "depth": 2, "width": 48})
    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1), num_heads=(2, 2), embed_dim=16
    )
    vision = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)
    nn.init.normal_(vision.heads.head.weight)  # zeros otherwise, through which nothing reaches the logits
    expected = {
        "blocks.0": (hybrid, 32, [8, 8]),
        "norm": (swin, 56, [7, 7]),
        "encoder.layers.encoder_layer_0": (vision, 32, [4, 4]),
        "features": (torchvision.models.mobilenet_v3_small(num_classes=4), 64, [2, 2]),
        "layer3": (
            timm.create_model("resnet10t", num_classes=4),
            32,
            [2, 2],
        ),  # the last stage has one position
    }
    for layer, (model, side, grid) in expected.items():
        found = grad_cam(model.eval(), torch.randn(2, 3, side, side))
        assert (found.options["layer"], found.options["grid"]) == (layer, grid)
    convolution = grad_cam(hybrid, torch.randn(1, 3, 32, 32), layer="patch_embed.layers")
    assert convolution.options["order"] == "channels first"
    assert convolution.values.max() > 0


def test_layers_that_the_logits_do_not_see_are_refused_and_another_is_named():
    model = timm_net("vit")
    for layer in ("blocks.2", "blocks", "norm"):
        with pytest.raises(CaptureError, match=f"features of {layer} do not reach the logits") as caught:
            grad_cam(model, torch.randn(2, 3, 32, 32), layer=layer)
        assert caught.value.hint == "name a layer before, such as blocks.1"
    vision = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5).eval()
    with pytest.raises(CaptureError, match="no layer has features on a grid"):
        grad_cam(vision, torch.randn(1, 3, 32, 32))


def test_layers_that_are_none():
    model = timm_net("vit")
    images = torch.randn(1, 3, 32, 32)
    with pytest.raises(UsageError, match=r"no layer 'block\.1'") as caught:
        grad_cam(model, images, layer="block.1")
    assert caught.value.hint == "did you mean blocks.1?"
    with pytest.raises(CaptureError, match=r"head, \[1, 5\], is no grid") as caught:
        grad_cam(model, images, layer="head")
    assert caught.value.hint == "name another layer, such as blocks.1"
    twice = ConvNet()
    twice.two = nn.Sequential(twice.two, twice.act)
    with pytest.raises(CaptureError, match=r"act runs 2 times"):
        grad_cam(twice, images[:, :1], layer="act")
    with pytest.raises(CaptureError, match=r"attn_drop runs 0 times"):
        grad_cam(model, images, layer="blocks.0.attn.attn_drop")


class Side(nn.Module):
    """The features that count, and others that do not."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.lost = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, images):
        return self.net.two(self.net.act(self.net.one(images))), self.lost(images)


class Sided(nn.Module):
    def __init__(self):
        super().__init__()
        self.side = Side(ConvNet())
        self.eval()

    def forward(self, images):
        return self.side.net.tail(self.side(images)[0])


@pytest.mark.parametrize("frozen", [False, True])
def test_the_first_of_several_outputs_counts_and_features_that_go_nowhere_are_refused(frozen):
    images = torch.randn(2, 1, 8, 8)
    model = Sided().requires_grad_(not frozen)
    found = grad_cam(model, images, layer="side")
    np.testing.assert_array_equal(found.values, grad_cam(ConvNet(), images, layer="two").values)
    with pytest.raises(CaptureError, match=r"features of side\.lost do not reach the logits"):
        grad_cam(model, images, layer="side.lost")


def test_tokens_whose_grid_is_told():
    model = SmallNet(Mixer(fused), width=8)
    images = torch.randn(1, 3, 12, 20)
    found = grad_cam(model, images, layer="mixer", grid=(3, 5))
    assert found.values.shape == (1, 3, 5)
    np.testing.assert_array_equal(found.values, grad_cam(model, images, layer="mixer").values)
    with pytest.raises(CaptureError, match="is no grid"):
        grad_cam(model, images, layer="mixer", grid=(2, 4), prefix=1)


def test_axes_that_cannot_be_told_are_refused():
    """Four channels on a grid of 4×4: the layer with convolutions in it has them first, the other may not."""
    model = ConvNet(last=True, width=4)
    images = torch.randn(1, 1, 8, 8)
    assert grad_cam(model, images).options["layer"] == "two"
    with pytest.raises(CaptureError, match=r"turn, \[1, 4, 4, 4\], is no grid") as caught:
        grad_cam(model, images, layer="turn")
    assert caught.value.hint == "name another layer, such as two"


def test_another_thread_that_runs_the_model_changes_nothing():
    model = ConvNet()
    images = torch.randn(2, 1, 8, 8)
    alone = grad_cam(model, images).values
    started, stop = threading.Event(), threading.Event()

    def run():
        with torch.no_grad():
            while not stop.is_set():
                assert not model(images[:1]).requires_grad
                started.set()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(run)
        started.wait(10)
        try:
            together = [grad_cam(model, images).values for _ in range(20)]
        finally:
            stop.set()
        other.result()
    assert all((found == alone).all() for found in together)


def test_leaves_no_trace_also_after_an_exception():
    model = ConvNet().requires_grad_(False)
    images = torch.randn(2, 1, 8, 8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        grad_cam(model, images)
        assert torch.is_inference_mode_enabled()
    with torch.no_grad():
        grad_cam(model, images)
        assert not torch.is_grad_enabled()
    for layer in (None, "two"):
        with pytest.raises(RuntimeError):
            grad_cam(model, images.expand(2, 2, 8, 8), layer=layer)
        with pytest.raises(InputError, match="got 3"):
            grad_cam(model, images, layer=layer, targets=torch.tensor([0, 3]))
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert not any(module._forward_hooks for module in model.modules())
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    with pytest.raises(NotFiniteError):
        grad_cam(model, images)


def test_an_image_whose_features_are_dead_has_an_empty_map_among_others():
    class Dying(ConvNet):
        def tail(self, features):
            return self.head(features.relu().mean(dim=(2, 3)))

    model = Dying()
    with torch.no_grad():
        model.one.bias.zero_()
        model.two.bias.fill_(-1e-3)
    images = torch.randn(3, 1, 8, 8)
    images[1] = 0
    together = grad_cam(model, images, layer="two", targets=torch.tensor([0, 1, 2])).values
    assert not together[1].any()
    for image in (0, 2):
        alone = grad_cam(model, images[image : image + 1], layer="two", targets=torch.tensor([image]))
        np.testing.assert_allclose(together[image], alone.values[0], atol=1e-7)


class Odd(nn.Module):
    """A network whose features are used by something else as well, in a way of its `kind`."""

    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(1)
        self.body = Pair() if kind == "pair" else nn.Sequential(nn.Conv2d(1, 4, 3), nn.AvgPool2d(2))
        self.drop = nn.Dropout2d(0.5)
        self.head = nn.Linear(4, 3)
        nn.init.uniform_(self.head.weight, 0.1, 1.0)
        self.kind = kind
        self.eval()

    def forward(self, images):
        features = self.body(images)
        before = torch.zeros(())
        if self.kind == "pair":
            features, before = features
        elif self.kind == "given on":
            before = features.exp().mean(dim=(2, 3))
            features = self.drop(features)  # in evaluation mode the very tensor, which was used above
        elif self.kind == "written":
            features.mul_(3)
        return self.head((features**2).mean(dim=(2, 3)) + before)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, images):
        features = self.conv(images).tanh()
        return features, features.exp().mean(dim=(2, 3))


@pytest.mark.parametrize("kind", ["plain", "pair", "given on", "written"])
def test_a_single_image_has_the_map_of_the_layer_that_is_found(kind):
    """The pass that finds the layer serves a single image too, unless its features were put to other use."""
    model, images = Odd(kind), torch.randn(2, 1, 7, 9)
    targets = torch.tensor([2, 0])
    alone = grad_cam(model, images[:1], targets=targets[:1])
    assert alone.options["layer"] == "body"
    named = grad_cam(model, images[:1], targets=targets[:1], layer=alone.options["layer"])
    assert named.values.max() > 0
    np.testing.assert_allclose(alone.values, named.values, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(grad_cam(model, images, targets=targets).values[:1], named.values, rtol=1e-5)


def test_a_single_image_takes_one_pass():
    model, passes = timm_net("vit"), []
    model.register_forward_hook(lambda *_: passes.append(1))
    grad_cam(model, torch.randn(1, 3, *image_size("vit")))
    assert len(passes) == 1
    grad_cam(model, torch.randn(2, 3, *image_size("vit")))
    assert len(passes) == 3
