from __future__ import annotations

import time

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tests.oracles.samples import digits, made
from vitscope.analysis.confusion import Confusion, confusion
from vitscope.figures.confusion import draw_confusion


def _random(width, seed=0):
    rng = np.random.default_rng(seed)
    counts = np.diag(rng.integers(50, 99, width)) + rng.integers(0, 2, (width, width))
    return Confusion.from_counts(tuple(f"class {index}" for index in range(width)), counts)


def test_cells_have_shares_and_counts():
    predictions, _ = digits()
    result = confusion(predictions)
    ax = draw_confusion(result).axes[0]
    np.testing.assert_array_equal(ax.images[0].get_array(), result.shares)
    written = {text.get_position()[::-1]: text.get_text() for text in ax.texts}
    expected = {
        (i, j): f"{100 * result.counts[i, j] / result.counts[i].sum():.1f}%\n{result.counts[i, j]}"
        for i, j in zip(*np.nonzero(result.counts), strict=True)
    }
    assert written == expected
    assert [label.get_text() for label in ax.get_yticklabels()] == list(result.classes)
    assert [label.get_text() for label in ax.get_xticklabels()] == list(result.classes)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Predicted class", "True class")


def test_text_stands_out_from_its_cell():
    result = confusion(made(np.eye(3)[[0, 1, 1, 2, 0]], [0, 1, 0, 2, 2]))
    ax = draw_confusion(result).axes[0]
    for text in ax.texts:
        column, row = text.get_position()
        cell = ax.images[0].to_rgba(np.array([result.shares[row, column]]))[0]
        assert abs(sum(to_rgb(text.get_color())) - sum(cell[:3])) > 1


def test_text_stays_inside_its_cell():
    counts = np.full((12, 12), 123_456)
    figure = draw_confusion(Confusion.from_counts(tuple("a" * 40 for _ in range(12)), counts))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    cell = ax.get_window_extent().width / 12
    assert ax.get_window_extent().height / 12 == pytest.approx(cell, rel=1e-3)
    for text in ax.texts:
        box = text.get_window_extent()
        assert box.width < cell
        assert box.height < cell


@pytest.mark.parametrize(("width", "texts"), [(2, True), (12, True), (13, True), (30, True), (31, False)])
def test_fewer_words_for_more_classes(width, texts):
    result = _random(width)
    figure = draw_confusion(result)
    ax = figure.axes[0]
    assert len(ax.texts) == (np.count_nonzero(result.counts) if texts else 0)
    assert all(("\n" in text.get_text()) == (width <= 12) for text in ax.texts)
    assert ax.images[0].norm.gamma == (1.0 if width <= 30 else 0.5)
    assert len(ax.get_xticklabels()) == width
    assert figure.get_figwidth() == (3.4 if width == 2 else 5.5)


def test_many_classes_are_numbered():
    ax = draw_confusion(_random(100)).axes[0]
    assert ax.get_xlabel() == "Predicted class (index)"
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


def test_a_class_without_images_is_a_grey_row():
    ax = draw_confusion(Confusion.from_counts(("a", "b"), np.array([[3, 1], [0, 0]]))).axes[0]
    image = ax.images[0]
    assert image.get_array().mask.tolist() == [[False, False], [True, True]]
    assert image.cmap.get_bad()[:3] == pytest.approx(to_rgb("#E3E3E3"))
    assert len(ax.texts) == 2


def test_the_colour_bar_is_in_per_cent():
    figure = draw_confusion(_random(3))
    figure.draw_without_rendering()
    bar = figure.axes[1]
    assert bar.get_ylabel() == "Share of the true class (%)"
    assert bar.get_ylim() == (0, 1)
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "20", "40", "60", "80", "100"]


def test_odd_names_are_no_formulas():
    figure = draw_confusion(Confusion.from_counts((r"$\frac", "日本"), np.eye(2, dtype=int)))
    figure.draw_without_rendering()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [r"$\frac", "□□"]


def test_draws_on_given_axes():
    figure = Figure(figsize=(8, 4))
    left, right = figure.subplots(1, 2)
    before = dict(mpl.rcParams)
    assert draw_confusion(_random(4), ax=left) is figure
    assert left.images
    assert not right.has_data()
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
def test_a_thousand_classes_in_seconds(tmp_path):
    from vitscope.figures.files import save_figure

    result = _random(1000)
    start = time.process_time()
    save_figure(draw_confusion(result), tmp_path / "confusion")
    assert time.process_time() - start < 6
