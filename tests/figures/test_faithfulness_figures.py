"""The figures of faithfulness: what the artists show, and the records that they are drawn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tests.oracles.faithful import made, noisy
from vitscope.analysis.faithfulness import rank_methods
from vitscope.analysis.perturbation_curves import mean_curves
from vitscope.figures.faithfulness import (
    draw_method_ranking,
    draw_perturbation_curve,
    draw_perturbation_curves,
)
from vitscope.figures.style import BLUE, GREY

METHODS = ("good", "poor", "random", "random 8x8", "centre")


@pytest.fixture(scope="module")
def record():
    random = np.random.default_rng(0)
    curves = {name: random.random((5, 40, 4)) for name in ("deletion", "road_lerf", "insertion")}
    scores = noisy([[0.1, 0.2], [0.4, 0.1], [0.4, 0.9], [0.4, 0.8], [0.5, 0.0]], images=40)
    return made(scores, methods=METHODS, metrics=("deletion", "max_sensitivity"), curves=curves)


def test_a_curve_a_method_with_the_baselines_dashed_in_grey(record):
    curves = mean_curves(record, replicates=50)
    ax = draw_perturbation_curve(curves["deletion"], "deletion").axes[0]
    assert len(ax.lines) == 5
    for line, (name, each) in zip(ax.lines, curves["deletion"].items(), strict=True):
        np.testing.assert_allclose(line.get_ydata(), each.means)
        np.testing.assert_allclose(line.get_xdata(), 100 * each.fractions)
        baseline = name not in ("good", "poor")
        assert (to_hex(line.get_color()) == GREY.lower()) == baseline
    own = [line for line in ax.lines if to_hex(line.get_color()) != GREY.lower()]
    assert len({line.get_linestyle() for line in own}) == len(own)  # told apart in grey print, too
    assert ax.get_title() == "Deletion (lower is better)"
    assert ax.get_ylim() == (0, 1)


def test_all_curves_stand_in_panels_under_one_legend(record):
    figure = draw_perturbation_curves(mean_curves(record, replicates=50))
    assert [ax.get_title().split(" (")[0] for ax in figure.axes] == [
        "Deletion", "ROAD, least relevant first", "Insertion",
    ]  # fmt: skip
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*METHODS, "95 % interval"]


def test_many_methods_are_told_apart():
    methods = (*(f"method {number}" for number in range(16)), "random", "centre")
    curves = {"deletion": np.random.default_rng(0).random((18, 5, 3))}
    record = made(np.random.default_rng(1).random((18, 1, 5)), methods=methods, curves=curves)
    ax = draw_perturbation_curve(mean_curves(record, replicates=20)["deletion"], "deletion").axes[0]
    looks = {
        (to_hex(line.get_color()), str(line.get_linestyle()), str(line._dash_pattern)) for line in ax.lines
    }
    assert len(looks) == 18


def test_the_ranking_has_a_panel_a_metric_with_values_and_intervals(record):
    ranking = rank_methods(record, replicates=100)
    figure = draw_method_ranking(ranking)
    assert [ax.get_title() for ax in figure.axes] == ["Deletion", "Max-sensitivity"]
    ax = figure.axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(METHODS)
    markers = {int(line.get_ydata()[0]): line for line in ax.lines if line.get_marker() in ("o", "s")}
    for row, place in enumerate(ranking.order):
        assert markers[row].get_xdata()[0] == ranking.means[place, 0]
    bars = [line for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 2]
    np.testing.assert_allclose(bars[0].get_xdata(), ranking.intervals[ranking.order[0], 0])


def test_markers_are_filled_where_the_baselines_are_beaten(record):
    ax = draw_method_ranking(rank_methods(record, replicates=100)).axes[0]
    markers = [line for line in ax.lines if line.get_marker() in ("o", "s")]
    faces = [to_hex(line.get_markerfacecolor()) for line in markers]
    assert faces == [BLUE.lower(), "#ffffff", *[GREY.lower()] * 3]
    assert [line.get_marker() for line in markers] == ["o", "o", "s", "s", "s"]


def test_a_baseline_far_away_is_a_mark_at_the_edge_with_its_value():
    scores = noisy([[0.04], [0.06], [0.75], [0.0]], images=30)
    record = made(scores, methods=("good", "poor", "random", "centre"), metrics=("max_sensitivity",))
    ranking = rank_methods(record, replicates=50)
    (ax,) = draw_method_ranking(ranking).axes
    assert 0.06 < ax.get_xlim()[1] < 0.3
    (mark,) = [line for line in ax.lines if line.get_marker() == ">"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (ax.get_xlim()[1], ranking.methods.index("random"))
    assert [text.get_text().strip() for text in ax.texts] == [f"{ranking.means[2, 0]:.2g}"]
    near = made(
        noisy([[0.4], [0.6], [0.75], [0.0]], images=30), methods=record.methods, metrics=record.metrics
    )
    (ax,) = draw_method_ranking(rank_methods(near, replicates=50)).axes
    assert not ax.texts
    assert ax.get_xlim()[1] > 0.7


def test_panels_of_curves_end_above_the_highest_interval(record):
    low = {name: 0.3 * curve for name, curve in record.curves.items()}
    curves = mean_curves(replace(record, curves=low), replicates=50)
    figure = draw_perturbation_curves(curves)
    highest = max(each.intervals.max() for kind in curves.values() for each in kind.values())
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert highest <= figure.axes[0].get_ylim()[1] < highest + 0.1


def test_names_are_text():
    name = r"$\frac{1}{2}$ [/red] " + "very long " * 20
    record = made(noisy([[0.1], [0.4], [0.5]]), methods=(name, "random", "centre"))
    figure = draw_method_ranking(rank_methods(record, replicates=20))
    figure.draw_without_rendering()
    assert "…" in figure.axes[0].get_yticklabels()[0].get_text()


def test_small_scores_have_their_power_of_ten_at_the_ticks():
    scores = 1e-5 * np.random.default_rng(0).uniform(6, 7, (3, 1, 10))
    record = made(scores, methods=("good", "random", "centre"), metrics=("infidelity",))
    figure = draw_method_ranking(rank_methods(record))
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert ax.xaxis.get_offset_text().get_text() == ""
    written = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in ax.get_xticklabels()]
    np.testing.assert_allclose([float(text) for text in written], ax.get_xticks(), rtol=1e-5)
