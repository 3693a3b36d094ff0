"""Figures of classes and of compared models in the narrowest column, for 2 to 1,000 classes and any name."""

from __future__ import annotations

import numpy as np
import pytest

from tests.figures.test_comparison_figure import compared
from tests.figures.test_openset_figure import result as opened
from tests.oracles.lettered import faults
from tests.oracles.samples import made
from vitscope.analysis.calibration import reliability
from vitscope.analysis.conformal import calibration_rows, fit_conformal
from vitscope.analysis.coverage import evaluate_conformal
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.pairs import pair_samples
from vitscope.analysis.samples import class_samples, sample_indices
from vitscope.analysis.smoothing import smooth_calibration
from vitscope.figures.arrangement import page_height
from vitscope.figures.class_gallery import draw_class_gallery
from vitscope.figures.comparison import draw_comparison
from vitscope.figures.conformal import draw_conformal
from vitscope.figures.disagreements import draw_disagreements
from vitscope.figures.gallery import draw_gallery
from vitscope.figures.openset import draw_open_set
from vitscope.figures.pairs import draw_pairs
from vitscope.figures.reliability import draw_reliability_comparison
from vitscope.figures.style import paper_style

SCRIPTS = ("W_M_" * 62, "عربي_" * 50, "Ж_Щ_" * 60, "$\\frac_{" * 30, "日本語_" * 60)


def image(index):
    return np.zeros(((8, 12), (12, 8), (8, 8))[index % 3], np.uint8)


def predicted(classes, kind):
    random = np.random.default_rng(classes)
    labels = random.integers(classes, size=max(400, 2 * classes))
    logits = random.normal(size=(len(labels), classes)) + 2.5 * np.eye(classes)[labels]
    names = [f"{SCRIPTS[index % 5] if kind == 'long' else 'class '}{index}" for index in range(classes)]
    return made(logits, labels, classes=names)


def figures(classes, kind):
    record = predicted(classes, kind)
    rows = calibration_rows(record.labels)
    held = evaluate_conformal(fit_conformal(record, rows=rows), record, rows=~rows)
    yield draw_conformal(held)
    yield draw_pairs(image, record.classes, pair_samples(record))
    yield draw_class_gallery(image, record, class_samples(record))
    title = "16 of 12,345 misclassified images, drawn at random (seed 42)"
    yield draw_gallery(image, record, sample_indices(record, only="wrong"), title=title)
    names = [f"{SCRIPTS[index % 5] if kind == 'long' else 'vit-'}{index}" for index in range(3)]
    comparison = compared(classes, 3, 400, names)
    yield draw_comparison(comparison)
    yield draw_disagreements(image, comparison, *names[:2])


def assert_fits(figure, said):
    assert faults(figure) == [], said
    assert figure.get_figheight() <= page_height() + 0.1, said


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        (10, "long"),
        *(
            pytest.param(classes, kind, marks=pytest.mark.slow)
            for classes, kind in ((2, "long"), (10, "short"), (100, "long"), (1000, "short"))
        ),
    ],
)
def test_nothing_is_cut_covered_or_too_small(classes, kind):
    with paper_style("acl"):
        for number, figure in enumerate(figures(classes, kind)):
            assert_fits(figure, number)


@pytest.mark.slow
@pytest.mark.parametrize("models", [2, 8])
def test_nor_of_two_models_or_many(models):
    names = [f"{SCRIPTS[index % 5]}{index}" for index in range(models)]
    with paper_style("acl"):
        assert_fits(draw_comparison(compared(20, models, 400, names)), models)


def test_open_sets():
    with paper_style("acl"):
        assert_fits(draw_open_set(opened(features=True)), "open set")


def test_before_and_after_scaling():
    record, other = predicted(10, "long"), predicted(10, "short")
    bins, curves = [], []
    for each in (record, other):
        rows = outcomes(each)
        bins.append(reliability(rows))
        curves.append(smooth_calibration(rows))
    with paper_style("acl"):
        figure = draw_reliability_comparison(
            *bins, smooth=tuple(curves), titles=("before", "after: T = 1.234")
        )
        assert_fits(figure, "calibration")
        titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
        assert all("…" not in title for title in titles)  # numbers are never cut


def test_a_name_that_runs_leftwards_keeps_what_is_around_it_in_place():
    random = np.random.default_rng(0)
    record = made(random.normal(size=(40, 2)), random.integers(2, size=40), classes=("عربي 7", "cat"))
    with paper_style("acl"):
        figure = draw_pairs(image, record.classes, pair_samples(record))
    lines = [text.get_text() for text in figure.axes[0].texts]
    # Between left-to-right marks, a name does not turn the line around it.
    assert any(
        "A: \u200eعربي 7\u200e, B: cat" in line or "A: cat, B: \u200eعربي 7\u200e" in line for line in lines
    )
