"""The tape: several passes, gradients, precision, threads, nesting; and no trace of it afterwards."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
import torch
from torch.overrides import _get_current_function_mode_stack

import vitscope
from tests.oracles.smallnets import Mixer, SmallNet, by_hand, fused, own_attention, timm_net
from vitscope.capture.tape import capture
from vitscope.errors import UsageError

IMAGES = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(7))


def hooks(module):
    return [list(value) for name, value in sorted(vars(module).items()) if "_hooks" in name]


def state(model):
    """Everything of a model and of torch that capture could leave something in."""
    return (
        [
            (name, type(module), module.training, sorted(vars(module)), hooks(module))
            for name, module in model.named_modules()
        ],
        [(name, p.requires_grad, p.grad, p.data_ptr(), p._version) for name, p in model.named_parameters()],
        [(name, buffer._version) for name, buffer in model.named_buffers()],
        _get_current_function_mode_stack(),
        torch.is_grad_enabled(),
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.cuda.flash_sdp_enabled(),
        torch.backends.cuda.math_sdp_enabled(),
        torch.get_rng_state().tolist(),
        torch.nn.functional.scaled_dot_product_attention,
    )


def test_several_passes_are_joined_in_order():
    model = timm_net("vit")
    with torch.no_grad(), capture(model) as tape:
        first, second = model(IMAGES[:3]), model(IMAGES[3:])
    attention = tape.attention()
    whole, logits = own_attention(model, IMAGES)
    assert len(attention) == 5
    assert torch.equal(attention.logits, torch.cat([first, second]))
    torch.testing.assert_close(attention.logits, logits, atol=1e-5, rtol=0)
    for seen, own in zip(attention.weights, whole, strict=True):
        torch.testing.assert_close(seen, own, atol=1e-5, rtol=0)


def test_gradients_of_the_logits_reach_the_weights():
    model = timm_net("vit")
    plain = torch.autograd.grad(model(IMAGES)[:, 2].sum(), model.patch_embed.proj.weight)[0]
    with capture(model) as tape:
        logits = model(IMAGES)
    attention = tape.attention()
    score = attention.logits[:, 2].sum()
    through = torch.autograd.grad(score, attention.weights, retain_graph=True)
    assert all(gradient.abs().max() > 0 for gradient in through)
    seen = torch.autograd.grad(logits[:, 2].sum(), model.patch_embed.proj.weight)[0]
    torch.testing.assert_close(seen, plain, atol=1e-5, rtol=1e-4)


def test_a_gradient_is_the_slope_of_the_logit():
    """Changing one weight of the last layer moves the logit as its gradient says: by finite differences."""
    step = 1e-4
    change = torch.zeros(1, 2, 16, 16, dtype=torch.float64)
    change[0, 1, 3, 5] = step

    def nudged(query, key, value):
        return ((query @ key.transpose(-2, -1) / 2).softmax(dim=-1) + change) @ value

    mixer = Mixer(fused)
    model = SmallNet(mixer).double()
    image = IMAGES[:1, :, :16, :16].double()
    with capture(model) as tape:
        before = model(image)
    gradient = torch.autograd.grad(before[0, 1], tape.attention().weights)[0]
    mixer.compute = nudged
    after = model(image)
    assert (after - before)[0, 1].item() == pytest.approx(step * gradient[0, 1, 3, 5].item(), rel=1e-6)


@pytest.mark.parametrize("outcome", ["well", "error inside", "error in the model", "interrupted"])
@pytest.mark.parametrize("kind", ["vit", "registers"])
def test_no_trace(kind, outcome):
    model = timm_net(kind).train()
    model.blocks[0].eval()
    model.blocks[1].requires_grad_(False)
    images = IMAGES if kind == "vit" else torch.zeros(2, 3, 42, 42)
    before = state(model)
    try:
        with torch.no_grad(), capture(model):
            model(images)
            if outcome == "error inside":
                raise ValueError
            if outcome == "interrupted":
                raise KeyboardInterrupt
            if outcome == "error in the model":
                model(torch.zeros(1, 7, 3, 3))
    except (ValueError, KeyboardInterrupt, RuntimeError, AssertionError):
        assert outcome != "well"
    else:
        assert outcome == "well"
    assert state(model) == before


def test_outputs_before_and_after_are_the_same_bits():
    model = timm_net("vit")
    with torch.no_grad():
        before = model(IMAGES)
        with capture(model):
            model(IMAGES)
        assert torch.equal(model(IMAGES), before)


def test_a_failed_pass_is_not_recorded():
    model = timm_net("vit")
    with torch.no_grad(), capture(model) as tape:
        with pytest.raises((RuntimeError, AssertionError)):
            model(torch.randn(1, 3, 9, 9))
        model(IMAGES)
    assert len(tape.attention()) == 5


def test_the_users_own_hooks_keep_working():
    model = timm_net("vit")
    seen = []
    handle = model.blocks[1].register_forward_hook(lambda *_: seen.append(1))
    with torch.no_grad(), capture(model):
        model(IMAGES)
    model.blocks[1](torch.randn(1, 65, 192))
    handle.remove()
    assert len(seen) == 2


def test_other_computation_in_the_block_is_left_alone():
    model, other = timm_net("vit"), timm_net("deit3")
    with torch.no_grad(), capture(model) as tape:
        logits = model(IMAGES)
        other(IMAGES)
        logits.softmax(dim=-1)
        torch.nn.functional.scaled_dot_product_attention(*torch.randn(3, 1, 1, 4, 4))
    assert len(tape.attention().weights) == 3


@pytest.mark.parametrize("compute", [fused, by_hand])
def test_nested_blocks_record_the_same(compute):
    model = SmallNet(Mixer(compute))
    with torch.no_grad(), capture(model) as outer:
        with capture(model, heads="mean") as inner:
            model(IMAGES)
        model(IMAGES[:2])
    assert len(inner.attention()) == 5
    assert len(outer.attention()) == 7
    torch.testing.assert_close(
        inner.attention().weights[0], outer.attention().weights[0][:5].mean(dim=1, keepdim=True)
    )


def test_nested_blocks_over_multihead_attention():
    model = SmallNet(torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True))
    with torch.no_grad(), capture(model) as outer, capture(model) as inner:
        model(IMAGES)
    assert torch.equal(inner.attention().weights[0], outer.attention().weights[0])


def test_threads_record_their_own_images_of_one_model():
    model = timm_net("vit")
    results, barrier = {}, threading.Barrier(4)

    def work(number):
        with torch.no_grad(), capture(model) as tape:
            barrier.wait()
            model(IMAGES[number : number + 1])
            model(IMAGES[number : number + 1])
            barrier.wait()
        results[number] = tape.attention()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole, _ = own_attention(model, IMAGES)
    for number in range(4):
        assert len(results[number]) == 2
        for seen, own in zip(results[number].weights, whole, strict=True):
            torch.testing.assert_close(seen[1], own[number], atol=1e-5, rtol=0)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("mode", ["bfloat16", "autocast", "double", "inference"])
def test_precisions(mode):
    model, images = timm_net("vit"), IMAGES
    if mode in ("bfloat16", "double"):
        model, images = model.to(getattr(torch, mode)), images.to(getattr(torch, mode))
    with (
        torch.inference_mode(mode == "inference"),
        torch.autocast("cpu", torch.bfloat16, enabled=mode == "autocast"),
    ):
        plain = model(images)
        with capture(model) as tape:
            logits = model(images)
    attention = tape.attention()
    assert logits.dtype is plain.dtype
    tolerance = 0.05 if mode in ("bfloat16", "autocast") else 1e-5
    torch.testing.assert_close(logits, plain, atol=tolerance, rtol=tolerance)
    for weight in attention.weights:
        assert weight.dtype is (torch.float64 if mode == "double" else torch.float32)
        torch.testing.assert_close(weight.sum(dim=-1), torch.ones_like(weight[..., 0]))


def test_the_package_is_the_function():
    model = timm_net("vit")
    with torch.no_grad(), vitscope.capture(model, heads="max") as tape:
        model(IMAGES)
    assert tape.attention().heads == "max"


def test_the_package_itself_imports_no_torch():
    code = "import vitscope.capture, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_with_images_as_keyword():
    class Keyword(SmallNet):
        def forward(self, *, pixels):
            return {"logits": super().forward(pixels)}

    model = Keyword(Mixer(fused))
    with torch.no_grad(), capture(model) as tape:
        model(pixels=IMAGES)
    assert len(tape.attention()) == 5
    assert tape.attention().logits is None


def test_one_module_used_twice():
    mixer = Mixer(fused)
    model = SmallNet(torch.nn.Sequential(mixer, mixer))
    with torch.no_grad(), capture(model) as tape:
        model(IMAGES)
    assert tape.attention().layers == ("mixer.0", "mixer.0")


def test_attention_in_the_model_itself():
    class Whole(SmallNet):
        def forward(self, images):
            tokens = self.cut(images).flatten(2).transpose(1, 2)[:, None]
            return self.head(fused(tokens, tokens, tokens)[:, 0].mean(dim=1))

    model = Whole(torch.nn.Identity())
    with torch.no_grad(), capture(model) as tape:
        model(IMAGES)
    assert tape.attention().layers == ("",)


def test_unknown_fusion_is_refused_before_anything_runs():
    with pytest.raises(UsageError, match="median"), capture(timm_net("vit"), heads="median"):
        pass
