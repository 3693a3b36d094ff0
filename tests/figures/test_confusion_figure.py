from __future__ import annotations

import time

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tests.oracles.samples import digits, made
from vitscope.analysis.confusion import Confusion, confusion
from vitscope.analysis.ordering import ClassOrder, similarity_order
from vitscope.errors import InputError
from vitscope.figures.confusion import draw_confusion


def _random(width, seed=0):
    rng = np.random.default_rng(seed)
    some = rng.random((width, width)) < min(0.5, 20 / width)
    counts = np.diag(rng.integers(50, 99, width)) + some
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


@pytest.mark.parametrize(("width", "count"), [(4, 9_999_999), (10, 123_456), (11, 1), (20, 1)])
@pytest.mark.parametrize("name", ["a", "a long name of a class " * 3])
def test_text_stays_inside_its_cell(width, count, name):
    result = Confusion.from_counts((name,) * width, np.diag(np.full(width, count)))  # 100 % is the longest
    figure = draw_confusion(result)
    figure.set_dpi(300)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    cell = ax.get_window_extent().width / width
    assert ax.get_window_extent().height / width == pytest.approx(cell, rel=1e-3)
    assert len(ax.texts) == width
    for text in ax.texts:
        box = text.get_window_extent()
        assert box.width < cell
        assert box.height < cell


def test_no_number_where_none_can_be_read():
    figure = Figure(figsize=(2, 2))
    draw_confusion(_random(15), ax=figure.subplots())
    assert not figure.axes[0].texts
    draw_confusion(_random(6), ax=figure.add_axes((0.2, 0.2, 0.75, 0.75)))
    assert all("\n" not in text.get_text() for text in figure.axes[-1].texts)


def test_the_bar_on_given_axes_is_beside_the_matrix():
    figure = Figure(figsize=(6, 4))
    ax = figure.subplots()
    draw_confusion(_random(8), ax=ax)
    figure.draw_without_rendering()
    (bar,) = ax.child_axes
    matrix, place = ax.get_window_extent(), bar.get_window_extent()
    assert matrix.x1 < place.x0 < place.x1 <= 600
    assert place.y0 == pytest.approx(matrix.y0)
    assert place.y1 < matrix.y1


@pytest.mark.parametrize(("width", "texts"), [(2, True), (10, True), (11, True), (20, True), (21, False)])
def test_fewer_words_for_more_classes(width, texts):
    result = _random(width)
    figure = draw_confusion(result)
    ax = figure.axes[0]
    assert len(ax.texts) == (np.count_nonzero(result.counts) if texts else 0)
    assert all(("\n" in text.get_text()) == (width <= 10) for text in ax.texts)
    assert ax.images[0].norm.gamma == (1.0 if width <= 20 else 0.5)
    assert all(text.get_size() >= 6 for text in ax.texts)
    assert len(ax.get_xticklabels()) == width
    assert figure.get_figwidth() == (3.4 if width == 2 else 5.5)


def test_above_thirty_the_colours_are_for_the_confusions_alone():
    result = _random(40)
    image = draw_confusion(result).axes[0].images[0]
    values = np.asarray(image.get_array())
    off = ~np.eye(40, dtype=bool)
    np.testing.assert_array_equal(values[off], result.shares[off])
    assert image.norm.vmax == result.shares[off].max()
    # What is right is above the scale and has a colour of its own.
    assert (np.diagonal(values) > image.norm.vmax).all()
    assert image.cmap.get_over()[:3] == pytest.approx(to_rgb("#DDB676"))
    rare = image.to_rgba(np.array([0.25 * image.norm.vmax]))
    assert rare[0] == pytest.approx(image.cmap(0.5)[: len(rare[0])], abs=0.01)  # the square root


@pytest.mark.slow
@pytest.mark.parametrize(("width", "every"), [(30, 1), (41, 1), (60, 2), (100, 3), (1000, 25)])
def test_names_as_many_as_there_is_room_for(width, every):
    figure = draw_confusion(_random(width))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    labels = ax.get_yticklabels()
    assert [label.get_text() for label in labels] == [f"class {index}" for index in range(0, width, every)]
    assert [int(tick) for tick in ax.get_yticks()] == list(range(0, width, every))
    assert all(label.get_size() >= 6 for label in labels)
    # Letters have room: boxes are taller than letters, so lines may touch but not cover each other.
    middles = [label.get_window_extent().y0 + label.get_window_extent().height / 2 for label in labels]
    assert np.abs(np.diff(middles)).min() >= 6.5 * 300 / 72
    assert min(label.get_window_extent().x0 for label in labels) >= 0
    assert ax.get_xlabel() == ("Predicted class" if every == 1 else "Predicted class, in the same order")
    assert all(text.get_size() >= 6 for text in figure.texts)


def test_a_list_of_the_most_confused_pairs_where_not_all_are_named():
    result = _random(60)
    figure = draw_confusion(result)
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "Most often confused (ringed above), true → predicted"
    rings = [tuple(float(value[0]) for value in line.get_data()) for line in figure.axes[0].lines]
    assert rings == [(pair.predicted, pair.true) for pair in result.pairs[:10]]
    for pair in result.pairs[:10]:
        said = f"{pair.count} of {result.counts[pair.true].sum()}, {100 * pair.share:.1f} %"
        assert texts.count(f"class {pair.true} → class {pair.predicted}") == 1
        assert said in texts
    figure.set_dpi(300)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.texts] + [
        figure.axes[0].xaxis.label.get_window_extent()
    ]
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
    assert max(box.x1 for box in boxes) <= 5.5 * 300
    assert min(box.y0 for box in boxes) >= 0
    assert draw_confusion(_random(20)).texts == []


def test_nothing_confused_is_said():
    result = Confusion.from_counts([f"class {index}" for index in range(60)], np.eye(60))
    figure = draw_confusion(result)
    assert [text.get_text() for text in figure.texts] == ["No image is misclassified"]
    figure.draw_without_rendering()


def test_the_order_moves_rows_and_columns_alike():
    result = _random(6)
    order = ClassOrder(result.classes, np.array([4, 2, 0, 1, 5, 3]))
    ax = draw_confusion(result, order=order).axes[0]
    np.testing.assert_array_equal(ax.images[0].get_array(), result.shares[np.ix_(order.order, order.order)])
    names = [f"class {index}" for index in order.order]
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    assert [label.get_text() for label in ax.get_xticklabels()] == names
    written = {text.get_position()[::-1]: text.get_text() for text in ax.texts}
    assert written[0, 0].endswith(f"\n{result.counts[4, 4]}")


def test_rings_follow_the_order():
    result = _random(100)
    order = similarity_order(result)
    lines = draw_confusion(result, order=order).axes[0].lines
    position = np.argsort(order.order)
    first = result.pairs[0]
    assert lines[0].get_xdata()[0] == position[first.predicted]
    assert lines[0].get_ydata()[0] == position[first.true]


@pytest.mark.parametrize(("width", "size"), [(12, 4), (40, 10), (100, 5)])
def test_groups_are_outlined_and_named(width, size):
    result = _random(width)
    groups = tuple(f"group {index // size}" for index in range(width))
    figure = draw_confusion(result, order=ClassOrder(result.classes, np.arange(width), groups))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    squares = [patch.get_bbox().extents.tolist() for patch in ax.patches]
    starts = [start - 0.5 for start in range(0, width, size)]
    assert squares == [[start, start, start + size, start + size] for start in starts]
    names = [f"group {index}" for index in range(width // size)]
    if width == 100:  # in the place of the classes
        assert [label.get_text() for label in ax.get_yticklabels()] == names
        assert ax.get_yticks().tolist() == [start + size / 2 for start in starts]
        assert ax.get_ylabel() == "True class, by group"
        return
    beside = [text for text in ax.texts if text.get_text().startswith("group")]
    assert [text.get_text() for text in beside] == names
    bar = figure.axes[1].get_window_extent()
    for text, start in zip(beside, starts, strict=True):
        box = text.get_window_extent()
        assert ax.get_window_extent().x1 < box.x0 < box.x1 < bar.x0
        ends = ax.transData.transform([(0, start), (0, start + size)])[:, 1]
        assert ends[1] <= box.y0 < box.y1 <= ends[0]


@pytest.mark.slow
def test_groups_too_thin_to_name_leave_the_classes():
    result = _random(400)
    groups = tuple(f"group {index // 2}" for index in range(400))
    ax = draw_confusion(result, order=ClassOrder(result.classes, np.arange(400), groups)).axes[0]
    assert ax.get_yticklabels()[0].get_text() == "class 0"
    assert not ax.patches


@pytest.mark.parametrize("width", [251, 1000, 1003])
def test_cells_too_small_to_see_are_pooled(width):
    result = _random(width)
    figure = draw_confusion(result)
    ax, bar = figure.axes
    step = -(-width // 250)
    values = np.asarray(ax.images[0].get_array())
    rows = -(-width // step)
    assert values.shape == (rows, rows)
    for i, j in ((0, 0), (0, 7), (rows - 1, rows - 1), (rows - 1, 3)):
        block = np.ix_(
            range(i * step, min((i + 1) * step, width)), range(j * step, min((j + 1) * step, width))
        )
        shares = np.where(np.eye(width, dtype=bool), 0, result.shares)[block]
        assert values[i, j] == shares.max()
    # Positions on the axes are those of the classes, whatever the pooling.
    left, right, bottom, top = ax.images[0].get_extent()
    assert (left, top) == (-0.5, -0.5)
    assert (right, bottom) == (rows * step - 0.5, rows * step - 0.5)
    assert ax.get_xlim() == (-0.5, width - 0.5)
    assert bar.get_ylabel() == f"Share of the true class (%), largest of {step}\N{MULTIPLICATION SIGN}{step}"


def test_refuses_the_order_of_other_classes():
    with pytest.raises(InputError, match="an order of the 3 classes, got one of 2 others"):
        draw_confusion(_random(3), order=ClassOrder(("a", "b"), np.arange(2)))


def test_a_class_without_images_is_a_grey_row():
    ax = draw_confusion(Confusion.from_counts(("a", "b"), np.array([[3, 1], [0, 0]]))).axes[0]
    image = ax.images[0]
    assert image.get_array().mask.tolist() == [[False, False], [True, True]]
    assert image.cmap.get_bad()[:3] == pytest.approx(to_rgb("#E3E3E3"))
    assert len(ax.texts) == 2


def test_among_many_classes_too():
    counts = np.eye(40, dtype=int)
    counts[7] = 0
    image = (
        draw_confusion(Confusion.from_counts([str(index) for index in range(40)], counts)).axes[0].images[0]
    )
    mask = image.get_array().mask
    assert mask[7].all()
    assert mask.sum() == 40


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
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [r"$\frac", "[U+65E5][U+672C]"]


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

    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 1000, (2, 50_000))
    counts = np.diag(np.full(1000, 40))
    np.add.at(counts, (true, predicted), 1)
    result = Confusion.from_counts([f"class {index}" for index in range(1000)], counts)
    start = time.process_time()
    pdf, _ = save_figure(draw_confusion(result, order=similarity_order(result)), tmp_path / "confusion")
    assert time.process_time() - start < 6  # about 1 s on an idle core
    assert pdf.stat().st_size < 200_000
