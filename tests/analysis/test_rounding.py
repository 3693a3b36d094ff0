from __future__ import annotations

import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitscope.analysis.rounding import rounded, rounded_p, with_interval


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (86.712, 1.73, "86.7"),
        (86.712, 0.66, "86.71"),
        (86.712, 17.3, "87"),
        (0.0123456, 0.00099, "0.01235"),
        (5.0, 0.0, "5.00"),
        (1234.5, None, "1234"),
        (0.012345, None, "0.0123"),
        (0.0, None, "0"),
        (-0.25, 0.05, "-0.250"),
        (1.2345e-9, None, "1.23e-09"),
        (math.nan, None, "n/a"),
        (math.inf, None, "∞"),
        (-math.inf, None, "-∞"),
        (-0.0, None, "0"),
        (-0.0001, 0.2, "0.00"),
        (123456789.0, None, "123456789"),
        (1e300, None, "1.00e+300"),
        (-1e15, 3.0, "-1.00e+15"),
    ],
)
def test_by_hand(value, half, text):
    assert rounded(value, half=half) == text


def test_an_interval_has_one_precision():
    assert with_interval(86.712, 84.98, 88.44) == "86.7 [85.0, 88.4]"
    assert with_interval(100.0, 100.0, 100.0) == "100 [100, 100]"
    assert with_interval(0.5, math.nan, math.nan) == "0.500"
    assert with_interval(-1e-9, -0.0001, 0.2) == "0.00 [0.00, 0.20]"
    assert with_interval(2e20, 1.0, 1e308) == "2.00e+20 [1.00, 1.00e+308]"
    assert with_interval(0.0, -1.7e308, 1.7e308) == "0 [-1.70e+308, 1.70e+308]"


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "1.0"), (0.0432, "0.043"), (0.00099, "<0.001"), (0.0, "<0.001"), (math.nan, "n/a")]
)
def test_p_values(p, text):
    assert rounded_p(p) == text


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, min_size=3, max_size=3).map(sorted))
def test_numbers_are_short_and_zero_has_no_sign(values):
    low, value, high = values
    for text in (rounded(value), *re.split(r"[][, ]+", with_interval(value, low, high))[:3]):
        assert len(text) <= len("-100000000000000.000000")
        assert not (text.startswith("-") and float(text) == 0)


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 1e4))
def test_the_error_of_rounding_is_small_beside_the_uncertainty(value, half):
    text = rounded(value, half=half)
    shown = float(Decimal(text))
    assert abs(shown - value) <= 0.5 * 10 ** -(len(text.split(".")[1]) if "." in text else 0) + 1e-9
    assert abs(shown - value) <= 0.0501 * half or half > 10
