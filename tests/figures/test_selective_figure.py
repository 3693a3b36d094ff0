from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.oracles.samples import digits, made
from vitscope.analysis.selective import risk_coverage
from vitscope.figures.selective import draw_risk_coverage


def drawn(result):
    figure = draw_risk_coverage(result)
    ax = figure.axes[0]
    return figure, ax, {line.get_label(): line.get_xydata() for line in ax.lines}


def test_curves_stand_where_the_numbers_are():
    result = risk_coverage(digits()[0], replicates=50)
    _, ax, lines = drawn(result)
    coverage = result.covered / result.n
    shown = coverage >= 0.02
    np.testing.assert_array_equal(lines["by confidence"], np.stack([coverage, result.risk], axis=1)[shown])
    np.testing.assert_array_equal(lines["best order"][:, 1], result.optimal_risk)
    assert lines["random order"][:, 1].tolist() == [result.errors / result.n] * 2
    band = ax.collections[0].get_paths()[0].vertices
    assert set(result.interval[:, 1].tolist()) <= set(band[:, 1].tolist())
    low, high = (100 * bound for bound in result.aurc_interval)
    assert ax.get_title().startswith(f"AURC {100 * result.aurc:.2f} % [{low:.2f}, {high:.2f}], excess")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "by confidence",
        "95 % interval",
        "best order",
        "random order",
    ]
    assert ax.get_ylim()[1] > result.interval[shown, 1].max()


@pytest.mark.parametrize("by", ["margin", "entropy", "maximum"])
def test_says_what_it_ranks_by(by):
    names = {"margin": "margin of logits", "entropy": "entropy", "maximum": "largest logit"}
    assert f"by {names[by]}" in drawn(risk_coverage(digits()[0], by=by, replicates=0))[2]


@pytest.mark.parametrize(
    ("logits", "labels"),
    [([[1.0, 0.0]], [0]), (np.eye(4), [0, 1, 2, 3]), (np.eye(4), [1, 2, 3, 0]), (np.zeros((9, 1)), [0] * 9)],
    ids=["one image", "all right", "all wrong", "one class"],
)
def test_degenerate_results_are_drawn_whole(logits, labels):
    figure, ax, _ = drawn(risk_coverage(made(logits, labels)))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * 300
    box = ax.get_tightbbox()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    assert all(0 <= tick <= 1 for tick in ax.get_yticks())


def test_draws_on_given_axes():
    figure = Figure()
    ax = figure.subplots()
    before = dict(mpl.rcParams)
    assert draw_risk_coverage(risk_coverage(made([[0.0, 1.0]], [1])), ax=ax) is figure
    assert len(figure.axes) == 1
    assert dict(mpl.rcParams) == before
