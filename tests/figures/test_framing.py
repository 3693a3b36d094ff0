"""Framing: what the model saw is never cut off, nor too slim to be seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitscope.figures.attention import draw_attention_maps, draw_heads
from vitscope.figures.framing import framed
from vitscope.figures.map_grid import MapRow, draw_map_grid
from vitscope.figures.overlay import Scale
from vitscope.records.heatmap import Heatmap


def numbered(height, width):
    """A picture whose red is the column and whose green is the row, both modulo 251."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.arange(width) % 251
    picture[..., 1] = (np.arange(height) % 251)[:, None]
    return picture


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_the_box_holds_the_same_pixels_before_and_after(height, width, data):
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    picture = numbered(height, width)
    shown, box, note = framed(picture, (left, top, right, bottom))
    rows, columns = shown.shape[:2]
    assert max(rows, columns) <= 4 * min(rows, columns) + 3
    inside = shown[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])]
    down, across = inside.shape[0] // (bottom - top), inside.shape[1] // (right - left)
    assert inside.shape[:2] == (down * (bottom - top), across * (right - left))
    np.testing.assert_array_equal(inside[::down, ::across], picture[top:bottom, left:right])
    assert (note == "") == (max(height, width) <= 4 * min(height, width))
    assert ("stretched" in note) == (max(down, across) > 1)


@pytest.mark.parametrize(
    ("shape", "box", "size", "place", "note"),
    [
        ((1, 2000), (999, 0, 1001, 1), (1, 4), (1, 0, 3, 1), "part of 2,000x1 px"),
        ((2000, 10), (0, 0, 10, 10), (40, 10), (0, 0, 10, 10), "part of 10x2,000 px"),
        ((10, 2000), (1990, 0, 2000, 10), (10, 40), (30, 0, 40, 10), "part of 2,000x10 px"),
        ((1, 200), (0, 0, 200, 1), (50, 200), (0, 0, 200, 50), "200x1 px, stretched"),
        ((1, 200), (50, 0, 150, 1), (25, 100), (0, 0, 100, 25), "part of 200x1 px, stretched"),
        ((10, 40), (3, 0, 7, 10), (10, 40), (3, 0, 7, 10), ""),
    ],
)
def test_by_hand(shape, box, size, place, note):
    shown, found, said = framed(np.zeros(shape, np.uint8), box)
    assert (shown.shape, tuple(found), said.replace("\N{MULTIPLICATION SIGN}", "x")) == (size, place, note)


@pytest.mark.parametrize("shape", [(1, 2000), (2000, 1)])
def test_a_slim_picture_shows_its_map(shape):
    """The model sees one pixel in the middle: the map on it must be visible, not a dot and not cut away."""
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    box = (1000, 0, 1001, 1) if shape[0] == 1 else (0, 1000, 1, 1001)
    maps = Heatmap(values, "relevance")
    figure = draw_attention_maps(maps, np.zeros(shape, np.uint8), box=box)
    assert figure.axes[0].get_title().startswith("part of ")
    drawn = figure.axes[1].images[0]
    assert min(drawn.get_array().shape) >= 8
    height, width = figure.axes[0].images[0].get_array().shape[:2]
    left, right, bottom, top = drawn.get_extent()
    assert (right - left) * (bottom - top) >= height * width / 5
    heads = [Heatmap(values, "raw", options={"head": head, "layer": 0}) for head in range(2)]
    assert draw_heads(heads, np.zeros(shape, np.uint8), box=box).axes[0].get_title().startswith("part of ")
    row = MapRow(np.zeros(shape, np.uint8), (values[0],), (Scale.of(values),), lines=("a",), box=box)
    written = [text.get_text() for text in draw_map_grid([row], ["relevance"]).axes[0].texts]
    assert any(text.startswith("part of ") for text in written)
    assert not any("cut" in text for text in written)
