from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.oracles.samples import digits, made
from vitscope.analysis.calibration import reliability
from vitscope.figures.reliability import draw_reliability


def _points(ax):
    return ax.containers[0].lines[0].get_xydata()


def test_points_gaps_and_whiskers():
    predictions, _ = digits()
    result = reliability(predictions)
    ax = draw_reliability(result).axes[0]
    full = result.count > 0
    x, y = result.confidence[full], result.accuracy[full]
    np.testing.assert_array_equal(_points(ax), np.stack([x, y], axis=1))
    gaps, whiskers = ax.collections
    for segment, confidence, accuracy in zip(gaps.get_segments(), x, y, strict=True):
        assert segment[:, 0].tolist() == [confidence] * 2
        assert segment[:, 1].tolist() == sorted([confidence, accuracy])
    drawn = np.array([segment[:, 1] for segment in whiskers.get_segments()])
    np.testing.assert_allclose(drawn, result.interval[full], atol=1e-12)
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert ax.get_xlim() == ax.get_ylim() == (0, 1)
    assert ax.get_title() == f"ECE {result.ece:.4f} (15 bins, n = 898)"


def test_counts_stand_below_their_bins():
    predictions, _ = digits()
    result = reliability(predictions, bins=10)
    figure = draw_reliability(result)
    diagram, counts = figure.axes
    assert [bar.get_height() for bar in counts.patches] == result.count.tolist()
    assert [bar.get_x() for bar in counts.patches] == pytest.approx(np.arange(10) / 10)
    upper, lower = diagram.get_position(), counts.get_position()
    assert (upper.x0, upper.x1) == (lower.x0, lower.x1)
    assert lower.y1 < upper.y0
    size = figure.get_size_inches()
    assert upper.width * size[0] == pytest.approx(upper.height * size[1])


@pytest.mark.parametrize("p", [1.0, 0.0])
def test_degenerate_results_are_drawn(p):
    figure = draw_reliability(reliability(made([[p, 1 - p]], [0], kind="probabilities")))
    figure.draw_without_rendering()
    assert _points(figure.axes[0]).tolist() == [[1.0, p]]


def test_nothing_is_cut_off():
    predictions, _ = digits()
    figure = draw_reliability(reliability(predictions))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * 300
    boxes = [ax.get_tightbbox() for ax in figure.axes] + [figure.legends[0].get_window_extent()]
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_draws_on_given_axes():
    figure = Figure()
    ax = figure.subplots()
    before = dict(mpl.rcParams)
    assert draw_reliability(reliability(made([[0.0, 1.0]], [1])), ax=ax) is figure
    assert ax.get_xlabel() == "Confidence"
    assert len(figure.axes) == 1
    assert dict(mpl.rcParams) == before
