"""Random erasing and cutout against loops over the pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.oracles.augmenting import cut_out, erased_box
from vitscope.trainers.augmentation.erasing import Erasing


def inputs(count=30, channels=3, height=9, width=12):
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(1)) + 5


def uniform(count, columns, seed=0):
    return torch.rand(count, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("probability", "cutout"), [(0.4, 0), (1.0, 0), (0.0, 5), (0.5, 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_erased_equals_a_plain_loop(probability, cutout, channels):
    erasing, images = Erasing(probability, cutout), inputs(channels=channels)
    draws, before = uniform(30, erasing.draws), images.clone()
    found = erasing.apply(images, draws)
    assert torch.equal(images, before)
    chosen = 0
    for image, row, each in zip(images, draws, found, strict=True):
        expected = image.numpy().copy()
        if probability and row[0] < probability:
            left, top, right, bottom = erased_box(row[1:23], 12, 9)
            expected[:, top:bottom, left:right] = 0
            chosen += 1
        if cutout:
            expected = cut_out(expected, row[-2:], cutout)
        np.testing.assert_array_equal(each.numpy(), expected)
    assert chosen == (draws[:, 0] < probability).sum() if probability else chosen == 0


def test_the_share_of_erased_images_and_pixels():
    images = inputs(2000, 1, 16, 16)
    erased = Erasing(0.25).apply(images, uniform(2000, 23)) == 0
    assert abs(erased.any(dim=3).any(dim=2).float().mean() - 0.25) < 0.03
    area = erased.float().mean(dim=(1, 2, 3))
    assert area[area > 0].min() > 0.02 - 8 / 256
    assert area.max() < 0.33 + 16 / 256
    assert abs(area[area > 0].mean() - 0.175) < 0.02


def test_an_image_of_one_pixel_is_never_erased_but_cut_out():
    images = inputs(8, 3, 1, 1)
    assert torch.equal(Erasing(1.0).apply(images, uniform(8, 23)), images)
    assert (Erasing(cutout=1).apply(images, uniform(8, 2)) == 0).all()


def test_nothing_to_erase_takes_no_draws():
    assert Erasing().draws == 0
