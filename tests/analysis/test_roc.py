from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from tests.oracles import selecting
from vitscope.analysis.intervals import wilson
from vitscope.analysis.roc import auroc, average_precision, delong_test, false_positive_rate, roc_curve
from vitscope.errors import InputError, UsageError

# Few distinct values make ties common.
SCORES = st.lists(st.sampled_from([-2.0, -0.5, 0.0, 1.0, 1.5, 3.0]), min_size=1, max_size=12)
MANY = st.lists(st.sampled_from([-2.0, -0.5, 0.0, 1.0, 1.5, 3.0]), min_size=2, max_size=12)


def kinds(positive, negative):
    return np.repeat([1, 0], [len(positive), len(negative)]), np.concatenate([positive, negative])


@given(SCORES, SCORES)
def test_the_area_equals_all_pairs(positive, negative):
    result = auroc(positive, negative)
    assert result.value == pytest.approx(selecting.area(positive, negative), abs=1e-12)
    assert (result.n_positive, result.n_negative) == (len(positive), len(negative))
    low, high = result.interval
    assert 0 <= low <= result.value + 1e-12
    assert result.value - 1e-12 <= high <= 1


@given(MANY, MANY)
def test_the_variance_equals_the_double_loop(positive, negative):
    side = (positive, negative)
    expected = selecting.delong_covariance(side, side)
    assert auroc(positive, negative).variance == pytest.approx(expected, abs=1e-12)


@given(MANY, MANY)
def test_turning_the_scores_turns_the_area(positive, negative):
    result, turned = auroc(positive, negative), auroc(np.negative(positive), np.negative(negative))
    assert turned.value == pytest.approx(1 - result.value)
    assert turned.variance == pytest.approx(result.variance, abs=1e-12)
    assert turned.interval == pytest.approx((1 - result.interval[1], 1 - result.interval[0]), abs=1e-9)
    assert auroc(negative, positive).value == pytest.approx(1 - result.value)


@given(MANY, MANY)
def test_only_the_order_counts(positive, negative):
    assert auroc(np.exp(positive), np.exp(negative)) == auroc(positive, negative)
    assert auroc(positive[::-1], negative[::-1]).value == pytest.approx(auroc(positive, negative).value)


def test_a_case_by_hand():
    # 3 beats both, 1 beats 0 and ties with 1: 3.5 of 4 pairs.
    result = auroc([3.0, 1.0], [0.0, 1.0])
    assert result.value == 0.875
    # Placements 1 and ¾, and 1 and ¾: each variance 1/32, so 1/64 + 1/64.
    assert result.variance == pytest.approx(1 / 32)
    centre, half = math.log(7), 1.959963984540054 * math.sqrt(1 / 32) / (0.875 * 0.125)
    assert result.interval == pytest.approx(
        (1 / (1 + math.exp(half - centre)), 1 / (1 + math.exp(-half - centre)))
    )


def test_infinite_scores_have_their_order():
    assert auroc([np.inf, 1.0], [-np.inf, 1.0]).value == 0.875


@pytest.mark.parametrize("value", [1.0, 0.0])
def test_a_perfect_separation_is_no_certainty(value):
    result = auroc(np.arange(5) + 40 * value, np.arange(8) + 20)
    assert result.value == value
    assert result.variance == pytest.approx(0, abs=1e-15)
    assert result.interval == tuple(wilson(5 * value, 5).tolist())


def test_equal_scores_and_single_images_have_wide_intervals():
    tied = auroc(np.zeros(9), np.zeros(4))
    assert (tied.value, tied.interval) == (0.5, tuple(wilson(2.0, 4).tolist()))
    single = auroc([0.5], [0.0, 1.0])
    assert math.isnan(single.variance)
    assert single.interval == tuple(wilson(0.5, 1).tolist())


def test_nothing_of_a_kind_is_not_applicable():
    result = auroc([], [1.0])
    assert math.isnan(result.value)
    assert result.metrics() == {"auroc": None, "auroc_interval": None}
    assert math.isnan(false_positive_rate([], [1.0]))
    assert math.isnan(average_precision([], [1.0]))


def test_nan_is_refused():
    for function in (auroc, average_precision, false_positive_rate, roc_curve):
        with pytest.raises(InputError, match="positive scores that are numbers, got NaN"):
            function([0.0, np.nan], [1.0])


def test_the_interval_holds_the_true_area():
    """Of 400 draws from normals a deviation apart, whose area is Φ(1/√2), about 95 % hold it."""
    rng = np.random.default_rng(0)
    truth = 0.5 * math.erfc(-0.5)
    held = 0
    for _ in range(400):
        low, high = auroc(rng.normal(1, 1, 60), rng.normal(0, 1, 90)).interval
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.98


def test_the_variance_agrees_with_the_bootstrap():
    rng = np.random.default_rng(1)
    positive, negative = rng.normal(0.8, 1, 300).round(1), rng.normal(0, 1, 400).round(1)
    drawn = [auroc(rng.choice(positive, 300), rng.choice(negative, 400)).value for _ in range(1000)]
    assert auroc(positive, negative).variance == pytest.approx(np.var(drawn), rel=0.12)


@pytest.mark.slow
@given(MANY, MANY)
def test_area_and_precision_equal_scikit_learn(positive, negative):
    labels, scores = kinds(positive, negative)
    assert auroc(positive, negative).value == pytest.approx(roc_auc_score(labels, scores))
    expected = average_precision_score(labels, scores)
    assert average_precision(positive, negative) == pytest.approx(expected)


def test_the_area_equals_torchmetrics():
    """torchmetrics works in float32, by trapezoids over all thresholds: equal to single precision."""
    functional = pytest.importorskip("torchmetrics.functional.classification")
    import torch

    rng = np.random.default_rng(2)
    positive, negative = rng.random(500).round(2), rng.random(700).round(2) ** 2
    labels, scores = kinds(positive, negative)
    area = functional.binary_auroc(torch.tensor(scores), torch.tensor(labels))
    assert auroc(positive, negative).value == pytest.approx(float(area), abs=1e-6)


@given(st.lists(st.tuples(st.booleans(), *[st.sampled_from([0.0, 1.0, 2.5, 4.0])] * 2), max_size=14))
def test_the_difference_equals_the_double_loop(images):
    kind = np.array([image[0] for image in images], dtype=bool)
    first, second = (np.array([image[index] for image in images]) for index in (1, 2))
    if min(kind.sum(), (~kind).sum()) < 2:
        with pytest.raises(InputError, match="at least 2"):
            delong_test(first, second, kind)
        return
    result = delong_test(first, second, kind)
    sides = [(scores[kind].tolist(), scores[~kind].tolist()) for scores in (first, second)]
    expected = (
        selecting.delong_covariance(sides[0], sides[0])
        + selecting.delong_covariance(sides[1], sides[1])
        - 2 * selecting.delong_covariance(sides[0], sides[1])
    )
    assert result.value == pytest.approx(selecting.area(*sides[0]) - selecting.area(*sides[1]), abs=1e-12)
    assert result.variance == pytest.approx(expected, abs=1e-12)
    back = delong_test(second, first, kind)
    assert (back.value, back.variance) == pytest.approx((-result.value, result.variance))
    assert back.p_value == pytest.approx(result.p_value, nan_ok=True)


def test_equal_scores_do_not_differ():
    rng = np.random.default_rng(3)
    scores, kind = rng.normal(size=40), rng.random(40) < 0.5
    result = delong_test(scores, scores, kind)
    assert (result.value, result.interval, result.p_value) == (0.0, (0.0, 0.0), 1.0)
    assert result.metrics()["auroc_difference_p_value"] == 1.0


def test_a_difference_without_variance_has_no_p_value():
    kind = np.array([True, True, False, False])
    result = delong_test([1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], kind)
    assert result.value == 1.0
    assert math.isnan(result.p_value)
    assert result.metrics()["auroc_difference_p_value"] is None


def test_p_values_are_uniform_where_nothing_differs():
    rng = np.random.default_rng(4)
    values = []
    for _ in range(400):
        truth = rng.normal(size=150)
        noisy = [truth + rng.normal(size=150) for _ in range(2)]
        values.append(delong_test(*noisy, truth + 0.5 * rng.normal(size=150) > 0).p_value)
    assert 0.02 <= np.mean(np.array(values) < 0.05) <= 0.08
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


def test_scores_and_kinds_must_fit():
    with pytest.raises(InputError, match=r"got \[2\], \[3\], \[2\]"):
        delong_test([0.0, 1.0], [0.0, 1.0, 2.0], [True, False])


@pytest.mark.slow
@given(SCORES, SCORES, st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0]))
def test_false_positives_equal_the_search_of_thresholds(positive, negative, tpr):
    expected = selecting.least_false_positives(positive, negative, tpr)
    assert false_positive_rate(positive, negative, tpr=tpr) == pytest.approx(expected)


def test_nineteen_of_twenty_are_95_per_cent():
    # 0.95 × 20 is a hair above 19 in binary; the 20th positive need not be found.
    positive = np.append(np.arange(10.0, 29.0), 0.0)
    assert false_positive_rate(positive, [5.0, 1.0]) == 0.0
    assert false_positive_rate(positive, [10.0, 1.0]) == 0.5
    with pytest.raises(UsageError, match="up to 1, got 0"):
        false_positive_rate(positive, [1.0], tpr=0)


@given(MANY, MANY)
def test_the_curve_has_the_area_under_it(positive, negative):
    curve = roc_curve(positive, negative)
    assert np.trapezoid(curve.true_positive_rate, curve.false_positive_rate) == pytest.approx(
        auroc(positive, negative).value
    )
    labels, scores = kinds(positive, negative)
    across, up, threshold = sklearn_roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate, across)
    np.testing.assert_allclose(curve.true_positive_rate, up)
    np.testing.assert_array_equal(curve.threshold, threshold)


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    rng = np.random.default_rng(5)
    positive, negative = rng.normal(1, 1, 9000), rng.normal(0, 1, 12000)
    thin, whole = roc_curve(positive, negative, points=200), roc_curve(positive, negative, points=10**6)
    assert 150 <= thin.threshold.size <= 200
    for name in ("false_positive_rate", "true_positive_rate"):
        values = getattr(thin, name)
        assert (values[0], values[-1]) == (0, 1)
        assert np.all(np.diff(values) >= 0)
    drawn = np.interp(whole.false_positive_rate, thin.false_positive_rate, thin.true_positive_rate)
    assert np.abs(drawn - whole.true_positive_rate).max() < 0.012
    with pytest.raises(UsageError, match="at least 2 points"):
        roc_curve(positive, negative, points=1)
    with pytest.raises(InputError, match="positives and negatives, got 0 and 1"):
        roc_curve([], [1.0])
