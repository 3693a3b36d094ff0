from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.oracles.samples import digits, made
from vitscope.analysis.calibration import reliability
from vitscope.analysis.smoothing import smooth_calibration
from vitscope.analysis.temperature import fit_temperature
from vitscope.figures.reliability import draw_reliability, draw_reliability_comparison


def _points(ax):
    (points,) = (item for item in ax.containers if item.get_label() == "accuracy, 95 %")
    return points.lines[0].get_xydata()


def _boxes(ax):
    (boxes,) = (item for item in ax.containers if item.get_label() == "calibrated, 95 %")
    return list(boxes.patches)


def test_points_whiskers_and_bands():
    predictions, _ = digits()
    result = reliability(predictions)
    ax = draw_reliability(result).axes[0]
    full = result.count > 0
    x, y = result.confidence[full], result.accuracy[full]
    np.testing.assert_array_equal(_points(ax), np.stack([x, y], axis=1))
    (whiskers,) = ax.collections
    drawn = np.array([segment[:, 1] for segment in whiskers.get_segments()])
    np.testing.assert_allclose(drawn, result.interval[full], atol=1e-12)
    low, high = result.band[full].T
    assert [box.get_y() for box in _boxes(ax)] == pytest.approx(low)
    assert [box.get_y() + box.get_height() for box in _boxes(ax)] == pytest.approx(high)
    assert [box.get_x() for box in _boxes(ax)] == pytest.approx(result.edges[:-1][full])
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert ax.get_xlim() == ax.get_ylim() == (0, 1)
    assert ax.get_title() == f"ECE {result.ece:.4f} (15 bins, n = 898)"


def test_the_smooth_curve_is_drawn_where_it_is_asked_for():
    predictions, _ = digits()
    smooth = smooth_calibration(predictions)
    ax = draw_reliability(reliability(predictions), smooth=smooth).axes[0]
    (curve,) = (line for line in ax.lines if line.get_label() == "smooth curve")
    np.testing.assert_array_equal(curve.get_xdata(), smooth.confidence)
    np.testing.assert_array_equal(curve.get_ydata(), smooth.accuracy)
    assert ax.get_title().endswith(f"smooth ECE {smooth.smooth_ece:.4f}")


def test_counts_stand_below_their_bins():
    predictions, _ = digits()
    result = reliability(predictions, bins=10)
    figure = draw_reliability(result)
    diagram, counts = figure.axes
    assert [bar.get_height() for bar in counts.patches] == result.count.tolist()
    assert [bar.get_x() for bar in counts.patches] == pytest.approx(np.arange(10) / 10)
    upper, lower = diagram.get_position(), counts.get_position()
    assert (upper.x0, upper.x1) == pytest.approx((lower.x0, lower.x1))
    assert lower.y1 < upper.y0
    size = figure.get_size_inches()
    assert upper.width * size[0] == pytest.approx(upper.height * size[1])


@pytest.mark.parametrize("p", [1.0, 0.0])
def test_degenerate_results_are_drawn(p):
    source = made([[p, 1 - p]], [0], kind="probabilities")
    figure = draw_reliability(reliability(source), smooth=smooth_calibration(source))
    figure.draw_without_rendering()
    assert _points(figure.axes[0]).tolist() == [[1.0, p]]


def _assert_whole(figure):
    figure.set_dpi(300)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * 300
    boxes = [ax.get_tightbbox() for ax in figure.axes] + [figure.legends[0].get_window_extent()]
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    # The legend is above every title.
    assert max(ax.title.get_window_extent().y1 for ax in figure.axes) <= boxes[-1].y0 + 1


@pytest.mark.parametrize("smooth", [False, True])
def test_nothing_is_cut_off(smooth):
    predictions, _ = digits()
    curve = smooth_calibration(predictions) if smooth else None
    _assert_whole(draw_reliability(reliability(predictions), smooth=curve))


def test_draws_on_given_axes():
    figure = Figure()
    ax = figure.subplots()
    before = dict(mpl.rcParams)
    assert draw_reliability(reliability(made([[0.0, 1.0]], [1])), ax=ax) is figure
    assert ax.get_xlabel() == "Confidence"
    assert len(figure.axes) == 1
    assert dict(mpl.rcParams) == before


def test_two_diagrams_share_their_scales():
    predictions, _ = digits()
    scaled = fit_temperature(predictions).apply(predictions)
    before, after = reliability(predictions), reliability(scaled)
    curves = smooth_calibration(predictions), smooth_calibration(scaled)
    figure = draw_reliability_comparison(
        before, after, smooth=curves, titles=("before", "after $T$ " + "of an endless name " * 9)
    )
    first, counts, second, others = figure.axes
    assert counts.get_ylim() == others.get_ylim()
    assert counts.get_ylim()[1] > max(before.count.max(), after.count.max())
    assert first.get_ylim() == second.get_ylim() == (0, 1)
    assert first.get_title().startswith("before\nECE")
    assert f"ECE {after.ece:.4f}" in second.get_title()
    np.testing.assert_array_equal(_points(second)[:, 1], after.accuracy[after.count > 0])
    assert not second.get_ylabel()
    assert len(figure.legends) == 1
    _assert_whole(figure)
    assert first.title.get_window_extent().x1 < second.title.get_window_extent().x0


def test_two_diagrams_without_curves():
    result = reliability(made([[0.0, 1.0]], [1]))
    figure = draw_reliability_comparison(result, result)
    assert figure.axes[2].get_title().startswith("after\n")
    _assert_whole(figure)
