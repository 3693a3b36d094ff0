from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.samples import made
from vitscope.analysis.bootstrap import bootstrap, enough, interval, resampled_weights
from vitscope.analysis.scores import proper_scores
from vitscope.errors import UsageError


def test_weights_are_counts_of_draws():
    weights = resampled_weights(50, replicate=3, seed=1)
    draws = np.random.default_rng((1, 3)).integers(50, size=50).tolist()
    assert weights.tolist() == [draws.count(index) for index in range(50)]
    assert weights.sum() == 50
    assert (resampled_weights(50, replicate=4, seed=1) != weights).any()


def test_statistics_share_their_draws():
    values = np.random.default_rng(0).normal(size=200)
    statistics = {"mean": lambda w: float(w @ values) / 200, "twice": lambda w: 2 * float(w @ values) / 200}
    draws = bootstrap(statistics, 200, replicates=300)
    np.testing.assert_array_equal(draws["twice"], 2 * draws["mean"])
    assert draws["mean"].shape == (300,)
    assert draws["mean"].std() == pytest.approx(values.std() / np.sqrt(200), rel=0.15)
    np.testing.assert_array_equal(bootstrap(statistics, 200, replicates=300)["mean"], draws["mean"])


def test_statistics_cannot_change_the_weights():
    def spoil(weights):
        weights[0] = 7
        return 0.0

    with pytest.raises(ValueError, match="read-only"):
        bootstrap({"spoil": spoil}, 3, replicates=1)


@pytest.mark.parametrize(("count", "replicates"), [(0, 5), (5, 0)])
def test_refuses_nothing(count, replicates):
    with pytest.raises(UsageError, match="at least one image and one replicate"):
        bootstrap({}, count, replicates=replicates)


DRAWS = np.linspace(3, 5, 1001)  # quantiles 3.05 and 4.95, mean 4


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("percentile", (3.05, 4.95)),
        ("basic", (2 * 3.8 - 4.95, 2 * 3.8 - 3.05)),
        ("squared", ((2 * 3.8**2 - 4.95**2) ** 0.5, 3.8 + 0.95)),
    ],
)
def test_intervals_by_hand(method, expected):
    assert interval(DRAWS, 3.8, method=method) == pytest.approx(expected)


def test_squares_that_come_out_negative_are_none():
    low, high = interval(DRAWS, 2.0, method="squared")
    assert low == 0
    assert high == pytest.approx(2.95)


def test_intervals_stay_in_range():
    assert interval(DRAWS, 3.8, low=3.5, high=4.0) == (3.5, 4.0)


def test_an_interval_needs_finite_draws():
    assert interval(DRAWS, np.inf) is None
    half = np.where(np.arange(1001) < 500, np.inf, DRAWS)
    assert interval(half, 4.0) == pytest.approx((4.01, 4.98), abs=0.02)
    half[500:502] = np.nan
    assert interval(half, 4.0) is None


@pytest.mark.slow
def test_the_percentile_interval_of_a_mean_covers_it():
    held = 0
    for run in range(100):
        values = np.random.default_rng(run).exponential(size=80)
        draws = bootstrap({"mean": lambda w, v=values: float(w @ v) / 80}, 80, replicates=200, seed=run)
        low, high = interval(draws["mean"], float(values.mean()))
        held += low <= 1 <= high
    assert 85 <= held <= 99


def test_draws_that_do_not_vary_tell_nothing():
    assert interval(np.full(50, 0.514), 0.514, method="squared") is None
    assert interval(0.3 + 1e-15 * np.arange(50), 0.3) is None
    assert interval(np.zeros(50), 0.0) is None
    assert interval(1e-9 + 1e-10 * np.arange(50), 1e-9) is not None


@pytest.mark.parametrize(
    ("right", "wrong", "expected"), [(5, 5, True), (4, 50, False), (50, 4, False), (1, 0, False)]
)
def test_enough_is_five_of_each_kind(right, wrong, expected):
    assert enough(np.repeat([True, False], [right, wrong])) is expected


@pytest.mark.slow
def test_intervals_of_few_errors_hold_the_truth_where_they_are_given():
    """Calibrated forecasts of two classes, 5 % wrong: without the rule a tenth of the intervals miss."""
    given = held = 0
    for run in range(150):
        rng = np.random.default_rng(run)
        confidence = 1 - 0.1 * rng.random(100)
        p = np.stack([confidence, 1 - confidence], axis=1)
        source = made(p, rng.random(100) > confidence, kind="probabilities")
        bounds = proper_scores(source, replicates=100).nll_interval
        grid = 1 - 0.1 * (np.arange(1000) + 0.5) / 1000
        truth = -np.mean(grid * np.log(grid) + (1 - grid) * np.log(1 - grid))
        if bounds:
            given += 1
            held += bounds[0] <= truth <= bounds[1]
    assert 50 < given < 130
    assert held / given > 0.88
