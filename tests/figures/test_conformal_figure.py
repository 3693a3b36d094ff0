from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.oracles.lettered import faults
from tests.oracles.samples import digits, made
from vitscope.analysis.conformal import calibration_rows, fit_conformal
from vitscope.analysis.coverage import evaluate_conformal
from vitscope.figures.conformal import draw_conformal


def result(record, method="aps"):
    rows = calibration_rows(record.labels)
    return evaluate_conformal(fit_conformal(record, method=method, rows=rows), record, rows=~rows)


def many(classes, name="class"):
    rng = np.random.default_rng(0)
    labels = rng.integers(classes, size=2000)
    logits = rng.normal(size=(2000, classes))
    logits[np.arange(2000), labels] += 3
    return made(logits, labels, classes=tuple(f"{name} {index}" for index in range(classes)))


def test_bars_and_points_stand_where_the_numbers_are():
    conformal = result(digits()[0])
    sizes, strata, classes = draw_conformal(conformal).axes
    parts = conformal.strata
    assert [bar.get_height() for bar in sizes.patches] == [part.n / conformal.n for part in parts]
    points = [line.get_xydata()[0].tolist() for line in strata.lines if line.get_marker() == "s"]
    assert points == [[place, part.covered / part.n] for place, part in enumerate(parts)]
    order = np.argsort(conformal.class_coverage, kind="stable")
    points = [line.get_xdata()[0] for line in classes.lines if line.get_marker() == "o"]
    assert points == conformal.class_coverage[order].tolist()
    assert [text.get_text() for text in classes.get_yticklabels()] == [
        conformal.classes[index] for index in order
    ]
    assert classes.lines[0].get_xdata() == [0.9, 0.9]
    assert classes.patches[0].get_x() == conformal.predictor.coverage_range[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "name"),
    [(2, "class"), (10, "class"), (100, "a very long class name $\\frac"), (1000, "class")],
)
def test_nothing_is_cut_off(classes, name):
    figure = draw_conformal(result(many(classes, name)))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * 300
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    boxes += [figure.subfigs[1].legends[0].get_window_extent()]
    for box in boxes:
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width + 1
        assert box.y1 <= height
    assert boxes[0].y0 >= boxes[1].y0
    ticks = figure.axes[1].get_xticklabels()
    assert min(tick.get_size() for tick in ticks) >= 6


def test_of_many_classes_the_lowest_are_drawn():
    conformal = result(many(100))
    ax = draw_conformal(conformal).axes[2]
    assert len(ax.get_yticklabels()) == 12
    assert ax.get_title() == "The 12 lowest of 100 classes"


def test_classes_without_images_are_left_out():
    conformal = result(made(np.eye(3)[[0, 1] * 20], [0, 1] * 20))
    ax = draw_conformal(conformal).axes[2]
    assert sorted(text.get_text() for text in ax.get_yticklabels()) == ["class 0", "class 1"]


@pytest.mark.parametrize("label", [0, 1])
def test_degenerate_results_are_drawn(label):
    record = made([[1.0, 0.0]], [label])
    assert faults(draw_conformal(evaluate_conformal(fit_conformal(record), record))) == []


def test_draws_on_given_axes():
    figure = Figure()
    ax = figure.subplots()
    before = dict(mpl.rcParams)
    assert draw_conformal(result(many(20)), ax=ax) is figure
    assert len(figure.axes) == 1
    assert dict(mpl.rcParams) == before
