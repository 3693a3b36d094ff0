from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from vitscope.figures.lettering import folded, plain, printable, shorten, shorten_pair, text_width, worded
from vitscope.figures.style import paper_style
from vitscope.figures.venues import VENUES


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tench, Tinca tinca", "tench, Tinca tinca"),
        ("two\nlines\tand  spaces ", "two lines and spaces"),
        ("\x1b[31mred", "[31mred"),
        ("日本", "[U+65E5][U+672C]"),
        ("\N{CAT FACE}\N{WOMAN}", "\N{CAT FACE}[U+1F469]"),
        ("\udcff.png", "□.png"),
        ("a\u200db\ufe0f\u202ec", "abc"),
        ("naïve ✓", "naïve ✓"),
        ("", ""),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters(), max_size=300), st.floats(8, 200))
def test_shortened_text_fits(text, width):
    short = shorten(text, width, size=7.0)
    assert text_width(short, 7.0) <= width or short == "…"
    if "…" not in short:
        assert short == printable(text)


def test_both_ends_are_kept():
    first, second = shorten("W" * 100 + "a", 60, size=7.0), shorten("W" * 100 + "b", 60, size=7.0)
    assert first.startswith("WW")
    assert first.endswith("a")
    assert second.endswith("b")
    assert shorten("short", 60, size=7.0) == "short"


def test_no_longer_name_would_fit():
    text = "n02123045-tabby-cat" * 5
    short = shorten(text, 80, size=7.0)
    assert 80 - text_width(short, 7.0) < 2 * text_width("m", 7.0)


@pytest.mark.parametrize("venue", ["neurips", "slides"])
def test_width_is_what_matplotlib_draws(venue):
    figure = Figure(dpi=720)
    family = VENUES[venue].family
    text = figure.text(0, 0, "Handwritten digits 0123", size=9, family=list(family))
    drawn = text.get_window_extent().width / 720 * 72
    with paper_style(venue):
        assert text_width("Handwritten digits 0123", 9) == pytest.approx(drawn, rel=0.02)


def test_a_name_without_a_letter_is_said_to_be_one():
    for name, shown in (("3", "class 3"), ("0.5", "class 0.5"), ("3a", "3a"), ("cat", "cat"), ("三", "三")):
        assert worded(name, "class") == shown


def test_plain_text_is_no_formula():
    figure = Figure()
    text = figure.text(0, 0, r"$\frac")
    plain([text])
    figure.draw_without_rendering()
    assert text.get_text() == r"$\frac"


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("cat", "dog", ("cat", "dog")),
        ("cat", "W" * 99, ("cat", "…")),
        ("W" * 99, "cat", ("…", "cat")),
        ("W" * 99, "M" * 99, ("…", "…")),
        ("", "W" * 99, ("", "…")),
    ],
)
def test_two_texts_share_a_width(first, second, shown):
    pair = shorten_pair(first, second, 80, size=7)
    for text, expected in zip(pair, shown, strict=True):
        assert ("…" in text) == (expected == "…")
        assert "…" in text or text == expected
    assert text_width(pair[0], 7) + text_width(pair[1], 7) <= 80
    if shown == ("cat", "…"):  # what the short one leaves is not wasted
        assert text_width(pair[1], 7) > 50


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("Relevance", 60, ["Relevance"]),
        ("Integrated gradients", 50, ["Integrated", "gradients"]),
        ("0.00028 … 0.0063", 45, ["0.00028", "… 0.0063"]),
        ("± 0.025 and more", 45, ["± 0.025", "and more"]),
        ("", 60, [""]),
    ],
)
def test_folded_at_a_space_where_one_line_is_too_wide(text, width, lines):
    assert folded(text, width, size=7.0) == lines


@given(st.text(st.characters(), max_size=100), st.floats(8, 200))
def test_folded_lines_fit(text, width):
    lines = folded(text, width, size=7.0)
    assert 1 <= len(lines) <= 2
    assert all(text_width(line, 7.0) <= max(width, text_width("…", 7.0)) for line in lines)
