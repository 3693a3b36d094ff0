"""Gradients of the attention: against the model's own explicit code, one class an image, without a trace."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

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


def multihead_copy(attend, found):
    """`nn.MultiheadAttention.forward` in plain products, batch first; its weights go to `found`."""

    def forward(query, key, value, **_):
        assert query is key is value
        heads = []
        width = attend.embed_dim // attend.num_heads
        three = query @ attend.in_proj_weight.T + attend.in_proj_bias
        for head in range(attend.num_heads):
            rows = slice(head * width, (head + 1) * width)
            one, other, third = (part[..., rows] for part in three.chunk(3, dim=-1))
            heads.append(((one @ other.transpose(1, 2)) / width**0.5).exp())
            heads[-1] = (heads[-1] / heads[-1].sum(dim=-1, keepdim=True), third)
        # The stacked weights are what the rest is made of: a gradient by them reaches every head.
        weights = torch.stack([weight for weight, _ in heads], dim=1)
        found.append(weights)
        joined = torch.cat([weights[:, head] @ third for head, (_, third) in enumerate(heads)], dim=-1)
        return joined @ attend.out_proj.weight.T + attend.out_proj.bias, None

    return forward


def torchvision_vit():
    torch.manual_seed(2)
    model = torchvision.models.VisionTransformer(32, 8, 3, 4, 16, 32, num_classes=5).eval()
    nn.init.normal_(model.heads.head.weight)  # torchvision starts it at 0, where no logit has a gradient
    return model


def torch_encoder():
    torch.manual_seed(2)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return SmallNet(nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), cls=True)


@pytest.mark.parametrize("make", [torchvision_vit, torch_encoder])
def test_multihead_attention_of_torch_by_an_explicit_copy(make):
    model = make().double()
    images, targets = torch.randn(3, 3, 32, 32, dtype=torch.float64), torch.tensor([3, 0, 2])
    found = attention_gradients(model, images, targets=targets)
    weights, attending = [], [each for each in model.modules() if isinstance(each, nn.MultiheadAttention)]
    for attend in attending:
        attend.forward = multihead_copy(attend, weights)
    logits = model(images)
    expected = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), weights)
    torch.testing.assert_close(found.attention.logits, logits, atol=1e-5, rtol=1e-5)
    assert len(expected) == len(found.gradients) == 3
    for layer, own in enumerate(expected):
        torch.testing.assert_close(found.attention.weights[layer], weights[layer], atol=1e-6, rtol=0)
        torch.testing.assert_close(found.gradients[layer], own, atol=1e-6, rtol=1e-4)
        assert own.abs().max() > 1e-4


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


def test_attention_that_the_logits_do_not_depend_on():
    class Aside(nn.Module):
        """Attends, and lets no gradient through."""

        def __init__(self):
            super().__init__()
            self.mixer = Mixer(fused)

        def forward(self, tokens):
            return tokens + self.mixer(tokens).detach()

    with pytest.raises(CaptureError, match=r"do not depend on the recorded weights of mixer\.0\.mixer"):
        attention_gradients(SmallNet(nn.Sequential(Aside(), Mixer(fused))), torch.randn(1, 3, 16, 16))


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
