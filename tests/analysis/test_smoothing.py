from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.integrate import quad

from tests.oracles import calibrating
from tests.oracles.samples import digits, made
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.smoothing import _log_error, _spread, _waves, smooth_calibration, weighted_smooth_ece
from vitscope.errors import NotFiniteError


def forecasts(confidences, right):
    """Predictions of two classes with these confidences, at least a half each."""
    p = np.stack([confidences, 1 - np.asarray(confidences)], axis=1)
    return made(p, 1 - np.asarray(right, dtype=np.int64), kind="probabilities")


SURE = st.one_of(st.floats(0.51, 1), st.sampled_from([0.6, 0.75, 1.0]))


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(SURE, st.booleans()), min_size=1, max_size=8))
def test_equals_the_exact_integral(pairs):
    """Within 1e−5: the oracle integrates Gaussians and mirror images between their zeros, and bisects."""
    confidences, right = np.array(pairs).T
    result = smooth_calibration(forecasts(confidences, right))
    expected = calibrating.smooth_error(confidences.tolist(), right.tolist())
    assert result.smooth_ece == pytest.approx(expected, abs=1e-5 if expected > 2e-3 else 2e-3)


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.3, 1.0])
def test_one_width_equals_the_exact_integral(sigma):
    rows = outcomes(digits()[0]).scored
    waves = _waves(_spread(rows.confidence, rows.correct - rows.confidence))
    exact = calibrating.smooth_error_at(rows.confidence.tolist(), rows.correct.tolist(), sigma)
    assert np.exp(_log_error(waves, np.log(sigma), len(rows))) == pytest.approx(exact, abs=1e-6)


def test_the_oracle_equals_quadrature():
    c, a, sigma = [0.55, 0.6, 0.8], [0, 1, 0], 0.05

    def density(t):
        total = 0.0
        for confidence, right in zip(c, a, strict=True):
            for k in range(-3, 4):
                for centre in (confidence + 2 * k, 2 * k - confidence):
                    total += (right - confidence) * np.exp(-0.5 * ((t - centre) / sigma) ** 2)
        return abs(total) / (3 * sigma * np.sqrt(2 * np.pi))

    integral = sum(quad(density, low, low + 0.05)[0] for low in np.arange(0, 1, 0.05))
    assert calibrating.smooth_error_at(c, a, sigma) == pytest.approx(integral, abs=1e-6)


@given(st.floats(0.5, 1), st.lists(st.booleans(), min_size=1, max_size=30))
@settings(deadline=None)
def test_a_constant_forecast_scores_its_distance_from_the_accuracy(confidence, right):
    result = smooth_calibration(forecasts(np.full(len(right), confidence), right))
    # At one half the second class may be the first of equals; its forecast is the same.
    mean = outcomes(forecasts(np.full(len(right), confidence), right)).correct.mean()
    assert result.smooth_ece == pytest.approx(abs(confidence - mean), abs=1e-7)


@pytest.mark.parametrize(("right", "expected"), [(1, 0.0), (0, 1.0)], ids=["right", "wrong"])
def test_mass_at_exactly_one_is_conserved(right, expected):
    result = smooth_calibration(forecasts([1.0, 1.0], [right, right]))
    assert result.smooth_ece == pytest.approx(expected, abs=1e-12)
    assert result.sigma == result.smooth_ece


def test_confidence_of_exactly_zero_and_one_class():
    assert smooth_calibration(made([[3.0]], [0])).smooth_ece == 0
    nothing = np.array([0.0])
    assert _waves(_spread(nothing, np.array([2.5])))[:4].tolist() == [2.5] * 4


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.float64, (9, 3), elements=st.sampled_from([-1.0, 0.0, 0.3, 2.0])),
    hnp.arrays(np.int64, 9, elements=st.integers(0, 2)),
    hnp.arrays(np.int64, 9, elements=st.integers(0, 3)),
)
def test_weights_equal_repeated_images(logits, labels, weights):
    weights[0] += 1
    repeated = np.repeat(np.arange(9), weights)
    expected = smooth_calibration(made(logits[repeated], labels[repeated])).smooth_ece
    statistic = weighted_smooth_ece(made(logits, labels))
    # σ* is found to within 1e-7 of itself, by either.
    assert statistic(weights.astype(np.float64)) == pytest.approx(expected, rel=2e-7, abs=1e-12)


def test_between_the_mean_gap_and_the_mean_of_gaps():
    rows = outcomes(digits()[0])
    gaps = rows.correct - rows.confidence
    assert abs(gaps.mean()) - 1e-9 <= smooth_calibration(rows).smooth_ece <= np.abs(gaps).mean()


def test_the_curve_encloses_the_error():
    """∫ |accuracy − confidence|·density is the error where the curve is drawn at all."""
    rng = np.random.default_rng(0)
    confidence = 0.5 + 0.5 * rng.random(4000)
    result = smooth_calibration(forecasts(confidence, rng.random(4000) < confidence - 0.05))
    assert np.trapezoid(result.density, result.confidence) == pytest.approx(1, abs=1e-6)
    drawn = np.isfinite(result.accuracy)
    assert result.confidence[drawn].min() == pytest.approx(0.5, abs=0.004)
    area = np.abs(result.accuracy - result.confidence) * result.density
    assert np.trapezoid(area[drawn], result.confidence[drawn]) == pytest.approx(result.smooth_ece, rel=0.15)
    middle = (result.confidence > 0.6) & (result.confidence < 0.9)
    truth = result.confidence[middle] - 0.05
    assert np.abs(result.accuracy[middle] - truth).max() < 0.04


def test_a_calibrated_model_has_the_diagonal_however_steep_its_density():
    confidence = np.linspace(0.5, 1, 2001) ** 0.25
    p = np.stack([confidence, 1 - confidence], axis=1)
    # Of each confidence, the share of right images that it says, as near as the weights 0 … 1 allow.
    right = np.floor(np.cumsum(confidence)) > np.floor(np.cumsum(confidence) - confidence)
    result = smooth_calibration(made(p, (~right).astype(int), kind="probabilities"))
    assert result.smooth_ece < 0.005


def test_no_curve_where_no_image_is():
    result = smooth_calibration(forecasts([0.6] * 500 + [0.95] * 500, [1, 1, 1, 0, 0] * 100 + [1] * 500))
    between = (result.confidence > 0.75) & (result.confidence < 0.8)
    assert result.smooth_ece < 0.06
    assert np.isnan(result.accuracy[between]).all()
    assert np.isnan(result.accuracy[result.confidence < 0.59]).all()


def test_not_finite_rows_are_left_out():
    assert smooth_calibration(made([[np.nan, 0.0], [0.0, 0.0]], [0, 0])).n == 1
    with pytest.raises(NotFiniteError):
        smooth_calibration(made([[np.nan, 0.0]], [0]))


def test_saves_the_curve(tmp_path):
    result = smooth_calibration(digits()[0])
    table = pd.read_csv(result.save(tmp_path))
    assert list(table) == ["confidence", "accuracy", "density"]
    np.testing.assert_array_equal(table["accuracy"], result.accuracy)
    assert result.metrics() == {"smooth_ece": result.smooth_ece, "smooth_ece_sigma": result.sigma}
