"""Attention that a model computes by hand: the very matrix that it applies to its values, or a refusal."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.oracles import handmade
from tests.oracles.handmade import WRONG, applied_matrix, by_einsum, weights_of
from tests.oracles.smallnets import Mixer, SmallNet, by_hand, exponentials, fused, talking_heads
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError

RIGHT = (*handmade.RIGHT, by_hand, exponentials, fused, talking_heads)


def name(compute):
    return compute.__name__


def queries_and_keys(model, images):
    """What the mixer multiplies, from its own projection."""
    found = []
    handle = model.mixer.qkv.register_forward_hook(lambda module, args, made: found.append(made))
    with torch.no_grad():
        model(images)
    handle.remove()
    count = found[0].shape[1]
    return found[0].view(len(images), count, 3, model.mixer.heads, -1).permute(2, 0, 3, 1, 4)[:2]


@pytest.mark.parametrize("patch", [4, 8])
@pytest.mark.parametrize("compute", RIGHT, ids=name)
def test_what_is_recorded_is_what_is_applied(compute, patch):
    """Also where there are as many tokens as channels a head."""
    model = SmallNet(Mixer(compute), patch=patch)
    images = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        plain = model(images)
    with capture(model) as tape:
        logits = model(images)
    attention = tape.attention()
    assert attention.layers == ("mixer",)
    expected = applied_matrix(compute, *queries_and_keys(model, images))
    torch.testing.assert_close(attention.weights[0], expected, check_dtype=False, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(logits, plain, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("compute", RIGHT, ids=name)
def test_gradients_reach_what_is_recorded(compute):
    """Against the explicit product with the matrix found by trying, as a leaf."""
    model = SmallNet(Mixer(compute))
    images = torch.randn(2, 3, 16, 16)
    with capture(model) as tape:
        logits = model(images)
    found = torch.autograd.grad(logits[:, 1].sum(), tape.attention().weights)[0]
    matrix = applied_matrix(compute, *queries_and_keys(model, images)).detach().requires_grad_()
    model.mixer.compute = lambda query, key, value: matrix @ value
    expected = torch.autograd.grad(model(images)[:, 1].sum(), matrix)[0]
    torch.testing.assert_close(found, expected, check_dtype=False, atol=1e-6, rtol=1e-5)
    assert expected.abs().max() > 0


@pytest.mark.parametrize("compute", WRONG, ids=name)
def test_what_is_no_such_matrix_is_refused_by_name(compute):
    model = SmallNet(Mixer(compute))
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(3, 3, 16, 16))
    with pytest.raises(CaptureError, match="mixer") as caught:
        tape.attention()
    assert "--method grad-cam" in caught.value.hint


@pytest.mark.parametrize("compute", WRONG, ids=name)
def test_a_wrong_layer_between_right_ones_is_refused(compute):
    model = SmallNet(nn.Sequential(Mixer(by_einsum), Mixer(compute), Mixer(by_einsum)))
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(3, 3, 16, 16))
    with pytest.raises(CaptureError, match=r"mixer\.1"):
        tape.attention()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_of_a_matrix_that_was_made_into_another(dtype):
    def mixed(query, key, value):
        weights = weights_of(query, key)
        return (0.5 * weights + 0.5 * weights.flip(1)) @ value

    model = SmallNet(Mixer(mixed)).to(dtype)
    with capture(model) as tape:
        logits = model(torch.randn(2, 3, 16, 16, dtype=dtype))
    weights = tape.attention().weights
    assert weights[0].dtype is torch.float32
    assert torch.autograd.grad(logits[:, 0].float().sum(), weights)[0].abs().max() > 0


def test_probabilities_of_classes_that_weigh_something_are_no_attention():
    class Prototypes(SmallNet):
        def forward(self, images):
            return super().forward(images).softmax(dim=-1) @ torch.eye(4)

    model = Prototypes(Mixer(by_einsum))
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(3, 3, 16, 16))
    assert tape.attention().layers == ("mixer",)


def test_a_single_head_without_an_axis_of_its_own():
    class OneHead(Mixer):
        def forward(self, tokens):
            query, key, value = self.qkv(tokens).chunk(3, dim=-1)
            return torch.baddbmm(torch.zeros(1, 1, 1), query, key.transpose(1, 2)).softmax(-1) @ value

    model = SmallNet(OneHead(None))
    with capture(model) as tape:
        logits = model(torch.randn(2, 3, 16, 16))
    weights = tape.attention().weights
    assert weights[0].shape == (2, 1, 16, 16)
    assert torch.autograd.grad(logits[:, 0].sum(), weights)[0].abs().max() > 0


@pytest.mark.parametrize("patch", [4, 8])
def test_attention_over_channels_in_a_class_that_does_not_say_so(patch):
    """Sixteen tokens and four channels a head; then four of each, where nothing but the shape could tell."""

    def channels(query, key, value):
        weights = (query.transpose(-2, -1) @ key).softmax(dim=-1)
        return (weights @ value.transpose(-2, -1)).transpose(-2, -1)

    model = SmallNet(Mixer(channels), patch=patch)
    with torch.no_grad(), capture(model, grid=(2, 2), prefix=0) as tape:
        model(torch.randn(3, 3, 16, 16))
    if patch == 4:
        with pytest.raises(CaptureError, match="mixer: attends over something else than the tokens"):
            tape.attention()
