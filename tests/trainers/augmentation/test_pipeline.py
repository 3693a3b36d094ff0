"""Augmentation against one image at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torchvision.transforms.v2 import functional

from tests.oracles.warping import shifted_and_flipped, warped
from tests.trainers.augmentation.pictures import some, varied
from vitscope.errors import UsageError
from vitscope.trainers.augmentation.erasing import Erasing
from vitscope.trainers.augmentation.jitter import Jitter
from vitscope.trainers.augmentation.pipeline import Augmentation
from vitscope.trainers.augmentation.policies import Policy
from vitscope.trainers.augmentation.streams import stream
from vitscope.trainers.sections import AugmentSettings

EVERYTHING = Augmentation(
    resized_crop=0.4,
    crop_padding=1,
    crop_fill="reflect",
    flip=True,
    rotation=10,
    scale=0.1,
    translation=0.1,
    policy=Policy("randaugment", 3, 12),
    jitter=Jitter(0.4, 0.4, 0.4, 0.1),
    erasing=Erasing(0.5, 3),
)


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
    inputs = images.float()
    assert nothing.erase(inputs, nothing.draw(0, 0, 5)) is inputs
    assert not nothing.affine
    middle = draws_of().expand(5, 7)
    everything = Augmentation(crop_padding=3, rotation=40, scale=0.4, translation=0.3)
    assert torch.equal(everything.apply(images, middle), images)


@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment", "autoaugment"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [1, 7, 24])
def test_an_images_change_does_not_depend_on_its_batch(policy, channels, size):
    augmentation, order = replace(EVERYTHING, policy=Policy(policy)), torch.arange(24) * 7 % 24
    images, draws = varied(24, channels, 13, 9), augmentation.draw(3, 4, 24)
    before = images.clone()
    whole = augmentation.apply(images, draws)
    inputs = whole.float() / 7 - 3
    erased = augmentation.erase(inputs, draws)
    assert torch.equal(images, before)
    for start in range(0, 24, size):
        chosen = order[start : start + size]
        assert torch.equal(augmentation.apply(images[chosen], draws[chosen]), whole[chosen])
        assert torch.equal(augmentation.erase(inputs[chosen], draws[chosen]), erased[chosen])


def test_a_large_image_gives_the_same_alone():
    images, augmentation = varied(5, 3, 224, 200), replace(EVERYTHING, policy=Policy("trivialaugment"))
    draws = augmentation.draw(0, 0, 5)
    whole = augmentation.apply(images, draws)
    for place in range(5):
        assert torch.equal(
            augmentation.apply(images[place : place + 1], draws[place : place + 1])[0], whole[place]
        )


def test_parts_draw_the_same_whether_others_are_on():
    whole = EVERYTHING.draw(5, 6, 40)
    assert torch.equal(Augmentation(flip=True).draw(5, 6, 40), whole[:, :7])
    without = replace(EVERYTHING, policy=Policy(), jitter=Jitter()).draw(5, 6, 40)
    assert torch.equal(without, torch.cat([whole[:, :29], whole[:, -25:]], dim=1))
    inputs = varied(40).float() + 1
    only = replace(Augmentation(), erasing=EVERYTHING.erasing)
    assert torch.equal(only.erase(inputs, only.draw(5, 6, 40)), EVERYTHING.erase(inputs, whole))
    correlations = torch.corrcoef(EVERYTHING.draw(0, 0, 2000).T) - torch.eye(whole.shape[1])
    assert correlations.abs().max() < 0.12


def test_a_window_is_what_would_be_cut_out_of_an_image():
    images, augmentation = some(20, 3, 15, 21), Augmentation(resized_crop=0.3)
    draws = augmentation.draw(1, 1, 20)
    found = augmentation.apply(images, draws)
    for image, row, each in zip(images, draws, found, strict=True):
        left, top, right, bottom = augmentation.window(row, 21, 15)
        theirs = functional.resized_crop(
            image.float(), top, left, bottom - top, right - left, [15, 21], antialias=True
        )
        assert (each - theirs).abs().max() <= 0.51
    assert augmentation.apply(images, draws, cropped=True) is images
    left, top, right, bottom = augmentation.window(draws[0], 4000, 3000)
    assert 0 <= left < right <= 4000
    assert 0 <= top < bottom <= 3000
    assert 0.29 < (right - left) * (bottom - top) / 12e6 <= 1
    assert Augmentation(flip=True).window(draws[0], 4000, 3000) is None


def test_a_whole_cut_and_an_empty_batch():
    nothing = torch.zeros(0, 3, 8, 8, dtype=torch.uint8)
    draws = EVERYTHING.draw(0, 0, 0)
    assert EVERYTHING.apply(nothing, draws).shape == EVERYTHING.erase(nothing.float(), draws).shape
    images = some()
    assert torch.equal(Augmentation(resized_crop=1.0).apply(images, torch.full((5, 29), 0.5)), images)


def test_settings_become_an_augmentation():
    full = AugmentSettings(
        flip=True,
        crop_padding=1,
        crop_fill="reflect",
        resized_crop=0.4,
        rotation=10,
        scale=0.1,
        translation=0.1,
        policy="randaugment",
        operations=3,
        magnitude=12,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        erasing=0.5,
        cutout=3,
    )
    assert Augmentation.from_settings(full, source="cifar10", channels=3, size=32) == EVERYTHING

    def usual(source, channels, **settings):
        found = Augmentation.from_settings(
            AugmentSettings(**settings), source=source, channels=channels, size=32
        )
        return found.flip, found.crop_padding

    assert usual("cifar10", 3) == usual("fashion-mnist", 1) == usual("/some/folder", 3) == (True, 4)
    assert usual("digits", 1) == usual("/some/folder", 1) == (False, 0)
    assert usual("cifar10", 3, flip=False, crop_padding=0) == (False, 0)
    assert usual("cifar10", 3, resized_crop=0.5) == (True, 0)
    assert usual("digits", 1, crop_padding=2) == (False, 2)


@pytest.mark.parametrize(
    ("source", "chosen"),
    [("digits", {"flip": True}), ("cifar10", {"crop_padding": 8}), ("cifar10", {"cutout": 8})],
)
def test_settings_that_contradict_the_images_are_errors(source, chosen):
    with pytest.raises(UsageError, match=f"augment.{next(iter(chosen))}"):
        Augmentation.from_settings(AugmentSettings(**chosen), source=source, channels=3, size=8)


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
