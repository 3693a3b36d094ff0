from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.oracles.samples import digits, made
from vitscope.analysis.confidence import confidence_histogram
from vitscope.figures.confidence import draw_confidence_histogram


def test_shares_of_right_go_up_and_of_wrong_go_down():
    predictions, _ = digits()
    result = confidence_histogram(predictions)
    before = dict(mpl.rcParams)
    ax = draw_confidence_histogram(result).axes[0]
    right, wrong = ax.containers
    heights = [[bar.get_height() for bar in side] for side in (right, wrong)]
    np.testing.assert_allclose(heights[0], result.right / result.right.sum())
    np.testing.assert_allclose(heights[1], -result.wrong / result.wrong.sum())
    np.testing.assert_allclose([bar.get_x() for bar in right], result.edges[:-1])
    assert right[0].get_hatch() is None
    assert wrong[0].get_hatch() == "/////"
    dashed = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed == [result.mean_right, result.mean_wrong]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [
        f"right: n = {result.right.sum()}, mean {result.mean_right:.3f} (dashed)",
        f"wrong: n = {result.wrong.sum()}, mean {result.mean_wrong:.3f} (dashed)",
    ]
    low, high = ax.get_ylim()
    assert low < min(heights[1])
    assert high > max(heights[0])
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("right", [True, False])
def test_one_side_without_images(right):
    figure = draw_confidence_histogram(confidence_histogram(made(np.eye(2), [0, 1] if right else [1, 0])))
    figure.draw_without_rendering()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert ("wrong: n = 0" if right else "right: n = 0") in labels


def test_draws_on_given_axes():
    predictions, _ = digits()
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert draw_confidence_histogram(confidence_histogram(predictions), ax=right) is figure
    assert not left.has_data()
