from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import selecting
from tests.oracles.samples import digits, made
from vitscope.analysis.bootstrap import bootstrap
from vitscope.analysis.intervals import wilson
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.ranking import RiskLayout, Ties, certainties
from vitscope.analysis.roc import auroc
from vitscope.analysis.selective import risk_coverage, weighted_areas
from vitscope.errors import NotFiniteError, UsageError

IMAGES = st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0]), st.booleans()), min_size=1)
WEIGHTED = st.lists(
    st.tuples(st.sampled_from([0.5, 0.6, 0.75, 0.9, 1.0]), st.booleans(), st.integers(0, 3)), min_size=1
).filter(lambda images: sum(image[2] for image in images) > 0)


def predictions(images):
    """Two classes, class 0 predicted with these confidences; wrong where the label is 1."""
    p = np.array([[confidence, 1 - confidence] for confidence, _ in images])
    p = np.where(p == 0.5, [0.5, 0.5], p)
    return made(p, [int(wrong) for _, wrong in images], kind="probabilities")


def columns(images):
    return [image[0] for image in images], [image[1] for image in images]


@settings(deadline=None)
@given(IMAGES.filter(lambda images: len(images) <= 6))
def test_the_area_is_the_mean_over_all_orders_of_ties(images):
    certainty, wrong = columns(images)
    result = risk_coverage(predictions(images), replicates=0)
    assert result.aurc == pytest.approx(selecting.aurc(certainty, wrong), abs=1e-12)
    assert result.risk.tolist() == pytest.approx(list(map(float, selecting.risks(certainty, wrong))))


@given(IMAGES)
def test_the_optimum_and_what_is_left(images):
    certainty, wrong = columns(images)
    result = risk_coverage(predictions(images), replicates=0)
    assert result.aurc == pytest.approx(selecting.repeated_aurc(certainty, wrong), abs=1e-12)
    best = selecting.best_aurc(len(wrong), sum(wrong))
    assert result.optimal == pytest.approx(best, abs=1e-12)
    assert result.excess == pytest.approx(max(0, result.aurc - best), abs=1e-12)
    assert result.risk[-1] == pytest.approx(np.mean(wrong))
    assert np.all(result.optimal_risk <= result.risk + 1e-12)
    for risk, coverage in result.coverages.items():
        assert coverage == pytest.approx(selecting.coverage_at(certainty, wrong, risk / 100))


def test_five_tied_images_two_of_them_wrong():
    result = risk_coverage(made(np.zeros((5, 3)), [0, 1, 0, 2, 0]), replicates=0)
    assert result.aurc == pytest.approx(0.4)
    assert result.risk.tolist() == pytest.approx([0.4] * 5)
    assert result.optimal == pytest.approx((1 / 4 + 2 / 5) / 5)
    assert result.coverages == {1: 0.0, 5: 0.0}
    assert result.risks[80] == pytest.approx((0.4, *wilson(1.6, 4)))


def test_a_case_by_hand():
    # Confidences falling; right, wrong, right, wrong: risks 0, 1/2, 1/3, 1/2.
    images = [(0.9, False), (0.8, True), (0.7, False), (0.6, True)]
    result = risk_coverage(predictions(images), replicates=0)
    assert result.aurc == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert result.optimal == pytest.approx((1 / 3 + 2 / 4) / 4)
    assert result.covered.tolist() == [1, 2, 3, 4]
    assert result.threshold.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert result.coverages == {1: 0.25, 5: 0.25}
    assert result.risks[80] == pytest.approx((0.5, *wilson(2, 4)))
    assert result.error_auroc.value == 0.75


def test_coverages_are_rounded_up_as_decimals():
    # 0.8 × 5 and 0.9 × 10 are not quite whole in binary.
    images = [(1 - index / 40, index == 9) for index in range(10)]
    result = risk_coverage(predictions(images), replicates=0)
    assert [result.risks[coverage][0] for coverage in (80, 90, 95)] == [0, 0, 0.1]
    assert result.coverages == {1: 0.9, 5: 0.9}
    whole = risk_coverage(predictions([(1 - index / 80, index == 19) for index in range(20)]), replicates=0)
    assert whole.coverages[5] == 1.0


@settings(deadline=None)
@given(WEIGHTED)
def test_weights_equal_repeated_rows(images):
    # The layout knows how many images there are: so many as the weights sum to.
    repeated = [image for image in images for _ in range(image[2])]
    missing = len(repeated) - len(images)
    if missing < 0:
        return
    padded = [*images, *[(0.6, True, 0)] * missing]
    certainty, wrong = columns(repeated)
    weights = np.array([image[2] for image in padded], dtype=np.float64)
    weights.flags.writeable = False
    rows = outcomes(predictions([image[:2] for image in padded]))
    expected = selecting.repeated_aurc(certainty, wrong)
    areas = {name: area(weights) for name, area in weighted_areas(rows).items()}
    assert areas["aurc"] == pytest.approx(expected, abs=1e-12)
    best = selecting.best_aurc(len(wrong), sum(wrong))
    assert areas["aurc_optimal"] == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("by", ["confidence", "margin", "entropy", "maximum"])
def test_weights_of_one_are_the_number_itself(by):
    record, _ = digits()
    result, once = risk_coverage(record, by=by, replicates=0), np.ones(len(record))
    areas = {name: area(once) for name, area in weighted_areas(record, by=by).items()}
    assert areas["aurc"] == result.aurc
    assert areas["aurc_optimal"] == pytest.approx(result.optimal, abs=1e-15)
    rows = outcomes(record)
    certainty, wrong = certainties(rows, by), ~rows.correct
    assert result.aurc == pytest.approx(selecting.repeated_aurc(certainty, wrong), abs=1e-12)
    assert result.error_auroc == auroc(certainty[~wrong], certainty[wrong])
    assert np.all(np.diff(result.threshold) * (1 if by == "entropy" else -1) >= 0)


def test_the_order_of_images_does_not_count():
    record, _ = digits()
    order = np.random.default_rng(0).permutation(len(record))
    mixed = risk_coverage(made(record.logits[order], record.labels[order]), replicates=0)
    result = risk_coverage(record, replicates=0)
    assert mixed.aurc == pytest.approx(result.aurc)
    np.testing.assert_allclose(mixed.risk, result.risk)
    assert mixed.risks == result.risks
    assert mixed.coverages == result.coverages


def test_the_area_of_a_million_images_is_exact():
    rng = np.random.default_rng(0)
    certainty = rng.random(1_000_000)
    wrong = rng.random(1_000_000) > certainty**0.3
    weights = np.bincount(rng.integers(1_000_000, size=1_000_000), minlength=1_000_000)
    order = np.argsort(-certainty)
    errors = np.repeat(wrong[order], weights[order])
    expected = np.mean(np.cumsum(errors) / np.arange(1, errors.size + 1))
    area, total = RiskLayout.of(certainty, wrong).area(weights.astype(float))
    assert area == pytest.approx(expected, abs=1e-11)
    assert total == errors.sum()


def test_a_long_curve_is_thinned_and_exact_at_its_points():
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1, 20_000).round(3)
    images = list(zip(confidence, rng.random(20_000) > confidence, strict=True))
    result = risk_coverage(predictions(images), replicates=0)
    assert result.covered.size == 1000
    assert (result.covered[0], result.covered[-1]) == (1, 20_000)
    ties = Ties.of(*(np.array(column) for column in columns(images)))
    assert len(ties) == 20_000
    np.testing.assert_allclose(result.risk, ties.errors(result.covered) / result.covered)
    assert result.risk[-1] == pytest.approx(np.mean([image[1] for image in images]))


def test_intervals_hold_the_numbers_and_repeat():
    record, _ = digits()
    result = risk_coverage(record, replicates=200, seed=3)
    for value, interval in ((result.aurc, result.aurc_interval), (result.excess, result.excess_interval)):
        assert interval[0] < value < interval[1]
    assert risk_coverage(record, replicates=200, seed=3).metrics() == result.metrics()
    assert risk_coverage(record, replicates=200, seed=4).aurc_interval != result.aurc_interval
    low, high = result.error_auroc.interval
    assert low < result.error_auroc.value < high


def test_intervals_of_shared_draws_are_the_same():
    record, _ = digits()
    draws = bootstrap(weighted_areas(record), len(record), replicates=60, seed=5)
    shared = risk_coverage(record, replicates=0).with_intervals(draws)
    assert shared.metrics() == risk_coverage(record, replicates=60, seed=5).metrics()
    excess = np.maximum(draws["aurc"] - draws["aurc_optimal"], 0)
    np.testing.assert_allclose(draws["aurc"] - draws["aurc_optimal"], excess, atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b"), [(2, 1.5), (9, 1)], ids=["many errors", "few errors"])
def test_intervals_hold_the_true_area(a, b):
    """Confidences are calibrated, errors 21 and 5 %: the true area is that of very many images."""
    rng = np.random.default_rng(0)

    def sample(count):
        confidence = 0.5 + rng.beta(a, b, size=count) / 2
        return predictions(list(zip(confidence, rng.random(count) > confidence, strict=True)))

    truth = risk_coverage(sample(300_000), replicates=0)
    held = np.zeros(2)
    for seed in range(300):
        result = risk_coverage(sample(300), replicates=100, seed=seed)
        for place, (value, (low, high)) in enumerate(
            ((truth.aurc, result.aurc_interval), (truth.excess, result.excess_interval))
        ):
            held[place] += low <= value <= high
    assert np.all(held / 300 >= 0.89)
    assert np.all(held / 300 <= 0.995)


def test_intervals_are_clopper_and_pearsons_of_as_many_images_as_the_draws_tell():
    """Where all images are tied the area is the error rate, and its bootstrap variance p (1 − p) / n."""
    stats = pytest.importorskip("scipy.stats")
    result = risk_coverage(made(np.zeros((60, 2)), np.arange(60) % 3 == 0), replicates=0)
    p = result.aurc
    assert p == pytest.approx(20 / 60)
    step = math.sqrt(p * (1 - p) / 60)
    draws = {"aurc": np.array([p - step, p + step]), "aurc_optimal": np.zeros(2)}
    exact = stats.binomtest(20, 60).proportion_ci(method="exact")
    assert result.with_intervals(draws).aurc_interval == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("errors", [1, 2, 8, 9])
def test_one_error_or_one_hit_has_no_interval(errors):
    # The wrong images are the surest, so that there is an excess.
    images = [(0.9 - index / 40, index < errors) for index in range(10)]
    result = risk_coverage(predictions(images), replicates=50)
    assert (result.aurc_interval is None) == (errors in (1, 9))
    assert (result.excess_interval is None) == (errors in (1, 9))


def test_a_perfect_ranking_has_no_interval_of_its_excess():
    result = risk_coverage(predictions([(0.5 + index / 80, index < 6) for index in range(30)]), replicates=50)
    assert result.excess == pytest.approx(0, abs=1e-15)
    assert result.excess_interval is None
    assert result.aurc_interval is not None


@pytest.mark.parametrize(("label", "risk"), [(0, 0.0), (1, 1.0)])
def test_all_right_and_all_wrong(label, risk):
    result = risk_coverage(made([[3.0, 0.0], [1.0, 0.0], [1.0, 0.0]], [label] * 3))
    metrics = result.metrics()
    assert (metrics["aurc"], metrics["aurc_optimal"], metrics["excess_aurc"]) == (risk, risk, 0.0)
    assert metrics["aurc_interval"] is metrics["excess_aurc_interval"] is None
    assert metrics["error_auroc"] is metrics["error_auroc_interval"] is None
    assert result.coverages == {1: 1.0 - risk, 5: 1.0 - risk}
    assert metrics["risk_at_90_coverage_interval"] == wilson(3 * risk, 3).tolist()


def test_one_image_of_one_class():
    result = risk_coverage(made([[1.0]], [0]), by="margin")
    assert (result.n, result.aurc, result.covered.tolist()) == (1, 0.0, [1])
    assert math.isnan(result.error_auroc.value)


def test_confidences_of_exactly_one_and_not_finite_rows():
    p = [[1.0, 0.0], [1.0, 0.0], [np.nan, 0.0], [0.5, 0.5]]
    result = risk_coverage(made(p, [0, 1, 0, 0], kind="probabilities"), replicates=0)
    assert result.n == 3
    assert result.aurc == pytest.approx((1 / 2 + 1 / 2 + 1 / 3) / 3)
    with pytest.raises(NotFiniteError):
        risk_coverage(made([[np.inf, 0.0]], [0]))


def test_metrics_are_json():
    record, _ = digits()
    metrics = risk_coverage(record, replicates=20).metrics()
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert [name for name in metrics if not name.endswith("_interval")] == [
        "aurc",
        "aurc_optimal",
        "excess_aurc",
        "error_auroc",
        "risk_at_80_coverage",
        "risk_at_90_coverage",
        "risk_at_95_coverage",
        "coverage_at_1_risk",
        "coverage_at_5_risk",
    ]


def test_saves_the_curve(tmp_path):
    record, _ = digits()
    result = risk_coverage(record, replicates=0)
    table = pd.read_csv(result.save(tmp_path))
    assert list(table) == ["coverage", "covered", "risk", "low", "high", "optimal_risk", "threshold"]
    assert table["risk"].tolist() == result.risk.tolist()
    assert table["coverage"].iloc[-1] == 1.0


def test_refuses_another_ranking():
    with pytest.raises(UsageError, match="one of confidence, margin, entropy, maximum, got 'age'"):
        risk_coverage(made([[0.0]], [0]), by="age")
