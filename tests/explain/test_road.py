"""ROAD's imputation against one dense system, what it leaves as it is, and its scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.oracles.perturbing import impute as impute_plainly
from vitscope.errors import InputError
from vitscope.explain.perturbation import pixel_order, probabilities
from vitscope.explain.road import FRACTIONS, impute, road, road_noise

IMAGES = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))


class Brightness(nn.Module):
    """Two classes, told by the mean of the left half."""

    def forward(self, images):
        left = images[..., : images.shape[-1] // 2].mean((1, 2, 3))
        return torch.stack([8 * left, torch.zeros_like(left)], dim=1)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    share=st.floats(0.02, 0.98),
    size=st.tuples(st.integers(2, 6), st.integers(1, 6)),
)
def test_equals_one_dense_system(seed, share, size):
    random = np.random.default_rng(seed)
    removed = random.random((2, *size)) < share
    removed[:, 0, 0] = False  # a pixel is left
    images = random.normal(size=(2, 2, *size))
    found = impute(torch.from_numpy(images).float(), torch.from_numpy(removed)).numpy()
    for image in range(2):
        np.testing.assert_allclose(found[image], impute_plainly(images[image], removed[image]), atol=3e-4)


def test_a_constant_image_stays_as_it_is():
    images = torch.full((1, 1, 9, 9), -1.25)
    removed = torch.from_numpy(np.random.default_rng(0).random((1, 9, 9)) < 0.8)
    torch.testing.assert_close(impute(images, removed), images)


def test_the_inside_of_a_ramp_is_restored():
    row, column = torch.meshgrid(torch.arange(8.0), torch.arange(10.0), indexing="ij")
    image = (0.3 * row - 0.2 * column)[None, None]
    removed = torch.zeros(1, 8, 10, dtype=torch.bool)
    removed[0, 1:-1, 1:-1] = torch.from_numpy(np.random.default_rng(1).random((6, 8)) < 0.7)
    torch.testing.assert_close(impute(image, removed), image, atol=1e-3, rtol=0)
    removed[0, 0, 3:6] = True  # at the border the weights are renormalised, and a ramp bends
    assert (impute(image, removed) - image).abs().max() > 0.01


def test_by_hand():
    """One hole in a corner: sides 1/6 and corner 1/12 of what is there, so (2·6 + 2·3 + 12)/5 = 6."""
    image = torch.tensor([[[[99.0, 6.0], [3.0, 12.0]]]])
    removed = torch.tensor([[[True, False], [False, False]]])
    assert impute(image, removed)[0, 0].tolist() == [[pytest.approx(6, abs=1e-4), 6], [3, 12]]


def test_what_is_known_is_not_touched_and_other_images_do_not_matter():
    removed = torch.from_numpy(np.random.default_rng(2).random((2, 6, 5)) < [[[0.95]], [[0.2]]])
    whole = impute(IMAGES, removed)
    assert torch.equal(torch.where(removed[:, None], 0.0, whole), torch.where(removed[:, None], 0.0, IMAGES))
    for image in range(2):
        part = slice(image, image + 1)
        torch.testing.assert_close(impute(IMAGES[part], removed[part]), whole[part], atol=1e-6, rtol=0)


def test_exactly_that_many_pixels_are_removed_and_noise_is_added_to_them_alone():
    orders = pixel_order(np.random.default_rng(0).random((2, 6, 5)))[None]
    seen = []

    class Recorder(nn.Module):
        def forward(self, images):
            seen.append(images.clone())
            return torch.zeros(len(images), 2)

    targets, noise = torch.tensor([0, 1]), road_noise(np.arange(2), IMAGES, seed=0)
    road(Recorder(), IMAGES, orders, targets, noise=noise, fractions=(0.1, 0.34))
    counts = [int((given != IMAGES).any(dim=1).sum()) for given in seen]
    assert counts == [2 * 3, 2 * 11, 2 * 3, 2 * 11]  # ⌈0.1·30⌉ and ⌈0.34·30⌉ of two images, both ways
    changed = (seen[0] != IMAGES).any(dim=1)
    for image in range(2):
        assert sorted(orders[0, image, :3]) == changed[image].flatten().nonzero()[:, 0].tolist()
    quiet = impute(IMAGES, changed)
    torch.testing.assert_close(seen[0], quiet + 0.01 * noise * changed[:, None], atol=1e-5, rtol=0)


def test_noise_is_of_the_image_and_the_seed():
    noise = road_noise(np.arange(4), IMAGES, seed=3)
    torch.testing.assert_close(road_noise(np.array([2]), IMAGES, seed=3), noise[2:3])
    assert not torch.equal(road_noise(np.arange(4), IMAGES, seed=4), noise)
    many = road_noise(np.arange(200), IMAGES, seed=0)
    assert abs(float(many.mean())) < 0.02
    assert float(many.std()) == pytest.approx(1, abs=0.02)


def test_the_true_map_scores_above_its_reverse_and_0():
    images = torch.zeros(1, 1, 8, 8)
    images[..., 2:6, 1:3] = 2.0
    truth = images[:, 0].numpy() + np.linspace(0.01, 0, 64).reshape(1, 8, 8)
    orders = np.stack([pixel_order(truth), pixel_order(-truth)])
    most, least = road(Brightness(), images, orders, torch.tensor([0]), noise=torch.zeros_like(images))
    score = (least - most).mean(axis=2) / 2
    assert score[0, 0] > 0.05
    np.testing.assert_allclose(score[0], -score[1], atol=1e-5)
    assert most.shape == (2, 1, len(FRACTIONS))


def test_a_constant_model_scores_0():
    class Constant(nn.Module):
        def forward(self, images):
            return torch.tensor([[1.0, 0.0]]).repeat(len(images), 1)

    orders = pixel_order(np.random.default_rng(0).random((2, 6, 5)))[None]
    targets = torch.tensor([0, 0])
    most, least = road(Constant(), IMAGES, orders, targets, noise=torch.zeros_like(IMAGES))
    assert (most == least).all()
    np.testing.assert_allclose(most, probabilities(Constant(), IMAGES, targets)[0])


def test_bad_input():
    orders = np.arange(30).reshape(1, 1, 30).repeat(2, axis=1)
    for fractions in ((0.0,), (1.0,), (0.999,)):
        with pytest.raises(InputError, match="that leave a pixel"):
            road(Brightness(), IMAGES, orders, torch.tensor([0, 0]), noise=IMAGES, fractions=fractions)
    with pytest.raises(InputError, match="a pixel to be left"):
        impute(IMAGES, torch.ones(2, 6, 5, dtype=torch.bool))
