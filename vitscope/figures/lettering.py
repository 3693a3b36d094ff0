"""Lettering: names of any length and script, made to fit the place they are drawn in."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from matplotlib import font_manager

from vitscope.figures.style import GREY, current_style, points

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.ft2font import FT2Font
    from matplotlib.text import Text

__all__ = ["folded", "plain", "printable", "shorten", "shorten_pair", "text_width", "worded", "write_beside"]

_MISSING = "□"
_MARK = "\N{LEFT-TO-RIGHT MARK}"
_UNITS = 1000


@cache
def _typeface(name: str) -> FT2Font:
    return font_manager.get_font(font_manager.findfont(name))


@cache
def _known(name: str) -> frozenset[int]:
    return frozenset(_typeface(name).get_charmap())


@cache
def _advance(character: str, family: tuple[str, ...]) -> float:
    """Return the width of one character in units of the type size, in the first typeface that has it."""
    if character == _MARK:
        return 0.0
    name = next((name for name in family if ord(character) in _known(name)), family[-1])
    font = _typeface(name)
    font.set_size(_UNITS, 72)
    return float(font.load_char(ord(character)).linearHoriAdvance) / 65536 / _UNITS


def _family() -> tuple[str, ...]:
    return current_style().venue.family


def printable(text: str) -> str:
    """Return the text on one line, with its number for every character that the typefaces cannot draw.

    `[U+732B]` is not to be read, but told from others; a half of a character that came alone is a box.
    Control characters, line breaks and tabs become spaces; invisible marks such as joiners vanish. A text
    with letters that run to the left stands between two marks, so that it does not turn around what is
    written beside it: `✗ a → b (97 %)` would be read as b → a, or with another number.
    """
    shown, family = [], _family()
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp", "Zs"):
            shown.append(" ")
        elif character == _MARK:
            shown.append(character)
        elif category != "Cf" and not 0xFE00 <= ord(character) <= 0xFE0F:
            known = any(ord(character) in _known(name) for name in family)
            shown.append(character if known else _told(character))
    return _kept_apart(" ".join("".join(shown).split()))


def _told(character: str) -> str:
    return _MISSING if unicodedata.category(character) == "Cs" else f"[U+{ord(character):04X}]"


def _kept_apart(text: str) -> str:
    """Return the text between marks if some of its letters run to the left; see `printable`."""
    leftwards = any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
    return f"{_MARK}{text.strip(_MARK)}{_MARK}" if leftwards else text


def worded(name: str, kind: str) -> str:
    """Return a name without a letter, as of a digit, after what it names: `class 3`; others as they are."""
    return name if any(letter.isalpha() for letter in name) else f"{kind} {name}"


def text_width(text: str, size: float) -> float:
    """Return the width of one printable line in points at a type size in points."""
    family = _family()
    return size * sum(_advance(character, family) for character in text)


def shorten(text: str, width: float, *, size: float) -> str:
    """Return the text printable and at most `width` points wide, with an ellipsis in its middle if need be.

    The end is kept as well as the start, since long names often differ there.
    """
    text = printable(text)
    if text_width(text, size) <= width:
        return text
    # The longest that fits: head and tail in the ratio 2 : 1.
    low, high = 0, len(text)
    while low < high:
        kept = (low + high + 1) // 2
        if text_width(_elide(text, kept), size) <= width:
            low = kept
        else:
            high = kept - 1
    return _elide(text, low)


def shorten_pair(first: str, second: str, width: float, *, size: float) -> tuple[str, str]:
    """Return two texts printable and together at most `width` points wide.

    Each may have half of the width, and what the other leaves of its half.
    """
    first, second = (shorten(text, width, size=size) for text in (first, second))
    least = min(text_width(first, size), text_width(second, size), width / 2)
    return shorten(first, width - least, size=size), shorten(second, width - least, size=size)


def folded(text: str, width: float, *, size: float) -> list[str]:
    """Return the text printable on one line, or on two if it is wider than `width` points and has a space.

    Of two lines the wider one is as narrow as it can be; a line that still is too wide is shortened. What
    stands in brackets stays on one line where it can.
    """
    text = printable(text)
    words = text.split()
    parts = [[" ".join(words[:cut]), " ".join(words[cut:])] for cut in range(1, len(words))]
    if text_width(text, size) > width and parts:
        widths = {part[0]: max(text_width(line, size) for line in part) for part in parts}
        best = min(parts, key=lambda part: (widths[part[0]] > width, _opened(part[0]), widths[part[0]]))
        return [shorten(line, width, size=size) for line in best]
    return [shorten(text, width, size=size)]


def _opened(text: str) -> bool:
    """Return whether a bracket is open at the end of a text."""
    return any(text.count(opening) > text.count(closing) for opening, closing in ("[]", "()"))


def _elide(text: str, kept: int) -> str:
    tail = kept // 3
    return f"{text[: kept - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"


def plain(texts: Iterable[Text]) -> None:
    """Keep dollar signs of these texts from being read as formulas, whenever they are drawn."""
    for text in texts:
        text.set_parse_math(False)


def write_beside(ax: Axes, row: float, text: str) -> None:
    """Write a line to the right of the axes at the height of a row."""
    ax.annotate(
        text,
        (1, row),
        xycoords=ax.get_yaxis_transform(),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        size=points(6.5),
        color=GREY,
        annotation_clip=False,
    )
