"""Parts of the page by themselves: sprites, the choice of a cell's images, charts, numbers."""

from __future__ import annotations

import base64
import io
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.oracles.samples import made
from vitscope.analysis.calibration import reliability
from vitscope.analysis.confusion import Confusion
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.smoothing import smooth_calibration
from vitscope.report.page_charts import draw_reliability
from vitscope.report.page_confusion import choose_images, draw_matrix
from vitscope.report.page_text import tell
from vitscope.report.sprites import CELL, make_sprites


def opened(address):
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_each_sprite_is_its_picture():
    draw = np.random.default_rng(0)
    colours = draw.integers(0, 256, (300, 3), dtype=np.uint8)
    sizes = [(8, 8), (40, 20), (200, 100), (1, 300)]
    pictures = [
        np.full((*sizes[index % 4], 3), colour, dtype=np.uint8) for index, colour in enumerate(colours)
    ]
    pictures[17] = None
    pictures[18] = np.full((9, 7), 100, dtype=np.uint8)
    sprites = make_sprites(pictures)
    sheets = [np.asarray(opened(sheet)) for sheet in sprites.sheets]
    assert len(sheets) == 2
    assert sprites.sizes[:3] == [(8, 8), (20, 40), (32, 64)]
    assert sprites.sizes[3] == (64, 1)
    assert sprites.sizes[17] == (0, 0)
    for index, (width, height) in enumerate(sprites.sizes):
        place = index % sprites.per_sheet
        left, top = place % sprites.columns * CELL, place // sprites.columns * CELL
        seen = sheets[index // sprites.per_sheet][top : top + height, left : left + width]
        if width and min(width, height) >= 8:
            colour = 100 if index == 18 else colours[index].astype(float)
            assert np.abs(seen.mean(axis=(0, 1)) - colour).max() < 8
    assert make_sprites([]).sheets == []


@given(st.integers(2, 5), st.integers(0, 60), st.integers(0, 80), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_as_many_images_of_every_cell_as_fit(classes, images, most, seed):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, images + 1)
    rows = outcomes(made(draw.normal(size=(images + 1, classes)), labels))
    chosen = choose_images(rows, most=most, seed=seed)
    cells = Counter(zip(labels.tolist(), rows.predicted.tolist(), strict=True))
    assert sum(map(len, chosen.values())) <= most
    for (true, predicted), found in chosen.items():
        assert len(set(found.tolist())) == len(found) <= min(24, cells[true, predicted])
        assert set(labels[found]) == {true}
        assert set(rows.predicted[found]) == {predicted}
        assert (np.diff(rows.confidence[found]) <= 0).all()
    wrong = {cell: count for cell, count in cells.items() if cell[0] != cell[1]}
    if most * 3 // 4 >= sum(wrong.values()):
        assert all(len(chosen[cell]) == min(24, count) for cell, count in wrong.items())
    again = choose_images(rows, most=most, seed=seed)
    assert all(np.array_equal(again[cell], found) for cell, found in chosen.items())


def test_the_matrix_of_many_classes_is_a_picture_in_the_order_told():
    counts = np.zeros((40, 40), dtype=int)
    counts[np.arange(40), np.arange(40)] = 3
    counts[0, 39] = counts[39, 0] = 1
    counts[7] = 0
    matrix = draw_matrix(Confusion.from_counts([f"c{index}" for index in range(40)], counts))
    assert not matrix.cells
    seen = np.asarray(opened(matrix.picture).convert("L")).astype(int)
    for row, true in enumerate(matrix.order):
        for column, predicted in enumerate(matrix.order):
            assert (seen[row, column] < 250) == bool(counts[true, predicted])
    assert abs(matrix.order.index(0) - matrix.order.index(39)) == 1
    assert [(pair["true"], pair["predicted"]) for pair in matrix.pairs] == [(0, 39), (39, 0)]
    assert matrix.pairs[0]["total"] == 4


def test_no_pixel_a_cell_above_two_thousand_classes():
    matrix = draw_matrix(
        Confusion.from_counts([str(index) for index in range(2001)], np.eye(2001, dtype=int))
    )
    assert (matrix.picture, matrix.cells, matrix.pairs) == ("", [], [])


def test_a_chart_has_a_dot_where_the_bin_is():
    # Two bins of four images: confidence 0.6 and right half the time, confidence 0.9 and always right.
    shares = [[0.6, 0.4]] * 4 + [[0.9, 0.1]] * 4
    rows = outcomes(made(shares, [0, 0, 1, 1, 0, 0, 0, 0], kind="probabilities"))
    chart = draw_reliability(reliability(rows, bins=10), smooth_calibration(rows))
    dots = next(mark for mark in chart.marks if mark.kind == "dots").path
    starts = [part.split("a")[0] for part in dots.split("M")[1:]]
    assert starts == ["248.6 150.0", "374.6 0.0"]  # 420·0.6 − 3.4 and 300·(1 − 0.5); 420·0.9 − 3.4 and 0
    assert chart.y[0] == (300.0, "0")
    assert chart.x[-1] == (420.0, "100")


@pytest.mark.parametrize(
    ("value", "bounds", "options", "told"),
    [
        (0.50567, (0.4959, 0.51552), {"percent": True}, ("50.57 %", "49.59 to 51.55")),
        (-0.0123, (-0.02, 0.001), {"difference": True}, ("-0.012", "-0.020 to 0.001")),
        (-0.303, (-0.314, -0.29), {"percent": True, "difference": True}, ("-30.3 points", "-31.4 to -29.0")),
        (1.40210, None, {}, ("1.40", "")),
        (None, None, {"percent": True}, ("n/a", "")),
        (float("nan"), (0.0, 1.0), {}, ("n/a", "")),
        (0.5, (float("nan"), float("nan")), {}, ("0.500", "")),
    ],
)
def test_numbers_are_told_with_their_intervals(value, bounds, options, told):
    assert tell(value, bounds, **options) == tuple(text.replace("-", "\N{MINUS SIGN}") for text in told)
