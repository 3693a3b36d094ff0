"""The page's texts: names of any kind shown plainly, and numbers by the project's one rule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from vitscope.analysis.rounding import rounded, rounded_p, with_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Told", "p_value", "per_cent", "shown", "tell"]

_MINUS = "\N{MINUS SIGN}"
_PLAIN: dict[int, int | None] = {code: 0x2400 + code for code in range(32)}  # ␀ … ␟
_PLAIN |= {0x7F: 0x2421, 0x2028: 0x2424, 0x2029: 0x2424, 0xFEFF: None}
_PLAIN |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


class Told(NamedTuple):
    """A number as a reader sees it, and its 95 % interval; empty where there is none."""

    value: str
    interval: str = ""


def shown(text: str) -> str:
    """Return a name as a page can hold it: control letters as their pictures, what is not Unicode as �.

    Nothing is escaped here: the template does that, of every text. A name without a visible letter is
    `(blank)`.
    """
    whole = text.encode(errors="surrogateescape" if _from_bytes(text) else "replace").decode(errors="replace")
    plain = whole.translate(_PLAIN)
    return plain if plain.strip() else "(blank)"


def _from_bytes(text: str) -> bool:
    """Tell whether the lone surrogates of a text all stand for bytes, as those of file names do."""
    return all(0xDC80 <= ord(letter) <= 0xDCFF for letter in text if 0xD800 <= ord(letter) <= 0xDFFF)


def tell(
    value: float | None,
    bounds: Sequence[float] | None = None,
    *,
    percent: bool = False,
    difference: bool = False,
) -> Told:
    """Return a number and its interval, rounded together to the place that the interval allows.

    Args:
        value: The number; None and NaN are `n/a`.
        bounds: Its interval's ends.
        percent: Whether a share is told in per cent.
        difference: Whether it is the difference of two numbers; that of two shares is in points.
    """
    if value is None or math.isnan(value):
        return Told("n/a")
    scale, unit = (100, " points" if difference else " %") if percent else (1, "")
    if bounds is None or not all(map(math.isfinite, (value, *bounds))):
        return Told(_signed(rounded(scale * value)) + unit)
    text = with_interval(scale * value, scale * bounds[0], scale * bounds[1])
    number, _, rest = text.partition(" [")
    low, _, high = rest.rstrip("]").partition(", ")
    return Told(_signed(number) + unit, f"{_signed(low)} to {_signed(high)}")


def per_cent(share: float) -> str:
    """Return a share in per cent with one digit after the point; `n/a` of NaN."""
    return "n/a" if math.isnan(share) else f"{100 * share:.1f} %"


def p_value(value: float) -> str:
    """Return a p-value as text."""
    return rounded_p(value).replace("<", "<\N{NO-BREAK SPACE}")


def _signed(number: str) -> str:
    return f"{_MINUS}{number[1:]}" if number.startswith("-") else number
