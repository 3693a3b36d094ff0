"""Padding, windows and resized crops against slices, NumPy and torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional

from tests.oracles.augmenting import stretched
from tests.trainers.augmentation.pictures import some
from vitscope.trainers.augmentation.boxes import BOX_DRAWS, crop_boxes
from vitscope.trainers.augmentation.geometry import mirrored, padded, resized, windows


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 6), st.sampled_from(["zeros", "reflect"]))
def test_padding_equals_numpys(height, width, padding, fill):
    padding = min(padding, height - 1, width - 1)
    images = some(2, 3, height, width)
    around = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    expected = np.pad(images.numpy(), around, mode="constant" if fill == "zeros" else "reflect")
    np.testing.assert_array_equal(padded(images, padding, fill).numpy(), expected)


def test_windows_are_slices():
    images, places = some(6, 3, 9, 11), torch.tensor([[0, 0], [4, 4], [2, 3], [0, 4], [4, 0], [1, 1]])
    for image, (row, column), found in zip(
        images, places.tolist(), windows(images, places, (5, 7)), strict=True
    ):
        assert torch.equal(found, image[:, row : row + 5, column : column + 7])


def test_only_the_named_images_are_mirrored():
    images, which = some(4), torch.tensor([True, False, False, True])
    found = mirrored(images, which)
    assert torch.equal(found[~which], images[~which])
    assert torch.equal(found[which], images[which].flip(3))


@pytest.mark.parametrize(("height", "width", "channels"), [(8, 8, 3), (6, 11, 1), (12, 5, 3)])
def test_resized_crops_equal_a_plain_loop_and_torchvision(height, width, channels):
    images = some(6, channels, height, width)
    draws = torch.rand(6, BOX_DRAWS, generator=torch.Generator().manual_seed(1))
    boxes = crop_boxes(draws, 0.1, width, height)
    for image, box, found in zip(images, boxes.tolist(), resized(images, boxes), strict=True):
        expected = stretched(image.numpy(), box)
        assert np.abs(found.numpy() - expected).max() <= 0.51  # rounded to whole values
        left, top, right, bottom = box
        theirs = functional.resized_crop(
            image.float(), top, left, bottom - top, right - left, [height, width], antialias=True
        )
        assert (found - theirs).abs().max() <= 0.51


def test_resizing_the_whole_image_changes_nothing():
    images = some(3, 3, 7, 10)
    assert torch.equal(resized(images, torch.tensor([[0, 0, 10, 7]]).expand(3, 4)), images)


def test_a_window_of_one_pixel_fills_the_image():
    images = some(1, 3, 6, 6)
    found = resized(images, torch.tensor([[4, 2, 5, 3]]))
    assert torch.equal(found, images[:, :, 2:3, 4:5].expand(1, 3, 6, 6))
