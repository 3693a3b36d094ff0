"""Attributions: exact on linear models, against plain loops on others, seeded, refused where senseless."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from torch import nn

from tests.oracles.attributions import integrated_gradients_map, occlusion_map
from tests.oracles.gradcam import slopes
from vitscope.errors import CaptureError, InputError, NotFiniteError
from vitscope.explain.attributions import ask, seeded
from vitscope.explain.integrated import gradient_x_input, integrated_gradients
from vitscope.explain.occlusion import occlusion
from vitscope.explain.sampled import gradient_shap, smoothgrad

TARGETS = torch.tensor([2, 0])


class Linear(nn.Module):
    """y = W·x + v; W is `[class, channel, row, column]`."""

    def __init__(self, size=(4, 5)):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.weight = nn.Parameter(torch.randn(3, 2, *size, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(3, generator=generator, dtype=torch.float64))
        self.eval()

    def forward(self, images):
        return torch.einsum("ncij,kcij->nk", images, self.weight) + self.bias


class Curved(Linear):
    """y = tanh(W·x/4)³ + a product of neighbours: neither linear nor additive."""

    def forward(self, images):
        straight = super().forward(images) / 4
        return straight.tanh() ** 3 + straight + (images[..., 1:] * images[..., :-1]).sum((1, 2, 3))[:, None]


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(6))


@pytest.fixture(scope="module")
def baseline():
    return torch.randn(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def exact(model, images, baseline):
    """Σ over channels of w ⊙ (x − b), for each image's target."""
    return ((images - baseline) * model.weight[TARGETS]).sum(dim=1).detach().numpy()


def score_of(model, target):
    """`Curved` once more, in NumPy."""
    weight, bias = model.weight[target].detach().numpy(), float(model.bias[target].detach())

    def score(array):
        straight = ((array * weight).sum() + bias) / 4
        return np.tanh(straight) ** 3 + straight + (array[..., 1:] * array[..., :-1]).sum()

    return score


def test_linear_models_have_exact_attributions(images, baseline):
    model = Linear()
    expected = exact(model, images, baseline)
    for found in (
        integrated_gradients(model, images, targets=TARGETS, baseline=baseline, steps=3),
        occlusion(model, images, targets=TARGETS, baseline=baseline, window=1),
        gradient_shap(model, images, targets=TARGETS, baselines=baseline[None], samples=3),
    ):
        np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-6)
        assert found.signed
        assert found.targets.tolist() == [2, 0]
    zero = exact(model, images, 0 * baseline)
    for found in (
        gradient_x_input(model, images, targets=TARGETS),
        integrated_gradients(model, images, targets=TARGETS, steps=1),
        occlusion(model, images, targets=TARGETS, window=1, stride=1),
        gradient_shap(model, images, targets=TARGETS, samples=1),
    ):
        np.testing.assert_allclose(found.values, zero, rtol=1e-5, atol=1e-6)
    slope = model.weight[TARGETS].abs().sum(dim=1).detach().numpy()
    np.testing.assert_allclose(smoothgrad(model, images, targets=TARGETS, samples=2).values, slope, rtol=1e-5)


def test_several_baselines_give_the_expectation(images, baseline):
    """w ⊙ (x − mean b) for infinitely many samples: here within 5 standard errors of the draws of b."""
    model = Linear()
    several = torch.stack([baseline, -2 * baseline, baseline.flip(1)])
    found = gradient_shap(model, images, targets=TARGETS, baselines=several, samples=900).values
    parts = np.stack([exact(model, images, each) for each in several])
    allowed = 5 * parts.std(axis=0) / np.sqrt(900) + 1e-6
    assert (np.abs(found - parts.mean(axis=0)) <= allowed).all()
    assert np.abs(found - parts[0]).max() > 0.1


def test_curved_models_equal_the_plain_loops(images, baseline):
    model = Curved()
    integrated = integrated_gradients(model, images, targets=TARGETS, baseline=baseline, steps=80)
    covered = occlusion(model, images, targets=TARGETS, baseline=baseline, window=3, stride=2)
    product = gradient_x_input(model, images, targets=TARGETS)
    for number, target in enumerate(TARGETS.tolist()):
        score, image = score_of(model, target), images[number].numpy()
        np.testing.assert_allclose(
            integrated.values[number],
            integrated_gradients_map(image, baseline.numpy(), score, steps=60),
            atol=1e-3,
        )
        np.testing.assert_allclose(
            covered.values[number], occlusion_map(image, baseline.numpy(), score, 3, 2), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            product.values[number], (image * slopes(image, score)).sum(axis=0), rtol=1e-5, atol=1e-6
        )


def test_the_completeness_error_is_what_the_sum_misses(images, baseline):
    model = Curved()
    for steps, most in ((2, None), (200, 1e-6)):
        found = integrated_gradients(model, images, targets=TARGETS, baseline=baseline, steps=steps)
        with torch.no_grad():
            ends = [model(each)[[0, 1], TARGETS] for each in (images, baseline.expand_as(images))]
        difference = (ends[0] - ends[1]).numpy()
        missed = found.values.sum(axis=(1, 2)) - difference
        np.testing.assert_allclose(found.options["completeness_error"], missed, atol=1e-5)
        np.testing.assert_allclose(found.options["difference"], difference, atol=1e-9)
        assert (np.abs(missed) > 1e-3).any() if most is None else (np.abs(missed) < 1e-5).all()
        json.dumps(found.options)


def test_smoothgrad_averages_before_the_absolute_value():
    """y = Σ x²/2 has the gradient x + n: where x is 0 its mean falls with √samples, where x is 3 it stays."""

    class Squares(nn.Module):
        def forward(self, images):
            return (images**2).sum(dim=(1, 2, 3))[:, None] / 2

    image = torch.tensor([[[[0.0, 3.0, -3.0, 0.0]]]], dtype=torch.float64)
    model = Squares().eval()
    found = smoothgrad(model, image, samples=400, noise=0.2).values[0, 0]
    error = 5 * 0.2 * 6 / np.sqrt(400)  # five standard errors; the range is 6
    np.testing.assert_allclose(found, [0, 3, 3, 0], atol=error)
    assert np.ptp(smoothgrad(model, image, samples=1, noise=0.2).values[0, 0, [0, 3]]) > 0
    np.testing.assert_allclose(smoothgrad(model, image, samples=1, noise=0).values[0, 0], [0, 3, 3, 0])


@pytest.mark.parametrize("method", [smoothgrad, gradient_shap])
def test_seeds_choose_the_sample_and_nothing_is_drawn_from_the_caller(method, images):
    model = Curved()
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the generator that captum draws from
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, again = (method(model, images, targets=TARGETS, samples=4, seed=3).values for _ in range(2))
    other = method(model, images, targets=TARGETS, samples=4, seed=4).values
    alone = method(model, images[1:], targets=TARGETS[1:], samples=4, seed=3).values
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    np.testing.assert_array_equal(one, again)
    np.testing.assert_allclose(alone[0], one[1], rtol=1e-6)
    assert np.abs(one - other).max() > 1e-3


def test_the_generators_are_restored_after_an_exception():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002

    def fail():
        with seeded(0, torch.zeros(1)):
            torch.rand(3)
            np.random.rand(3)  # noqa: NPY002
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_many_images_go_through_in_parts(monkeypatch, images):
    model = Curved()
    many = images.repeat(3, 1, 1, 1)
    targets = TARGETS.repeat(3)
    options = {
        integrated_gradients: {"steps": 7},
        occlusion: {"window": 2},
        gradient_x_input: {},
        gradient_shap: {"samples": 2},
        smoothgrad: {"samples": 6, "noise": 0},
    }
    expected = {method: method(model, many, targets=targets, **light) for method, light in options.items()}
    monkeypatch.setattr("vitscope.explain.attributions._PIXELS", 4 * 20)
    assert ask(model, many, targets).at_once == 4
    for method, light in options.items():
        found = method(model, many, targets=targets, **light)
        np.testing.assert_allclose(found.values, expected[method].values, rtol=1e-5, atol=1e-7)


def test_windows_follow_the_size_of_the_image():
    model = Linear((32, 48))
    found = occlusion(model, torch.randn(1, 2, 32, 48, dtype=torch.float64))
    assert (found.options["window"], found.options["stride"]) == (4, 2)
    assert found.options["baseline"] == "zero"


def test_what_makes_no_sense_is_refused(images, baseline):
    model = Linear()
    for method, options, said in (
        (integrated_gradients, {"steps": 0}, "at least 1 step"),
        (integrated_gradients, {"baseline": baseline[:, :2]}, r"like \[2, 4, 5\], got \[2, 2, 5\]"),
        (integrated_gradients, {"baseline": baseline * torch.inf}, "not finite"),
        (smoothgrad, {"samples": 0}, "at least 1 sample"),
        (smoothgrad, {"noise": -0.1}, "noise of at least 0"),
        (smoothgrad, {"noise": float("nan")}, "noise of at least 0"),
        (gradient_shap, {"baselines": baseline[None][:0]}, "at least one baseline"),
        (occlusion, {"window": 5}, "1 to 4 pixels, got 5"),
        (occlusion, {"window": 2, "stride": 3}, "1 to 2 pixels, the window, got 3"),
        (gradient_x_input, {"targets": torch.tensor([0, 3])}, "got 3"),
    ):
        with pytest.raises(InputError, match=said):
            method(model, images, **options)
    a_channel = torch.tensor([1.0, 2.0])[:, None, None]
    found = integrated_gradients(model, images, targets=TARGETS, baseline=a_channel)
    np.testing.assert_allclose(found.values, exact(model, images, a_channel), rtol=1e-5, atol=1e-6)
    with pytest.raises(CaptureError, match="does not return logits"):
        gradient_x_input(nn.Conv2d(2, 2, 1).double().eval(), images)
    with torch.no_grad():
        model.bias[0] = float("inf")
    with pytest.raises(NotFiniteError):
        occlusion(model, images)


@pytest.mark.parametrize("method", [smoothgrad, gradient_shap, integrated_gradients, occlusion])
def test_a_model_of_half_precision(method, images):
    whole, half = Linear().float(), Linear().to(torch.bfloat16)
    found = method(half, images.to(torch.bfloat16), targets=TARGETS).values
    expected = method(whole, images.float(), targets=TARGETS).values
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())


def test_captum_is_silent_and_leaves_the_model_alone(images, caplog):
    """Warnings are errors in these tests; the log must be empty too."""
    model = Curved().requires_grad_(False)
    with caplog.at_level(logging.DEBUG), torch.inference_mode():
        given = images.clone()
        for method in (integrated_gradients, gradient_x_input, occlusion, gradient_shap, smoothgrad):
            method(model, given, targets=TARGETS.clone())
    assert not [record for record in caplog.records if record.name.startswith("captum")]
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
