"""Gradients of the attention: against the model's own explicit code, one class an image, without a trace."""

from __future__ import annotations

import pytest
import torch
import torchvision

from tests.oracles.smallnets import Mixer, SmallNet, fused, image_size, timm_net
from vitscope.errors import CaptureError, InputError, NotFiniteError
from vitscope.explain.gradients import AttentionGradients, attention_gradients


def own_gradients(model, images, targets):
    """∂y_c/∂A of each layer by timm's explicit attention code, image by image, through autograd."""
    every = []
    for image, target in zip(images, targets, strict=True):
        found, handles = [], []
        for module in model.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False
                handles.append(
                    module.attn_drop.register_forward_pre_hook(
                        lambda _, args, found=found: found.append(args[0])
                    )
                )
        score = model(image[None])[0, int(target)]
        every.append(torch.autograd.grad(score, found))
        for handle in handles:
            handle.remove()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = True
    return [torch.cat(layer) for layer in zip(*every, strict=True)]


@pytest.mark.parametrize("kind", ["vit", "registers_mean", "distilled", "beit", "eva02"])
def test_equal_the_model_s_own_explicit_code_image_by_image(kind):
    model = timm_net(kind)
    images = torch.randn(3, 3, *image_size(kind))
    targets = torch.tensor([4, 0, 2])
    found = attention_gradients(model, images, targets=targets)
    expected = own_gradients(model, images, targets)
    assert len(found.gradients) == len(expected) == len(found.attention.weights)
    for seen, own in zip(found.gradients, expected, strict=True):
        assert own.abs().max() > 0
        torch.testing.assert_close(seen, own, atol=1e-6, rtol=1e-4)
    assert torch.equal(found.targets, targets)


def test_the_predicted_class_where_none_is_named():
    model = timm_net("vit")
    images = torch.randn(4, 3, 32, 32)
    found = attention_gradients(model, images)
    assert torch.equal(found.targets, model(images).argmax(dim=1))
    named = attention_gradients(model, images, targets=found.targets.to(torch.int32))
    for one, other in zip(found.gradients, named.gradients, strict=True):
        assert torch.equal(one, other)


def test_leaves_no_trace_and_needs_no_parameter_s_gradient():
    model = timm_net("vit").requires_grad_(False)
    images = torch.randn(2, 3, 32, 32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.inference_mode():
        found = attention_gradients(model, images)
        assert torch.is_inference_mode_enabled()
    assert not images.requires_grad
    assert images.grad is None
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not any(weight.requires_grad for weight in found.attention.weights)
    assert all(gradient.abs().max() > 0 for gradient in found.gradients)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (torch.tensor([0]), r"2 whole numbers"),
        (torch.tensor([0.0, 1.0]), "float32"),
        (torch.tensor([True, False]), "bool"),
        (torch.tensor([0, 5]), r"0 … 4, got 5"),
        (torch.tensor([-1, 0]), "got -1"),
    ],
)
def test_targets_that_are_no_classes(targets, said):
    with pytest.raises(InputError, match=said):
        attention_gradients(timm_net("vit"), torch.randn(2, 3, 32, 32), targets=targets)


def test_what_has_no_gradients():
    with pytest.raises(CaptureError, match="no attention"):
        attention_gradients(torchvision.models.resnet18(num_classes=3).eval(), torch.randn(1, 3, 32, 32))
    net = torchvision.models.VisionTransformer(32, 8, 2, 4, 16, 32, num_classes=5).eval()
    with pytest.raises(CaptureError, match="do not depend on the recorded weights of encoder"):
        attention_gradients(net, torch.randn(1, 3, 32, 32))


def test_logits_that_are_not_finite():
    model = SmallNet(Mixer(fused))
    with torch.no_grad():
        model.head.weight.fill_(float("nan"))
    with pytest.raises(NotFiniteError):
        attention_gradients(model, torch.randn(1, 3, 16, 16))


def test_records_that_do_not_fit():
    found = attention_gradients(SmallNet(Mixer(fused)), torch.randn(2, 3, 16, 16))
    with pytest.raises(InputError, match="weights' shapes"):
        AttentionGradients(found.attention, [], found.targets)
    with pytest.raises(InputError, match="expected 2 targets"):
        AttentionGradients(found.attention, found.gradients, found.targets[:1])
