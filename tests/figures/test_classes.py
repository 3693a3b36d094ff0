from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tests.oracles.samples import digits, made
from vitscope.analysis.accuracy import class_accuracy
from vitscope.figures.classes import draw_class_accuracy

GREEN, ORANGE, VERMILLION = "#009e73", "#e69f00", "#d55e00"


def _shares(shares, count=20, names=None):
    """Return the accuracies of classes with `count` images of which these shares are right; None has none."""
    labels, predicted = [], []
    for index, share in enumerate(shares):
        if share is not None:
            labels += [index] * count
            hits = round(share * count)
            predicted += [index] * hits + [(index + 1) % len(shares)] * (count - hits)
    return class_accuracy(made(np.eye(len(shares), dtype=np.float16)[predicted], labels, classes=names))


def _points(ax):
    """Return (accuracy, row, marker, colour) of every point."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0], line.get_marker(), to_hex(line.get_color()))
        for line in ax.lines
        if line.get_marker() != "None"
    ]


def test_grades_have_a_colour_and_a_shape_each():
    result = _shares([0.9, 0.8, 0.75, 1.0, 0.85])
    ax = draw_class_accuracy(result).axes[0]
    assert _points(ax) == [
        (1.0, 0, "o", GREEN),
        (0.9, 1, "o", GREEN),
        (0.85, 2, "s", ORANGE),
        (0.8, 3, "s", ORANGE),
        (0.75, 4, "^", VERMILLION),
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"class {i}" for i in (3, 0, 4, 1, 2)]
    assert ax.get_ylim() == (4.6, -0.6)  # the best on top


def test_whiskers_are_the_intervals_and_the_band_is_the_whole():
    predictions, _ = digits()
    result = class_accuracy(predictions)
    ax = draw_class_accuracy(result).axes[0]
    order = [result.classes.index(label.get_text()) for label in ax.get_yticklabels()]
    whiskers = [
        line.get_xdata() for line in ax.lines if line.get_marker() == "None" and len(line.get_xdata()) == 2
    ]
    overall, *rows = whiskers
    assert list(overall) == [result.overall.value] * 2
    np.testing.assert_array_equal(rows, result.interval[order])
    band = ax.patches[0]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx(result.overall.interval)
    low, high = ax.get_xlim()
    assert low < np.nanmin(result.interval)
    assert high > 1


def test_the_legend_has_the_overall_accuracy():
    figure = draw_class_accuracy(_shares([0.9, 0.7], count=500))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[0] == "all 1,000 images: 80.0 % [77.4, 82.4]"
    assert texts[1:] == ["at least 90 %", "below 80 %"]  # those that occur
    assert "90.0 % of 500" in [text.get_text() for text in figure.axes[0].texts]


def test_classes_without_images_come_last_and_say_so():
    ax = draw_class_accuracy(_shares([None, 0.0, 0.95, None])).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"class {i}" for i in (2, 1, 0, 3)]
    notes = [text for text in ax.texts if text.get_text() == "no images"]
    assert [text.get_position()[1] for text in notes] == [2, 3]
    assert len(_points(ax)) == 2


@pytest.mark.parametrize(
    ("count", "panels", "rows"), [(2, 1, 2), (40, 1, 40), (100, 2, 50), (101, 2, 51), (1000, 2, 40)]
)
def test_grows_with_the_number_of_classes(count, panels, rows):
    figure = draw_class_accuracy(_shares(np.linspace(0.5, 1, count), count=2))
    assert len(figure.axes) == panels
    assert len(figure.axes[0].get_yticks()) == rows
    assert figure.get_figwidth() == 5.5
    assert figure.get_figheight() <= 9.0  # a page holds it
    if count == 1000:
        titles = [ax.get_title() for ax in figure.axes]
        assert titles == ["The 40 highest of 1,000 classes", "The 40 lowest of 1,000 classes"]
        assert min(point[0] for point in _points(figure.axes[0])) > max(p[0] for p in _points(figure.axes[1]))


def _labels(figure):
    return [label.get_text() for ax in figure.axes for label in ax.get_yticklabels()]


@pytest.mark.slow
def test_of_many_classes_only_those_with_images_are_ranked():
    shares = np.linspace(0, 1, 500).tolist()
    shares[::10] = [None] * 50
    figure = draw_class_accuracy(_shares(shares, count=499))
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["The 40 highest of 450 with images", "The 40 lowest of 450 with images"]
    measured = [f"class {index}" for index in range(499, -1, -1) if index % 10]
    assert _labels(figure) == measured[:40] + measured[-40:]
    assert figure.get_supxlabel() == "50 of 500 classes have no images"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[1:] == ["at least 90 %", "below 80 %"]  # the middle is not drawn


def test_few_of_many_classes_have_images():
    figure = draw_class_accuracy(_shares([0.5, 1.0, 0.75] + [None] * 200))
    assert _labels(figure) == ["class 1", "class 2", "class 0"]
    assert [ax.get_title() for ax in figure.axes] == [""]
    assert figure.get_supxlabel() == "200 of 203 classes have no images"


@pytest.mark.parametrize(
    ("missing", "note"),
    [(0, ""), (1, "1 of 60 classes has no images"), (2, "2 of 60 classes have no images")],
)
def test_a_note_counts_the_classes_without_images(missing, note):
    result = _shares([0.5] * (60 - missing) + [None] * missing, count=2)
    figure = draw_class_accuracy(result)
    assert figure.get_supxlabel() == note
    assert len(_labels(figure)) == 60
    given = Figure(figsize=(5, 9))
    ax = given.subplots()
    draw_class_accuracy(result, ax=ax)
    assert ax.get_xlabel() == "Accuracy (%)" + (f"; {note}" if note else "")


def test_long_and_odd_names_stay_inside():
    names = (r"$\frac", "[/red]", "🐱", "W" * 255, "\x1b[31m\n", "日本")
    figure = draw_class_accuracy(_shares([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], names=names))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels][:3] == [r"$\frac", "[/red]", "🐱"]
    for label in labels:
        box = label.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.axes[0].get_window_extent().x0 + 3


def test_draws_on_given_axes_only():
    figure = Figure(figsize=(8, 5))
    left, right = figure.subplots(1, 2)
    before = dict(mpl.rcParams)
    assert draw_class_accuracy(_shares([0.9, 0.7]), ax=right) is figure
    assert len(_points(right)) == 2
    assert right.get_legend() is not None
    assert not left.has_data()
    assert len(figure.axes) == 2
    assert dict(mpl.rcParams) == before
