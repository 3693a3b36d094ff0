"""Rounding: one rule for every number that a person reads."""

from __future__ import annotations

import math

__all__ = ["rounded", "rounded_p", "with_interval"]

_MOST = 6  # digits after the point
_LARGE = 1e15  # about where a double no longer holds every whole number


def rounded(value: float, *, half: float | None = None) -> str:
    """Return a number as its uncertainty allows, or with three significant digits.

    With an interval, the value is written to the place of the second significant digit of half the
    interval's width: 0.86712 ± 0.0173 is 0.867. Without one, or where the width is 0, three significant
    digits are kept. Whole digits are never dropped below 10¹⁵, and there are at most six after the point: a
    larger number, and a smaller one without an interval, is written like 1.23e-07. Zero has no sign, nor has
    what is rounded to it.

    *Source*: two digits of the uncertainty, JCGM 100:2008 (GUM), 7.2.6.

    Args:
        value: The number.
        half: Half the width of its interval.
    """
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if abs(value) >= _LARGE or (not half and value and _exponent(value) < -_MOST + 2):
        return f"{value:.2e}"
    return f"{value:z.{_digits(value, half)}f}"


def with_interval(value: float, low: float, high: float) -> str:
    """Return `value [low, high]`, all three to the place that the interval's width allows."""
    if not all(map(math.isfinite, (value, low, high))):
        return rounded(value)
    if max(map(abs, (value, low, high))) >= _LARGE:
        texts = [rounded(number) for number in (value, low, high)]
    else:
        digits = _digits(value, (high - low) / 2)
        texts = [f"{number:z.{digits}f}" for number in (value, low, high)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def rounded_p(value: float) -> str:
    """Return a p-value with two significant digits; below 0.001 it is `<0.001`."""
    if math.isnan(value):
        return "n/a"
    return "<0.001" if value < 0.001 else f"{value:.{min(_MOST, 1 - _exponent(value))}f}"


def _digits(value: float, half: float | None) -> int:
    """Return how many digits stand after the point."""
    if half:
        return min(_MOST, max(0, 1 - _exponent(half)))
    return min(_MOST, max(0, 2 - _exponent(value))) if value else 0


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))
