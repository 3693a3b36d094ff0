"""The grid of maps: places, scales, texts that fit, and pages."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.text import Text

from tests.oracles.lettered import faults
from vitscope.errors import InputError
from vitscope.figures.map_grid import MapRow, draw_map_grid, pages
from vitscope.figures.overlay import Scale
from vitscope.figures.style import current_style, figure_width, paper_style

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)
ODD = "_$%{}^" * 16 + "Ä<b>"


def row(maps=2, picture=PICTURE, **about):
    values = tuple(RNG.random((3, 4), dtype=np.float32) for _ in range(maps))
    return MapRow(picture, values, tuple(Scale.of(each) for each in values), **about)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def frames(figure):
    """The boxes of all pictures, in inches from the upper left corner: left, top, right, bottom."""
    return [
        (each.get_x(), each.get_y(), each.get_x() + each.get_width(), each.get_y() + each.get_height())
        for each in figure.axes[0].patches
    ]


def test_a_column_a_map_and_a_row_a_picture():
    figure = draw_map_grid([row(), row(lines=("a.png", ("cat", " (98 %)")))], ["first", "second"])
    shown = texts(figure)
    assert {"image", "first", "second", "a.png", "cat (98 %)"} <= set(shown)
    boxes = frames(figure)
    assert len(boxes) == 2 * 3
    assert len({round(box[0], 6) for box in boxes}) == 3
    assert len({round(box[3], 6) for box in boxes}) == 2
    assert "each map has its own scale, written below it" in shown


def test_the_numbers_below_a_map_are_those_of_its_scale():
    values = (np.array([[0.25, 0.5]], np.float32), np.array([[-3.0, 1.0]], np.float32))
    scales = (Scale.of(values[0]), Scale.of(values[1], signed=True))
    shown = texts(draw_map_grid([MapRow(PICTURE, values, scales)], ["a", "b"], note="note"))
    assert {"0.25 … 0.5", "± 3", "note", "smallest", "largest", "against the class", "for it"} <= set(shown)
    same = np.full((2, 2), 0.125, np.float32)
    assert "0.12 everywhere" in texts(draw_map_grid([MapRow(PICTURE, (same,), (Scale.of(same),))], ["a"]))


def test_equal_scales_make_equal_colours():
    """A value has one colour in both panels when they share a scale, and not when each has its own."""
    low, high = np.array([[0.0, 1.0]], np.float32), np.array([[1.0, 2.0]], np.float32)
    picture = np.full((20, 40), 90, np.uint8)

    def colours(scales):
        images = draw_map_grid([MapRow(picture, (low, high), scales)], ["a", "b"]).axes[0].images
        return images[1].get_array()[5, -2], images[2].get_array()[5, 1]

    one, other = colours((Scale.of(low, high),) * 2)
    assert np.abs(one.astype(int) - other).max() <= 2
    one, other = colours((Scale.of(low), Scale.of(high)))
    assert np.abs(one.astype(int) - other).max() > 50


@pytest.mark.parametrize("columns", [1, 2, 5, 8])
def test_texts_stay_in_the_figure_and_apart(columns):
    about = {"lines": (ODD, (ODD, " (100 %)"), ODD), "heading": ODD}
    grid = [row(columns, **about), row(columns, np.zeros((60, 8), np.uint8), **about)]
    figure = draw_map_grid(grid, [ODD] * columns, title=(ODD, " (12.3 %)"))
    figure.set_dpi(300)  # as it is saved: letters are a little wider at less
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for number, box in enumerate(boxes):
        assert box.x0 > -0.5
        assert box.x1 < figure.bbox.width + 0.5
        assert box.y0 > -0.5
        for other in boxes[:number]:
            assert not (box.overlaps(other) and box.x0 + 0.5 < other.x1 and other.x0 + 0.5 < box.x1), number
    assert all(right <= figure_width() for _, _, right, _ in frames(figure))
    assert any(text.endswith("(100 %)") for text in texts(figure))


@pytest.mark.parametrize("shape", [(8, 8), (1, 300), (300, 1), (1500, 900, 3), (1, 1)])
def test_pictures_of_any_shape(shape):
    figure = draw_map_grid([row(1, np.zeros(shape, np.uint8))], ["a"])
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=50)
    assert stream.getvalue()


def test_pages_hold_every_row_once_and_fit():
    rows = [row(1, np.zeros((30, 30), np.uint8)) for _ in range(20)]
    parts = list(pages(rows, 1))
    assert [each for part in parts for each in part] == rows
    assert len(parts) > 1
    assert all(draw_map_grid(part, ["a"], title="t").get_figheight() <= 9 for part in parts)
    assert len(list(pages(rows[:1], 1))) == 1


def test_a_heading_stands_on_every_page_of_its_rows():
    picture = np.zeros((30, 30), np.uint8)
    headings = ["first", *[""] * 9, "second", *[""] * 9]
    rows = [row(1, picture, heading=heading) for heading in headings]
    parts = list(pages(rows, 1))
    last = ""
    for number, part in enumerate(parts):
        for place, each in enumerate(part):
            own = headings[sum(map(len, parts[:number])) + place]
            last = own or last
            assert each.heading == (own or (f"{last} (continued)" if place == 0 else ""))
        assert draw_map_grid(part, ["a"], title="t").get_figheight() <= 9
    assert sum(map(len, parts)) == 20


def test_what_does_not_fit_together():
    with pytest.raises(InputError, match="at least one row"):
        draw_map_grid([], ["a"])
    with pytest.raises(InputError, match="2 maps"):
        draw_map_grid([row(1)], ["a", "b"])
    with pytest.raises(InputError, match="scale each"):
        MapRow(PICTURE, (np.zeros((2, 2)),), ())


@pytest.mark.parametrize("venue", ["icml", "slides"])
def test_a_title_and_a_note_too_long_for_the_column_are_folded_not_cut(venue):
    """Every word is there, in as many lines as it takes."""
    title = "Relevance: what speaks for each class in images taken for the wrong one"
    note = "both maps of an image have one scale, written below them; images drawn at random (seed 42)"
    values = np.random.default_rng(0).random((4, 4))
    scale = Scale.of(values)
    row = MapRow(np.zeros((8, 8), np.uint8), (values, values), (scale, scale))
    with paper_style(venue):
        figure = draw_map_grid([row], ("why 8", "why 1"), title=title, note=note)
        assert faults(figure, smallest=6 * current_style().venue.scale) == []
    words = " ".join(text.get_text() for text in figure.findobj(Text)).split()
    assert set(f"{title} {note}".split()) <= set(words)
