"""Deletion and insertion: against plain loops, their identities, and their extremes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.oracles.perturbing import blur, enlarge, ranking, replaced, trapezoid
from vitscope.errors import InputError, NotFiniteError
from vitscope.explain.perturbation import (
    area,
    blurred,
    deletion,
    insertion,
    on_pixels,
    perturbed,
    pixel_order,
    probabilities,
    step_counts,
)


class Linear(nn.Module):
    """A linear classifier of pixels, in any number of channels."""

    def __init__(self, channels=2, rows=4, columns=6, classes=3):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.weight = nn.Parameter(torch.randn(classes, channels, rows, columns, generator=generator) / 3)
        self.eval()

    def forward(self, images):
        return torch.einsum("nchw,kchw->nk", images, self.weight)


class Constant(nn.Module):
    def forward(self, images):
        return torch.tensor([[0.0, 1.0, 3.0]]).repeat(len(images), 1) + 0 * images.sum((1, 2, 3))[:, None]


@pytest.fixture(scope="module")
def model():
    return Linear()


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 2, 4, 6, generator=torch.Generator().manual_seed(1))


TARGETS = torch.tensor([2, 0, 1])


def some_maps(seed=0, count=3, shape=(4, 6)):
    return np.random.default_rng(seed).integers(0, 6, (count, *shape)).astype(np.float32)  # with ties


def one_probability(model, image, target):
    with torch.no_grad():
        logits = model(torch.from_numpy(image)[None].float())[0].tolist()
    exponentials = np.exp(np.array(logits) - max(logits))
    return exponentials[target] / exponentials.sum()


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_equals_the_plain_loops(model, images, kind):
    maps = [some_maps(0), some_maps(1)]
    orders = np.stack([pixel_order(each) for each in maps])
    measure = deletion if kind == "deletion" else insertion
    fractions, curves = measure(model, images, orders, TARGETS, steps=6)
    assert fractions.tolist() == [0, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1]
    assert curves.shape == (2, 3, 7)
    for image in range(3):
        given = images[image].numpy()
        start, end = (given, 0 * given) if kind == "deletion" else (blur(given, 4 / 8), given)
        for method in range(2):
            places = ranking(maps[method][image])
            expected = [
                one_probability(model, replaced(start, end, places[:count]), int(TARGETS[image]))
                for count in (0, 4, 8, 12, 16, 20, 24)
            ]
            np.testing.assert_allclose(curves[method, image], expected, rtol=1e-5)
            found = area(fractions, curves)[method, image]
            np.testing.assert_allclose(found, trapezoid(fractions, expected), rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    maps=st.integers(0, 1000).map(lambda seed: some_maps(seed, count=2, shape=(4, 4))),
    steps=st.integers(1, 20),
)
def test_insertion_is_deletion_of_the_reverse(maps, steps):
    model, images = Linear(1, 4, 4), torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    order, other = pixel_order(maps)[None], torch.zeros_like(images)
    given = {"counts": step_counts(16, steps), "targets": TARGETS[:2]}
    inserted = perturbed(model, other, images, order, **given)
    deleted = perturbed(model, images, other, order[..., ::-1], **given)
    np.testing.assert_allclose(inserted, deleted[..., ::-1], rtol=1e-6)
    fractions = given["counts"] / 16
    np.testing.assert_allclose(area(fractions, inserted), area(fractions, deleted), rtol=1e-6)


def test_a_constant_model_scores_its_probability(images):
    orders = pixel_order(some_maps())[None]
    expected = np.exp([3, 0, 1]) / np.exp([0, 1, 3]).sum()
    for measure in (deletion, insertion):
        fractions, curves = measure(Constant(), images, orders, TARGETS)
        np.testing.assert_allclose(area(fractions, curves), [expected], rtol=1e-6)


def test_by_hand():
    """Two pixels of evidence 2 and 1 against none: p = σ(3), σ(1), σ(0) as the larger goes first."""

    class Sum(nn.Module):
        def forward(self, images):
            return torch.stack([images.sum((1, 2, 3)), torch.zeros(len(images))], dim=1)

    image = torch.tensor([[[[2.0, 1.0]]]])
    order = pixel_order(np.array([[[5.0, 4.0]]]))[None]
    fractions, curves = deletion(Sum(), image, order, torch.tensor([0]), steps=2)
    sigmoid = [1 / (1 + np.exp(-x)) for x in (3, 1, 0)]
    np.testing.assert_allclose(curves[0, 0], sigmoid, rtol=1e-6)
    expected = (sigmoid[0] + 2 * sigmoid[1] + sigmoid[2]) / 4
    np.testing.assert_allclose(area(fractions, curves), [[expected]], rtol=1e-6)


def test_the_true_order_of_a_linear_model_is_the_best(images):
    model = Linear()
    with torch.no_grad():
        model.weight[1:] = 0
    evidence = (images * model.weight[0]).sum(1).detach().numpy()
    noise = np.random.default_rng(0).random((20, *evidence.shape))
    orders = np.stack([pixel_order(each) for each in (evidence, *noise)])
    targets = torch.zeros(3, dtype=torch.int64)
    best, *others = area(*deletion(model, images, orders, targets))
    assert (best < np.min(others, axis=0)).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (4, 6), (3, 2)])
def test_enlarging_equals_the_plain_loops(shape):
    values = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    found = on_pixels(values, (4, 6))
    assert found.dtype == np.float32
    for image in range(2):
        np.testing.assert_allclose(found[image], enlarge(values[image], 4, 6), atol=1e-6)


def test_enlarging_is_that_of_the_overlays():
    from vitscope.figures.overlay import enlarged

    values = np.random.default_rng(0).random((1, 3, 4))
    np.testing.assert_array_equal(on_pixels(values, (9, 16))[0], enlarged(values[0], width=16, height=9))


def test_ties_are_broken_in_reading_order():
    maps = np.array([[[0, 1, 0], [1, 2, 0]]])
    assert pixel_order(maps).tolist() == [[4, 1, 3, 0, 2, 5]]
    assert pixel_order(np.zeros((1, 2, 2))).tolist() == [[0, 1, 2, 3]]


@settings(max_examples=50, deadline=None)
@given(pixels=st.integers(1, 200), steps=st.integers(1, 30))
def test_counts_are_whole_rise_and_are_symmetric(pixels, steps):
    counts = step_counts(pixels, steps)
    assert len(counts) == steps + 1
    assert (counts[0], counts[-1]) == (0, pixels)
    assert (np.diff(counts) >= 0).all()
    assert (np.abs(counts - np.arange(steps + 1) * pixels / steps) <= 0.5).all()
    mirrored = (pixels - counts)[::-1]
    inner = np.arange(steps + 1) != steps / 2
    assert (counts[inner] == mirrored[inner]).all()
    if steps % 2 or pixels % 2 == 0:
        assert (counts == mirrored).all()


def test_blurring_keeps_a_constant_image_and_equals_the_plain_loops():
    constant = torch.full((1, 3, 5, 7), 1.5)
    torch.testing.assert_close(blurred(constant), constant)
    image = torch.randn(1, 2, 8, 5, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(blurred(image)[0], blur(image[0].numpy(), 5 / 8), atol=1e-5)


def test_a_batch_equals_its_images(model, images):
    orders = np.stack([pixel_order(some_maps(0)), pixel_order(some_maps(1))])
    whole = deletion(model, images, orders, TARGETS)[1]
    for image in range(3):
        part = slice(image, image + 1)
        one = deletion(model, images[part], orders[:, part], TARGETS[part])[1]
        np.testing.assert_allclose(one[:, 0], whole[:, image], rtol=1e-6)


def test_bad_input(model, images):
    with pytest.raises(InputError, match="at least 1 step"):
        step_counts(4, 0)
    with pytest.raises(NotFiniteError):
        probabilities(model, images * float("nan"), TARGETS)
