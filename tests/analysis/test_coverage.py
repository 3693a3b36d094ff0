from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.oracles.samples import digits, made
from vitscope.analysis.conformal import (
    ConformalPredictor,
    calibration_rows,
    fit_conformal,
    prediction_sets,
)
from vitscope.analysis.conformity import ClassScore
from vitscope.analysis.coverage import SizeStratum, evaluate_conformal
from vitscope.analysis.intervals import wilson
from vitscope.errors import InputError, NotFiniteError


def least(threshold, classes):
    return ConformalPredictor(ClassScore("lac"), 0.1, threshold, 9, 0, classes)


@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
def test_counts_equal_those_of_the_sets(method):
    record, _ = digits()
    rows = calibration_rows(record.labels)
    predictor = fit_conformal(record, method=method, rows=rows, penalty=(0.1, 1))
    result = evaluate_conformal(predictor, record, rows=~rows)
    sets, labels = prediction_sets(predictor, record)[~rows], record.labels[~rows]
    inside, size = sets[np.arange(len(sets)), labels], sets.sum(axis=1)
    assert result.n == len(sets)
    assert result.coverage == inside.mean()
    assert result.interval == tuple(wilson(inside.sum(), len(sets)).tolist())
    assert result.mean_size == pytest.approx(size.mean())
    half = 1.959963984540054 * size.std(ddof=1) / len(sets) ** 0.5
    assert result.mean_size_interval == pytest.approx((size.mean() - half, size.mean() + half))
    assert result.sizes.tolist() == np.bincount(size, minlength=11).tolist()
    assert result.covered.tolist() == np.bincount(size[inside], minlength=11).tolist()
    for label in range(10):
        assert result.class_coverage[label] == pytest.approx(inside[labels == label].mean())
    assert result.class_interval.tolist() == wilson(result.class_covered, result.class_n).tolist()


def test_a_case_by_hand():
    # 1 − p ≤ 0.6: sets {0}, {0, 1}, {} and {2}.
    p = [[0.8, 0.1, 0.1], [0.45, 0.45, 0.1], [0.34, 0.33, 0.33], [0.0, 0.0, 1.0]]
    result = evaluate_conformal(least(0.6, 3), made(p, [0, 1, 0, 0], kind="probabilities"))
    assert result.sizes.tolist() == [1, 2, 1, 0]
    assert result.covered.tolist() == [0, 1, 1, 0]
    assert result.class_n.tolist() == [3, 1, 0]
    assert result.class_covered.tolist() == [1, 1, 0]
    assert result.strata == (SizeStratum(0, 0, 1, 0), SizeStratum(1, 1, 2, 1), SizeStratum(2, 3, 1, 1))
    assert result.strata[1].interval == tuple(wilson(1, 2).tolist())
    metrics = result.metrics()
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert metrics["conformal_coverage"] == 0.5
    assert metrics["conformal_mean_size"] == 1.0
    assert (metrics["conformal_empty_share"], metrics["conformal_singleton_share"]) == (0.25, 0.5)
    assert metrics["conformal_singleton_accuracy"] == 0.5
    assert metrics["conformal_singleton_accuracy_interval"] == wilson(1, 2).tolist()


def test_keys():
    record, _ = digits()
    assert list(evaluate_conformal(fit_conformal(record), record).metrics()) == [
        "conformal_method",
        "conformal_alpha",
        "conformal_n_calibration",
        "conformal_threshold",
        "conformal_n",
        "conformal_coverage",
        "conformal_coverage_interval",
        "conformal_coverage_range",
        "conformal_mean_size",
        "conformal_mean_size_interval",
        "conformal_empty_share",
        "conformal_singleton_share",
        "conformal_singleton_accuracy",
        "conformal_singleton_accuracy_interval",
    ]


def test_an_infinite_threshold_takes_every_class():
    result = evaluate_conformal(fit_conformal(made([[0.0, 1.0]], [0])), made([[0.0, 1.0]] * 3, [0, 1, 1]))
    metrics = result.metrics()
    assert metrics["conformal_threshold"] is None
    assert (metrics["conformal_coverage"], metrics["conformal_mean_size"]) == (1.0, 2.0)
    assert metrics["conformal_singleton_accuracy"] is metrics["conformal_singleton_accuracy_interval"] is None


def test_one_image_of_one_class():
    result = evaluate_conformal(least(0.0, 1), made([[5.0]], [0]))
    assert (result.coverage, result.mean_size, result.mean_size_interval) == (1.0, 1.0, None)
    assert result.strata == (SizeStratum(1, 1, 1, 1),)


def test_strata_of_many_classes():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, 150)) * rng.choice([0.1, 3, 9], size=(400, 1))
    result = evaluate_conformal(least(0.995, 150), made(logits, np.zeros(400)))
    assert sum(part.n for part in result.strata) == 400
    assert [(part.low, part.high) for part in result.strata if part.low in (1, 101)] == [(1, 1), (101, 150)]
    assert sum(part.covered for part in result.strata) == result.covered.sum()


def test_classes_without_images_are_not_applicable(tmp_path):
    result = evaluate_conformal(least(0.9, 3), made([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], [0, 2]))
    assert np.isnan(result.class_coverage).tolist() == [False, True, False]
    sizes, classes = map(pd.read_csv, result.save(tmp_path))
    assert sizes["size"].tolist() == [3]
    assert sizes[["n", "covered", "coverage"]].iloc[0].tolist() == [2, 2, 1]
    assert classes["class"].tolist() == ["class 0", "class 1", "class 2"]
    assert classes["coverage"].isna().tolist() == [False, True, False]


def test_not_finite_rows_are_counted():
    result = evaluate_conformal(least(0.9, 2), made([[0.0, 1.0], [np.nan, 0.0]], [0, 0]))
    assert (result.n, result.n_not_finite) == (1, 1)
    with pytest.raises(NotFiniteError, match="none of the 1 images to test on"):
        evaluate_conformal(least(0.9, 2), made([[np.inf, 0.0]], [0]))


def test_refuses_other_classes_and_nothing():
    with pytest.raises(InputError, match="of 3 classes, got 2"):
        evaluate_conformal(least(0.9, 3), made([[0.0, 1.0]], [0]))
    with pytest.raises(InputError, match="at least one image to test on"):
        evaluate_conformal(least(0.9, 2), made(np.empty((0, 2)), []))
