"""Attention figures: what is drawn where, in which colours, and that hostile names stay text."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from vitscope.errors import InputError
from vitscope.figures.attention import draw_attention_maps, draw_heads
from vitscope.figures.overlay import overlay
from vitscope.records.heatmap import Heatmap

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
MAPS = np.random.default_rng(1).random((2, 3, 4), dtype=np.float32)


def heatmap(values=MAPS, **options):
    return Heatmap(values=values, method="rollout", options=options)


def heads(count):
    rng = np.random.default_rng(2)
    return [
        Heatmap(
            values=rng.random((1, 3, 3), dtype=np.float32) * (number + 1),
            method="raw attention",
            options={"layer": 2, "name": "blocks.2.attn", "head": number},
        )
        for number in range(count)
    ]


def rendered(figure):
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=60)
    return stream.getvalue()


def bilinear(grid, row, column, height, width):
    """The value at a pixel's centre, by the textbook; cells count from their centres, edges stay level."""
    at = []
    for pixel, pixels, cells in ((row, height, len(grid)), (column, width, len(grid[0]))):
        place = min(max((pixel + 0.5) / pixels * cells - 0.5, 0), cells - 1)
        low = min(int(place), max(cells - 2, 0))
        at.append((low, min(low + 1, cells - 1), place - low))
    (top, bottom, down), (left, right, across) = at
    upper = (1 - across) * grid[top][left] + across * grid[top][right]
    lower = (1 - across) * grid[bottom][left] + across * grid[bottom][right]
    return (1 - down) * upper + down * lower


def test_the_three_panels():
    figure = draw_attention_maps(heatmap(), PICTURE, image=1, prediction=("cat", 0.8734))
    left, middle, right, bar = figure.axes
    assert [ax.get_title() for ax in (left, middle, right)] == ["image", "rollout", "overlay"]
    assert figure.get_suptitle() == "predicted: cat  (87.3 %)"
    assert np.array_equal(left.images[0].get_array(), PICTURE)
    assert np.array_equal(right.images[0].get_array(), overlay(PICTURE, MAPS[1]))
    drawn = middle.images[0]
    assert drawn.get_clim() == (MAPS[1].min(), MAPS[1].max())
    assert drawn.get_array().shape == (24, 40)
    assert [label.get_text() for label in bar.get_xticklabels()] == [
        f"{MAPS[1].min():.2g}",
        f"{MAPS[1].max():.2g}",
    ]
    assert "this image's smallest value" in bar.get_xlabel()


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 23), st.integers(0, 39))
def test_the_map_is_enlarged_bilinearly(row, column):
    figure = draw_attention_maps(heatmap(), PICTURE)
    drawn = figure.axes[1].images[0].get_array()
    assert drawn[row, column] == pytest.approx(bilinear(MAPS[0], row, column, 24, 40), abs=1e-6)


def test_the_map_is_drawn_where_the_model_looked():
    box = (8, 2, 32, 22)
    figure = draw_attention_maps(heatmap(), PICTURE, box=box)
    drawn = figure.axes[1].images[0]
    assert drawn.get_extent() == [7.5, 31.5, 21.5, 1.5]
    assert drawn.get_array().shape == (20, 24)
    assert figure.axes[1].get_xlim() == (-0.5, 39.5)
    for ax in (figure.axes[0], figure.axes[2]):
        assert ax.patches[0].get_bbox().bounds == (7.5, 1.5, 24, 20)


def test_without_a_box_there_is_no_outline():
    assert not draw_attention_maps(heatmap(), PICTURE).axes[0].patches


def test_the_overlay_pixel_by_pixel():
    """Opacity 1/4 at the smallest value and 0.65 at the largest; outside the box 45 % of the way to white."""
    picture = np.full((2, 4, 3), 100, np.uint8)
    values = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    found = overlay(picture, values, box=(1, 0, 3, 2))
    low, high = (np.array(mpl.colormaps["inferno"](end)[:3]) * 255 for end in (0.0, 1.0))
    np.testing.assert_allclose(found[0, 1], 0.75 * 100 + 0.25 * low, atol=1)
    np.testing.assert_allclose(found[0, 2], 0.35 * 100 + 0.65 * high, atol=1)
    assert (found[:, [0, 3]] == round(255 - 0.55 * 155)).all()
    assert found.shape == picture.shape
    assert found.dtype == np.uint8


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_the_overlay_of_any_picture_and_grid(height, width, rows, columns, grey):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (height, width) if grey else (height, width, 3), dtype=np.uint8)
    found = overlay(picture, rng.random((rows, columns), dtype=np.float32))
    assert found.shape == (height, width, 3)


def test_a_map_of_one_value():
    figure = draw_attention_maps(heatmap(np.full((1, 2, 2), 0.25, np.float32)), PICTURE)
    bar = figure.axes[3]
    assert [label.get_text() for label in bar.get_xticklabels()] == ["0.25"]
    assert bar.get_xlabel() == "the same value everywhere"
    assert rendered(figure)


def test_next_to_nothing_is_said_so():
    figure = draw_attention_maps(heatmap(np.array([[[1e-20, 0.5]]], np.float32)), PICTURE)
    assert [label.get_text() for label in figure.axes[3].get_xticklabels()] == ["≈ 0", "0.5"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3, 4, 5, 12, 16])
def test_a_panel_a_head_in_one_scale(count):
    every = heads(count)
    figure = draw_heads(every, PICTURE, prediction=("cat", 0.5))
    shown = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in shown] == ["image"] + [f"head {number}" for number in range(count)]
    scale = (min(float(each.values.min()) for each in every), max(float(each.values.max()) for each in every))
    assert {ax.images[0].get_clim() for ax in shown[1:]} == {scale}
    bar = figure.axes[-1]
    assert bar.get_xlabel() == "raw attention, layer 2 (blocks.2.attn), one scale for all heads"
    assert rendered(figure)


def test_one_head_is_drawn_as_a_map():
    figure = draw_heads(heads(1), PICTURE)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["image", "raw attention", "overlay"]


def test_a_given_figure_is_drawn_on():
    figure = Figure(figsize=(4, 2))
    assert draw_attention_maps(heatmap(), PICTURE, figure=figure) is figure
    assert len(figure.axes) == 4


HOSTILE = [
    r"$\frac",
    "$x$",
    "a" * 255,
    "<script>",
    "[/red]",
    "émoji 🦆",
    "line\nbreak",
    "\x1b[31m",
    "",
    "%s {}",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_text_and_fit(name):
    figure = draw_attention_maps(heatmap(), PICTURE, prediction=(name, 1.0))
    rendered(figure)
    extent = figure._suptitle.get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.width
    assert figure.get_suptitle().endswith("(100.0 %)")


def test_panels_do_not_overlap_their_letters():
    figure = draw_heads(heads(12), PICTURE, prediction=("a" * 255, 0.123))
    figure.draw_without_rendering()
    texts = [figure._suptitle] + [ax.title for ax in figure.axes if ax.images]
    texts += [figure.axes[-1].xaxis.label, *figure.axes[-1].get_xticklabels()]
    extents = [text.get_window_extent() for text in texts if text.get_text()]
    for number, extent in enumerate(extents):
        assert not any(extent.overlaps(other) for other in extents[number + 1 :])


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (8, 8), (700, 900)])
def test_pictures_of_any_shape(shape):
    picture = np.zeros((*shape, 3), np.uint8)
    figure = draw_attention_maps(heatmap(), picture, prediction=("cat", 0.5))
    assert rendered(figure)
    assert figure.axes[0].images[0].get_interpolation() == ("antialiased" if max(shape) > 500 else "none")


def test_settings_are_as_before():
    before = dict(mpl.rcParams)
    draw_heads(heads(3), PICTURE)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "box", [(0, 0, 41, 24), (-1, 0, 40, 24), (5, 5, 5, 20), (30, 0, 10, 24), (0, 0, float("nan"), 24)]
)
def test_a_box_outside_the_picture(box):
    with pytest.raises(InputError, match="within 40x24 pixels"):
        draw_attention_maps(heatmap(), PICTURE, box=box)


@pytest.mark.parametrize(
    "picture", [PICTURE.astype(float), PICTURE[..., :2], PICTURE[None], np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture(picture):
    with pytest.raises(InputError, match="uint8"):
        draw_attention_maps(heatmap(), picture)


def test_no_such_image_and_no_heads():
    with pytest.raises(InputError, match="0 … 1"):
        draw_attention_maps(heatmap(), PICTURE, image=2)
    with pytest.raises(InputError, match="at least one head"):
        draw_heads([], PICTURE)
