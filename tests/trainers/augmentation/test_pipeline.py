"""Augmentation against one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tests.oracles.warping import shifted_and_flipped, warped
from vitscope.trainers.augmentation.pipeline import Augmentation
from vitscope.trainers.augmentation.streams import stream


def some(count=5, channels=3, height=8, width=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def draws_of(**values):
    """One row of draws in the middle, where nothing changes, but for those given."""
    places = {"flip": 0, "row": 1, "column": 2, "angle": 3, "scale": 4, "right": 5, "down": 6}
    row = torch.full((1, 7), 0.5)
    for name, value in values.items():
        row[0, places[name]] = value
    return row


@settings(max_examples=40, deadline=None)
@given(
    st.booleans(),
    st.integers(0, 4),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1, 3]),
    st.integers(0, 99),
)
def test_flip_and_crop_equal_slicing(flip, padding, height, width, channels, seed):
    images = some(6, channels, height, width, seed)
    augmentation = Augmentation(flip=flip, crop_padding=padding)
    draws = augmentation.draw(seed, 0, 6)
    found = augmentation.apply(images, draws)
    assert found.dtype == torch.uint8
    for image, row, result in zip(images, draws, found, strict=True):
        expected = shifted_and_flipped(image.numpy(), row, flip=flip, padding=padding)
        np.testing.assert_array_equal(result.numpy(), expected)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 11), (11, 6)])
@pytest.mark.parametrize(
    ("rotation", "scale", "translation"), [(20, 0, 0), (0, 0.3, 0), (0, 0, 0.2), (30, 0.2, 0.1)]
)
def test_affine_changes_equal_a_plain_loop(height, width, rotation, scale, translation):
    images = some(4, 3, height, width)
    augmentation = Augmentation(rotation=rotation, scale=scale, translation=translation)
    draws = augmentation.draw(1, 2, 4)
    found = augmentation.apply(images, draws)
    assert found.dtype == torch.uint8
    for image, row, result in zip(images, draws.double().numpy(), found, strict=True):
        angle, size, right, down = 2 * row[3:] - 1
        expected = warped(
            image.double().numpy(),
            degrees=angle * rotation,
            size=1 + size * scale,
            right=right * translation,
            down=down * translation,
        )
        assert np.abs(result.numpy() - expected).max() <= 0.51  # rounded to whole values


def test_rotation_agrees_with_scipy():
    image = some(1, 1, 15, 15)
    image[..., :3, :] = image[..., -3:, :] = 0
    image[..., :3] = image[..., -3:] = 0
    found = Augmentation(rotation=30).apply(image, draws_of(angle=1.0))[0, 0].numpy().astype(float)
    expected = ndimage.rotate(image[0, 0].double().numpy(), 30, reshape=False, order=1)
    inner = np.s_[2:-2, 2:-2]
    assert np.abs(found - expected)[inner].max() < 1.0


def test_directions_by_hand():
    image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    image[0, 0, 2, 5] = 200
    quarter = Augmentation(rotation=90).apply(image, draws_of(angle=1.0))
    assert quarter[0, 0, 2, 2] == 200  # the upper right went to the upper left: against the clock
    moved = Augmentation(translation=0.25).apply(image, draws_of(right=1.0))
    assert moved[0, 0, 2, 3] == 200  # it was looked for two columns to the right
    moved = Augmentation(translation=0.25).apply(image, draws_of(down=0.0))
    assert moved[0, 0, 4, 5] == 200
    block = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    block[0, 0, 3:5, 3:5] = 255
    larger = Augmentation(scale=0.5).apply(block, draws_of(scale=1.0)).float().sum()
    smaller = Augmentation(scale=0.5).apply(block, draws_of(scale=0.0)).float().sum()
    assert smaller < block.float().sum() < larger


def test_borders_are_black():
    white = torch.full((1, 1, 8, 8), 255, dtype=torch.uint8)
    cut = Augmentation(crop_padding=2).apply(white, draws_of(row=0.0, column=0.0))
    assert cut[0, 0, :2].max() == 0
    assert cut[0, 0, :, :2].max() == 0
    assert cut[0, 0, 2:, 2:].min() == 255
    moved = Augmentation(translation=0.25).apply(white, draws_of(right=1.0))
    assert moved[0, 0, :, 6:].max() == 0
    assert moved[0, 0, :, :6].min() == 255


def test_nothing_to_do_gives_the_images_back():
    images, nothing = some(), Augmentation()
    assert nothing.apply(images, nothing.draw(0, 0, 5)) is images
    assert not nothing.affine
    middle = draws_of().expand(5, 7)
    everything = Augmentation(crop_padding=3, rotation=40, scale=0.4, translation=0.3)
    assert torch.equal(everything.apply(images, middle), images)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(8)), st.integers(1, 8))
def test_an_images_change_does_not_depend_on_its_batch(order, size):
    images = some(8)
    augmentation = Augmentation(flip=True, crop_padding=1, rotation=10, scale=0.1, translation=0.1)
    draws = augmentation.draw(3, 4, 8)
    whole = augmentation.apply(images, draws)
    for start in range(0, 8, size):
        chosen = torch.tensor(order[start : start + size])
        assert torch.equal(augmentation.apply(images[chosen], draws[chosen]), whole[chosen])


def test_draws_depend_on_seed_and_epoch_alone():
    draw = Augmentation(flip=True).draw
    state = torch.get_rng_state()
    assert torch.equal(draw(1, 2, 9), draw(1, 2, 9))
    assert not torch.equal(draw(1, 2, 9), draw(1, 3, 9))
    assert not torch.equal(draw(1, 2, 9), draw(2, 2, 9))
    assert torch.equal(draw(1, 2, 9)[:4], draw(1, 2, 4))
    assert torch.equal(torch.get_rng_state(), state)
    draws = draw(0, 0, 4000)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert torch.allclose(draws.mean(dim=0), torch.tensor(0.5), atol=0.03)


def test_streams_of_different_keys_differ():
    keys = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 2, 1), (0, 0, 2, 2)]
    assert len({stream(*key).initial_seed() for key in keys}) == len(keys)
