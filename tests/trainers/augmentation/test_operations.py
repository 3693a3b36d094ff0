"""The policies' operations against torchvision's, image by image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from tests.oracles.augmenting import turned_hue
from tests.trainers.augmentation.pictures import some, varied
from vitscope.trainers.augmentation import enhancement
from vitscope.trainers.augmentation.operations import NAMES, Turn, perform

SHAPES = [(3, 12, 12), (1, 9, 14), (3, 41, 36), (3, 2, 5), (1, 1, 1)]
STRENGTHS = {
    **dict.fromkeys(("ShearX", "ShearY"), (-0.99, 0.99)),
    **dict.fromkeys(("TranslateX", "TranslateY"), (-14.5, 14.5)),
    "Rotate": (-135.0, 135.0),
    **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), (-1.0, 1.5)),
    "Posterize": (0.0, 8.99),
    "Solarize": (0.0, 1.0),
}
# Where the exact result of a blend is all but whole, the order of the roundings decides.
ONE_LEVEL_OFF = {"Color": 4e-3, "Contrast": 1e-3, "Sharpness": 1e-3}


def strengths(name, count, seed=0):
    low, high = STRENGTHS.get(name, (0.0, 0.0))
    drawn = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = low + drawn * (high - low)
    return drawn.floor() if name == "Posterize" else drawn


def torchvisions(image, name, strength):
    return v2.RandAugment()._apply_image_or_video_transform(
        image, name, float(strength), interpolation=InterpolationMode.NEAREST, fill={torch.Tensor: None}
    )


def far_from_ties(name, strength, height, width):
    """Where the nearest pixel is not decided by the last bit: `[row, column]`."""
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    if name == "Rotate":
        cosine, sine = math.cos(math.radians(strength)), math.sin(math.radians(strength))
        x, y = cosine * x - sine * y, sine * x + cosine * y
    elif name == "ShearX":
        x = x + strength * (y + height / 2)
    elif name == "ShearY":
        y = y + strength * (x + width / 2)
    places = np.stack([x + (width - 1) / 2, y + (height - 1) / 2])
    return torch.from_numpy((np.abs(places - np.floor(places) - 0.5) > 1e-4).all(axis=0))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_equals_torchvisions(name, shape):
    images, drawn = varied(12, *shape), strengths(name, 12)
    found = perform(images, [Turn(torch.full((12,), NAMES.index(name)), drawn)])
    expected = torch.stack(
        [torchvisions(image, name, each) for image, each in zip(images, drawn, strict=True)]
    )
    assert found.dtype == torch.uint8
    off = (found.int() - expected.int()).abs()
    if name in ("ShearX", "ShearY", "Rotate"):
        clear = torch.stack([far_from_ties(name, each, *shape[1:]) for each in drawn.tolist()])
        assert clear.float().mean() > 0.99
        off = off * clear[:, None]
    assert off.max() <= (name in ONE_LEVEL_OFF)
    assert (off > 0).float().mean() <= ONE_LEVEL_OFF.get(name, 0.0)


def test_every_image_has_its_own_operation():
    images = varied(3 * len(NAMES))
    turns = [
        Turn(torch.arange(len(images)) % len(NAMES), torch.full((len(images),), 0.3, dtype=torch.float64)),
        Turn(torch.arange(len(images)) // 3, torch.full((len(images),), 0.6, dtype=torch.float64)),
    ]
    before = images.clone()
    found = perform(images, turns)
    for place in range(len(images)):
        one = images[place : place + 1]
        for turn in turns:
            one = perform(one, [Turn(turn.operation[place : place + 1], turn.strength[place : place + 1])])
        assert torch.equal(found[place], one[0])
    assert torch.equal(images, before)


def test_strengths_by_hand():
    def done(image, name, strength):
        return perform(image, [Turn(torch.tensor([NAMES.index(name)]), torch.tensor([strength]).double())])[
            0, 0
        ]

    dot = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    dot[0, 0, 1, 3] = 9
    assert done(dot, "TranslateX", 1.9)[1, 4] == 9  # to the right, and the fraction is dropped
    assert done(dot, "TranslateX", -1.9)[1, 2] == 9
    assert done(dot, "TranslateY", 2.0)[3, 3] == 9
    assert done(dot, "Rotate", 90.0)[1, 1] == 9  # against the clock
    assert done(dot, "ShearX", 0.99)[1, 2] == 9  # the upper left corner stays, rows below go to the left
    values = torch.tensor([0, 100, 127, 128, 255], dtype=torch.uint8).expand(1, 1, 1, 5)
    assert done(values, "Brightness", 0.5).tolist() == [[0, 150, 190, 192, 255]]
    assert done(values, "Contrast", -1.0).tolist() == [[122] * 5]  # the mean of the values
    assert done(values, "Posterize", 1.0).tolist() == [[0, 0, 0, 128, 128]]
    assert done(values, "Solarize", 0.5).tolist() == [[0, 100, 127, 127, 0]]
    assert done(values, "Invert", 0.0).tolist() == [[255, 155, 128, 127, 0]]
    lowest, middle, highest = done(values[..., 1:4], "AutoContrast", 0.0)[0].tolist()
    assert (lowest, middle) == (0, 245)
    assert highest in (254, 255)  # 28 / (28 / 255), rounded down


def test_hue_equals_the_standard_librarys_and_torchvisions():
    images = varied(6, 3, 5, 7)
    turns = torch.tensor([-0.5, -0.21, 0.0, 0.1, 1 / 3, 0.5], dtype=torch.float64)
    found = enhancement.hue(images, turns)
    for image, turn, each in zip(images, turns.tolist(), found, strict=True):
        assert np.abs(each.numpy() - turned_hue(image.numpy(), turn)).max() < 1.0
        assert (each.int() - functional.adjust_hue(image, turn).int()).abs().max() <= 1
    assert torch.equal(found[2], images[2])
    red = torch.tensor([200, 10, 10], dtype=torch.uint8).view(1, 3, 1, 1)
    assert enhancement.hue(red, torch.tensor([1 / 3])).flatten().tolist() == [10, 200, 10]


def test_hue_and_saturation_leave_grey_images():
    images = some(3, channels=1)
    assert enhancement.hue(images, torch.full((3,), 0.3)) is images
    assert enhancement.saturation(images, torch.full((3,), 0.3)) is images


def test_grey_of_a_large_image_does_not_lose_its_last_bits():
    image = torch.full((1, 3, 300, 300), 255, dtype=torch.uint8)
    image[:, :, 0, 0] = 0
    # 89,999 values of ⌊0.9999 · 255⌋ = 254 and one of 0: the mean is 253.997.
    assert (enhancement.contrast(image, torch.zeros(1)) == 253).all()
