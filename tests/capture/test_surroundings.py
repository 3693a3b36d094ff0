"""Models inside transforms, compiled functions, checkpointing, several devices and other precisions."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tests.oracles.smallnets import Mixer, SmallNet, by_hand, fused, timm_net
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError
from vitscope.explain.gradients import attention_gradients

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(5))


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.inner = Mixer(fused)
        self.reentrant = reentrant

    def forward(self, tokens):
        return checkpoint(self.inner, tokens, use_reentrant=self.reentrant)


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.grad])
def test_a_call_inside_a_transform_of_torch_func(transform):
    model = SmallNet(Mixer(fused))
    given = IMAGES[:, None] if transform is torch.func.vmap else IMAGES
    with capture(model), pytest.raises(CaptureError, match=r"a transform of torch\.func"):
        transform(lambda images: model(images).sum())(given)


def test_a_call_with_other_parameters():
    model = SmallNet(Mixer(fused))
    other = {name: torch.randn_like(value) for name, value in model.named_parameters()}
    with torch.no_grad(), capture(model) as tape:
        logits = torch.func.functional_call(model, other, (IMAGES,))
    model.load_state_dict(other)
    with torch.no_grad(), capture(model) as same:
        torch.testing.assert_close(model(IMAGES), logits)
    torch.testing.assert_close(tape.attention().weights[0], same.attention().weights[0])


@pytest.mark.parametrize("compute", [F.scaled_dot_product_attention, by_hand])
def test_a_transform_inside_the_model(compute):
    """As many heads as images: inside, the shape alone looks right."""

    def mapped(query, key, value):
        return torch.func.vmap(compute)(query, key, value)

    model = SmallNet(Mixer(mapped))
    with torch.no_grad(), capture(model) as tape:
        model(IMAGES)
    with pytest.raises(CaptureError, match="mixer"):
        tape.attention()


def test_functions_whose_inside_is_not_seen():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated
        traced = torch.jit.trace(by_hand, (torch.randn(2, 2, 16, 4),) * 3)
    for mixers in ([traced], [fused, traced], [traced, fused]):
        model = SmallNet(nn.Sequential(*map(Mixer, mixers)))
        with torch.no_grad(), capture(model) as tape:
            model(IMAGES)
        if mixers == [traced, fused]:
            # The traced part comes before: nothing tells it from a stem.
            assert tape.attention().layers == ("mixer.1",)
        else:
            with pytest.raises(CaptureError):
                tape.attention()


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_layers(reentrant):
    model = SmallNet(nn.Sequential(Checkpointed(reentrant), Checkpointed(reentrant)))
    plain = SmallNet(nn.Sequential(model.mixer[0].inner, model.mixer[1].inner))
    with capture(model) as tape, capture(plain) as other:
        model(IMAGES)
        plain(IMAGES)
    for one, two in zip(tape.attention().weights, other.attention().weights, strict=True):
        assert torch.equal(one, two)
    with pytest.raises(CaptureError) as caught:
        attention_gradients(model, IMAGES)
    assert "set_grad_checkpointing(False)" in caught.value.hint


def test_gradient_checkpointing_of_timm():
    model = timm_net("vit")
    model.set_grad_checkpointing(True)
    images = torch.randn(1, 3, 32, 32)
    with pytest.raises(CaptureError, match="a second time"):
        attention_gradients(model, images)
    model.set_grad_checkpointing(False)
    assert len(attention_gradients(model, images).gradients) == 3


def test_several_devices():
    model = nn.DataParallel(SmallNet(Mixer(fused)))
    with torch.no_grad(), capture(model) as tape:
        model(IMAGES)
    assert tape.attention().layers == ("module.mixer",)
    model.device_ids = [0, 1]
    with pytest.raises(CaptureError, match="several devices"), capture(model):
        pass


@pytest.mark.parametrize("compute", [fused, by_hand])
@pytest.mark.parametrize("precision", ["half", "bfloat16", "autocast"])
def test_gradients_in_other_precisions(precision, compute):
    model, images = SmallNet(Mixer(compute)), IMAGES
    exact = attention_gradients(model, images, targets=torch.tensor([1, 2]))
    if precision != "autocast":
        model, images = getattr(model, precision)(), getattr(images, precision)()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"):
        found = attention_gradients(model, images, targets=torch.tensor([1, 2]))
    assert found.attention.weights[0].dtype is found.gradients[0].dtype is torch.float32
    torch.testing.assert_close(found.attention.weights[0], exact.attention.weights[0], atol=0.02, rtol=0)
    size = exact.gradients[0].abs().max()
    assert (found.gradients[0] - exact.gradients[0]).abs().max() < 0.05 * size
