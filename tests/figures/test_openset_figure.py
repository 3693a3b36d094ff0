from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from vitscope.analysis.openset import open_set
from vitscope.analysis.unlabelled import Unlabelled
from vitscope.figures.openset import draw_open_set


def result(*, features=False):
    rng = np.random.default_rng(0)
    sides = [
        Unlabelled(rng.normal(size=(90, 5)) + shift, features=rng.normal(size=(90, 4)) + shift)
        for shift in (1, 0)
    ]
    return open_set(*sides, bank=rng.normal(size=(60, 4)) + 1 if features else None)


def test_curves_and_histograms_stand_where_the_numbers_are():
    openset = result(features=True)
    curves, *histograms = draw_open_set(openset).axes
    for score, line in zip(openset.scores, curves.lines[2::2], strict=True):
        np.testing.assert_array_equal(line.get_xdata(), score.roc.false_positive_rate)
        np.testing.assert_array_equal(line.get_ydata(), score.roc.true_positive_rate)
    for score, point in zip(openset.scores, curves.lines[3::2], strict=True):
        assert point.get_xydata().tolist() == [[score.fpr_foreign_positive, 0.95]]
    for score, ax in zip(openset.scores, histograms, strict=True):
        heights = [patch.get_data().values for patch in ax.patches]
        np.testing.assert_allclose(heights[0], score.known / 90)
        np.testing.assert_allclose(heights[3], score.foreign / 90)
    styles = [line.get_linestyle() for line in curves.lines[2::2]]
    assert len(set(styles)) > 1  # not by colour alone
    assert [patch.get_hatch() for patch in histograms[0].patches] == [None, None, None, "//////"]


@pytest.mark.slow
@pytest.mark.parametrize("features", [False, True])
def test_nothing_is_cut_off_and_nothing_overlaps(features):
    figure = draw_open_set(result(features=features))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * 300
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    legends = [legend.get_window_extent() for part in figure.subfigs for legend in part.legends]
    for box in boxes + legends:
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    assert not boxes[0].overlaps(legends[0])
    for above, below in pairwise(boxes[1:]):
        assert below.y1 <= above.y0 + 2


def test_one_score_of_equal_images():
    same = Unlabelled(np.full((3, 2), 0.5), "probabilities")
    figure = draw_open_set(open_set(same, same))
    figure.draw_without_rendering()
    assert len(figure.axes) == 2


def test_draws_on_given_axes():
    figure = Figure()
    ax = figure.subplots()
    before = dict(mpl.rcParams)
    assert draw_open_set(result(), ax=ax) is figure
    assert len(figure.axes) == 1
    assert len(ax.get_legend().get_texts()) == 3
    assert dict(mpl.rcParams) == before
