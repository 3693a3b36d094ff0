"""Scales and their colours: where a value lands, that steps look equal, and what the numbers say."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vitscope.figures.overlay import COLOURS, SIGNED_COLOURS, Scale, overlay, reduced, short

MAPS = arrays.arrays(np.float32, (4, 5), elements=st.floats(-100, 100, width=32))


@settings(max_examples=30, deadline=None)
@given(MAPS, MAPS)
def test_one_scale_of_two_maps(first, second):
    scale = Scale.of(first, second)
    assert scale.low == min(first.min(), second.min())
    assert scale.high == max(first.max(), second.max())
    shares = scale.share(np.stack([first, second]).astype(np.float64))
    if scale.high > scale.low:
        assert shares.min() == 0
        assert shares.max() == pytest.approx(1)
    else:
        assert (shares == 0).all()


@settings(max_examples=30, deadline=None)
@given(MAPS)
def test_a_signed_scale_is_symmetric(values):
    scale = Scale.of(values, signed=True)
    assert scale.low == -scale.high
    assert scale.high == np.abs(values).max()
    mirrored = scale.share(-values.astype(np.float64))
    np.testing.assert_allclose(scale.share(values.astype(np.float64)) + mirrored, 1, atol=1e-12)
    assert scale.share(np.zeros(1))[0] == 0.5
    np.testing.assert_allclose(scale.weight(values), scale.weight(-values), atol=1e-6)


def test_the_share_beyond_the_end_is_counted():
    values = np.arange(1000, dtype=np.float64).reshape(25, 40)
    scale = Scale.of(values, beyond=0.01)
    assert (values > scale.high).sum() == 10
    assert scale.share(np.array([5000.0])) == 1
    assert scale.labels == ["0", "≥ 990"]
    signed = Scale.of(values - 500, signed=True, beyond=0.01)
    assert (np.abs(values - 500) > signed.high).sum() == 9  # 496 … 500 below 0, 496 … 499 above
    assert [label[:2] for label in signed.labels] == ["≤ ", "≥ "]


def test_a_map_with_one_outlier_keeps_it():
    """All but one in ten thousand are equal: a quantile would leave nothing to see."""
    values = np.zeros((100, 100))
    values[3, 4] = 2
    assert Scale.of(values, beyond=0.01) == (0, 2, False, 0)


def test_only_maps_of_pixels_have_an_end_that_values_lie_beyond():
    generator = np.random.default_rng(0)
    assert Scale.fitting(generator.normal(size=(14, 14)), signed=True).beyond == 0
    assert Scale.fitting(generator.normal(size=(32, 32)), signed=True).beyond == 0.01


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (123.4, "120"), (0.0312, "0.031"), (5.84e-5, "5.8e-05"), (-0.5, "-0.5"), (1, "1")],
)
def test_short_numbers(value, shown):
    assert short(value) == shown


def lightness(colour):
    """CIE 1976 L* of sRGB by the textbook, D65."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * luminance ** (1 / 3) - 16 if luminance > (6 / 29) ** 3 else luminance * (29 / 3) ** 3


def test_lightness_tells_the_value_in_even_steps():
    """Lightness rises from end to end, of the signed colours from the middle to both ends, and evenly."""
    steps = np.diff([lightness(COLOURS(place)) for place in np.linspace(0, 1, 17)])
    assert steps.min() > 0.45 * np.median(steps)  # black has the smallest
    assert steps.max() < 1.5 * np.median(steps)
    for ends in ((0.45, 0.0), (0.55, 1.0)):
        steps = np.diff([lightness(SIGNED_COLOURS(place)) for place in np.linspace(*ends, 9)])
        assert steps.min() > 0.4 * np.median(steps)
        assert steps.max() < 1.7 * np.median(steps)


def test_the_signed_colours_are_dark_at_zero_and_as_light_at_both_ends():
    low, middle, high = (lightness(SIGNED_COLOURS(place)) for place in (0.0, 0.5, 1.0))
    assert middle < 0.5 * min(low, high)
    assert abs(low - high) < 10
    hues = [colorsys.rgb_to_hsv(*SIGNED_COLOURS(place)[:3])[0] for place in (0.0, 1.0)]
    assert 0.45 < hues[0] < 0.7  # blue against
    assert 0.05 < hues[1] < 0.17  # orange for


def test_evidence_for_and_against_cover_the_picture_alike():
    picture = np.full((1, 3, 3), 128, np.uint8)
    values = np.array([[-1.0, 0.0, 1.0]], np.float32)
    found = overlay(picture, values, scale=Scale.of(values, signed=True)).astype(int)
    ends = [np.array(SIGNED_COLOURS(place)[:3]) * 255 for place in (0.0, 0.5, 1.0)]
    for column, opacity in ((0, 0.65), (1, 0.25), (2, 0.65)):
        expected = (1 - opacity) * 128 + opacity * ends[column]
        np.testing.assert_allclose(found[0, column], expected, atol=2)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 300))
def test_the_box_of_a_reduced_picture_lies_within_it(height, width, limit):
    picture = np.zeros((height, width, 3), np.uint8)
    small, box = reduced(picture, (width // 3, height // 4, width, height), limit)
    assert max(small.shape[:2]) == min(limit, max(height, width))
    overlay(small, np.zeros((2, 2), np.float32), box=box)  # which refuses a box that is not within


def test_large_pictures_are_reduced_with_their_box():
    picture = np.zeros((400, 1000, 3), np.uint8)
    picture[100:200, 500:700] = 255
    small, box = reduced(picture, (500, 100, 700, 200), 100)
    assert small.shape == (40, 100, 3)
    assert box == pytest.approx((50, 10, 70, 20))
    assert (small[10:20, 50:70] == 255).all()
    assert small.sum() == 10 * 20 * 3 * 255
    assert reduced(picture, (0, 0, 5, 5), 1000)[0] is picture
