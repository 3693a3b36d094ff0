from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.oracles.resampling import resize
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import DataError

GREY = {"mean": (0.5,), "std": (0.25,)}
COLOUR = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
sides = st.integers(1, 400)


def made(rows, columns, channels=3, **changes):
    return Preprocessing((rows, columns), channels, **((COLOUR if channels == 3 else GREY) | changes))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@given(sides, sides, st.integers(1, 60), st.integers(1, 60))
def test_the_region_is_the_largest_centred_box_of_the_aspect_ratio(width, height, rows, columns):
    left, top, right, bottom = made(rows, columns).region(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert abs(left - (width - right)) <= 1
    assert abs(top - (height - bottom)) <= 1
    assert (right - left == width) or (bottom - top == height)
    # The other side is the exact one, rounded to a pixel, and never nothing.
    exact_width = min(Fraction(width), Fraction(height * columns, rows))
    exact_height = min(Fraction(height), Fraction(width * rows, columns))
    assert abs((right - left) - max(exact_width, 1)) <= Fraction(1, 2)
    assert abs((bottom - top) - max(exact_height, 1)) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("size", "picture", "expected"),
    [
        ((32, 32), (64, 48), (8, 0, 56, 48)),
        ((32, 32), (48, 64), (0, 8, 48, 56)),
        ((32, 64), (64, 64), (0, 16, 64, 48)),
        ((64, 32), (100, 50), (37, 0, 62, 50)),
        ((8, 8), (1, 20000), (0, 9999, 1, 10000)),
        ((1, 64), (3, 3), (0, 1, 3, 2)),
    ],
)
def test_regions_worked_by_hand(size, picture, expected):
    assert made(*size).region(*picture) == expected


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_the_right_size_passes_bit_for_bit(channels):
    values = noise(11, 7, 3) if channels == 3 else noise(11, 7)
    pixels = made(11, 7, channels).pixels(Image.fromarray(values))
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]
    expected = values.transpose(2, 0, 1) if channels == 3 else values[None]
    assert np.array_equal(pixels, expected)


def test_grey_is_repeated_for_a_colour_model():
    values = noise(5, 6)
    assert np.array_equal(made(5, 6).pixels(Image.fromarray(values)), np.stack([values] * 3))


def test_colour_becomes_luma_for_a_grey_model():
    values = noise(5, 6, 3)
    luma = values @ np.array([0.299, 0.587, 0.114])
    assert np.abs(made(5, 6, 1).pixels(Image.fromarray(values))[0] - luma).max() <= 0.51


def test_grey_stored_as_colour_is_the_same_grey():
    values = noise(16, 16)
    stored = Image.fromarray(np.stack([values] * 3, axis=2))
    assert np.array_equal(made(16, 16, 1).pixels(stored)[0], values)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(8, 8), (5, 9), (40, 33)])
def test_resizing_is_the_textbooks(interpolation, size):
    values = noise(23, 31, seed=4)
    preprocessing = made(*size, 1, interpolation=interpolation)
    left, top, right, bottom = preprocessing.region(31, 23)
    expected = resize(values[top:bottom, left:right], size, interpolation)
    difference = preprocessing.pixels(Image.fromarray(values))[0].astype(int) - expected
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 0.05


def test_what_lies_outside_the_region_does_not_bear_on_the_pixels():
    values = noise(20, 40, 3)
    changed = values.copy()
    changed[:, :10] = changed[:, 30:] = 0
    preprocessing = made(8, 8)
    assert np.array_equal(*(preprocessing.pixels(Image.fromarray(item)) for item in (values, changed)))


def test_a_picture_with_alpha_stands_on_white():
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert (made(4, 4).pixels(clear) == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_normalising_is_the_formula(channels):
    preprocessing = made(4, 5, channels)
    pixels = noise(2, channels, 4, 5)
    mean, std = (np.array(item)[:, None, None] for item in (preprocessing.mean, preprocessing.std))
    before = pixels.copy()
    result = preprocessing.normalize(torch.from_numpy(pixels))
    assert result.dtype == torch.float32
    assert np.allclose(result.numpy(), (pixels / 255 - mean) / std, atol=1e-6)
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (3, 4, 4)])
def test_normalising_other_channels_is_refused(shape):
    with pytest.raises(DataError, match=r"expected pixels \[image, 3"):
        made(4, 4).normalize(torch.zeros(shape, dtype=torch.uint8))


def test_it_survives_json():
    preprocessing = made(4, 5, interpolation="bilinear")
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing


@pytest.mark.parametrize(
    "change",
    [
        {"size": (0, 4)},
        {"size": (4,)},
        {"size": (-4, 4)},
        {"size": (4.0, 4)},
        {"size": (True, 4)},
        {"size": (10**9, 4)},
        {"size": "44"},
        {"channels": 2},
        {"channels": True},
        {"channels": "3"},
        {"mean": (0.5,)},
        {"mean": (0.5, 0.5, math.nan)},
        {"mean": (0.5, 0.5, "0.5")},
        {"mean": None},
        {"std": (0.5, 0.5, 0.0)},
        {"std": (0.5, 0.5, -1.0)},
        {"std": (0.5, 0.5, math.inf)},
        {"std": (0.5, 0.5, 0.5, 0.5)},
        {"interpolation": "hamming"},
        {"interpolation": ["bicubic"]},
        {"interpolation": {}},
    ],
)
def test_nonsense_is_refused(change):
    with pytest.raises(DataError, match="expected"):
        Preprocessing.from_dict(made(4, 4).to_dict() | change)


@pytest.mark.parametrize("value", [None, [], "text", {}, {"size": [4, 4]}, {1: 2}])
def test_what_is_no_preprocessing_is_refused(value):
    with pytest.raises(DataError, match="expected preprocessing as a mapping"):
        Preprocessing.from_dict(value)


def test_an_unknown_key_is_refused():
    with pytest.raises(DataError, match="crop"):
        Preprocessing.from_dict(made(4, 4).to_dict() | {"crop": 0.9})
