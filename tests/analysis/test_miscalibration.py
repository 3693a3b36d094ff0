from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import calibrating
from tests.oracles.samples import digits, made
from vitscope.analysis.bootstrap import bootstrap
from vitscope.analysis.miscalibration import calibration_errors, weighted_calibration_errors
from vitscope.analysis.outcomes import outcomes
from vitscope.errors import InputError, NotFiniteError, UsageError

# Few values make ties, and confidences of exactly 1 for the largest.
LOGITS = hnp.arrays(np.float64, (11, 3), elements=st.sampled_from([-2.0, -0.5, 0.0, 0.1, 1.0, 3.0, 800.0]))
LABELS = hnp.arrays(np.int64, 11, elements=st.integers(0, 2))


@settings(deadline=None, max_examples=60)
@given(LOGITS, LABELS, st.sampled_from([1, 2, 7, 15]))
def test_all_equal_the_plain_loops(logits, labels, bins):
    result = calibration_errors(made(logits, labels), bins=bins, replicates=0)
    c, a = calibrating.pairs(logits.tolist(), labels.tolist())
    wide = calibrating.equal_width(c, a, bins)
    near = {"abs": 1e-12}
    assert result.ece == pytest.approx(calibrating.error(wide), **near)
    assert result.ece_max == pytest.approx(calibrating.largest(wide), **near)
    assert result.ece_l2_squared == pytest.approx(calibrating.squared(wide, debiased=True), **near)
    assert result.ece_l2_plugin**2 == pytest.approx(calibrating.squared(wide, debiased=False), **near)
    assert result.ece_l2 == max(0.0, result.ece_l2_squared) ** 0.5
    classwise = calibrating.classwise(logits.tolist(), labels.tolist(), bins)
    assert result.ece_classwise == pytest.approx(classwise, **near)
    # Ties are sorted by the confidences' last bits, which the loop need not share: give it the same.
    rows = outcomes(made(logits, labels))
    mass = calibrating.equal_mass(rows.confidence.tolist(), rows.correct.astype(int).tolist(), bins)
    assert result.ece_equal_mass == pytest.approx(calibrating.error(mass), **near)
    assert 0 <= result.smooth_ece <= 1


@settings(deadline=None, max_examples=40)
@given(LOGITS, LABELS, hnp.arrays(np.int64, 11, elements=st.integers(0, 4)), st.sampled_from([1, 3, 15]))
def test_weights_equal_repeated_images(logits, labels, weights, bins):
    weights[0] += 1
    repeated = np.repeat(np.arange(11), weights)
    expected = calibration_errors(made(logits[repeated], labels[repeated]), bins=bins, replicates=0)
    for name, statistic in weighted_calibration_errors(made(logits, labels), bins=bins).items():
        value = statistic(weights.astype(np.float64))
        # The root of what rounding left of 0; and a fixed point that is found to a millionth.
        loose = name in ("ece_l2", "ece_l2_plugin", "smooth_ece")
        assert value == pytest.approx(getattr(expected, name), abs=1e-6 if loose else 1e-9), name


def test_long_runs_equal_repeated_images():
    """More images than lie in one run, and ties across its ends."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1500, 3)).round(1)
    labels, weights = rng.integers(0, 3, 1500), rng.integers(0, 3, 1500)
    repeated = np.repeat(np.arange(1500), weights)
    expected = calibration_errors(made(logits[repeated], labels[repeated]), replicates=0)
    for name, statistic in weighted_calibration_errors(made(logits, labels)).items():
        assert statistic(weights.astype(np.float64)) == pytest.approx(getattr(expected, name), abs=1e-9)


def test_weights_that_change_in_place_are_seen():
    statistic = weighted_calibration_errors(made([[2.0, 0.0], [1.0, 0.0]], [0, 1]))["ece"]
    weights = np.ones(2)
    before = statistic(weights)
    weights[0] = 5.0
    assert statistic(weights) != before


def test_a_case_by_hand():
    # 0.6 right, 0.6 wrong, 0.9 right, 1.0 right in ten bins: gaps 0.1 (twice), 0.1 and 0.
    p = [[0.6, 0.4], [0.6, 0.4], [0.1, 0.9], [0.0, 1.0]]
    result = calibration_errors(made(p, [0, 1, 1, 1], kind="probabilities"), bins=10, replicates=0)
    assert result.ece == pytest.approx(0.3 / 4)
    assert result.ece_max == pytest.approx(0.1)
    # 2/4·(0.01 − 0.25/1); bins of one image count nothing.
    assert result.ece_l2_squared == pytest.approx(0.5 * (0.01 - 0.25))
    assert result.ece_l2 == 0
    assert result.ece_l2_plugin == pytest.approx(((2 * 0.01 + 0.01) / 4) ** 0.5)
    # Class 1 has 0.4 wrong, 0.4 right, 0.9 right, 1.0 right.
    assert result.ece_classwise == pytest.approx(0.3 / 4)


def test_equal_mass_splits_ties_in_their_order():
    """Two bins of equal confidence 0.8: right ones first or last makes the number; the mean does not."""
    p = np.tile([[0.8, 0.2]], (4, 1))
    first = calibration_errors(made(p, [0, 0, 1, 1], kind="probabilities"), bins=2, replicates=0)
    mixed = calibration_errors(made(p, [0, 1, 0, 1], kind="probabilities"), bins=2, replicates=0)
    assert first.ece_equal_mass == pytest.approx((0.2 + 0.8) / 2)
    assert mixed.ece_equal_mass == pytest.approx(0.3)
    assert first.ece == pytest.approx(mixed.ece)


def test_the_order_of_images_changes_nothing_without_ties():
    predictions, _ = digits()
    order = np.random.default_rng(0).permutation(len(predictions))
    shuffled = made(predictions.logits[order], predictions.labels[order])
    one = calibration_errors(predictions, replicates=0).metrics()
    other = calibration_errors(shuffled, replicates=0).metrics()
    for name, value in one.items():
        assert value == pytest.approx(other[name], abs=1e-12) if value is not None else other[name] is None


@pytest.mark.parametrize(
    ("logits", "labels", "expected"),
    [
        ([[0.0]], [0], 0.0),  # one class: p = 1, always right
        ([[0.0, 800.0]] * 3, [1, 1, 1], 0.0),  # sure and right
        ([[0.0, 800.0]] * 3, [0, 0, 0], 1.0),  # sure and wrong
        ([[0.0, 0.0]], [0], 0.5),  # one image
        ([[0.0, 0.0]] * 4, [0, 0, 1, 1], 0.0),  # a coin that says so
    ],
    ids=["one class", "all right", "all wrong", "one image", "coin"],
)
def test_degenerate_cases(logits, labels, expected):
    # One bin: the coin's images fall into bins of one image each otherwise.
    result = calibration_errors(made(logits, labels), bins=1, replicates=20)
    for name in ("ece", "ece_equal_mass", "ece_max", "ece_l2_plugin", "smooth_ece"):
        assert getattr(result, name) == pytest.approx(expected, abs=1e-9), name
    for low, high in result.intervals.values():
        assert 0 <= low <= high <= 1


def test_a_class_without_images_counts():
    # Classes 0 and 2 are forecast with 0.25 each, class 1 with 0.5; all images are of class 1.
    p = np.tile([[0.25, 0.5, 0.25]], (5, 1))
    result = calibration_errors(made(p, [1] * 5, kind="probabilities"), replicates=0)
    assert result.ece_classwise == pytest.approx((0.25 + 0.5 + 0.25) / 3)


def test_not_finite_rows_are_left_out():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    whole = calibration_errors(made(logits, labels), replicates=5)
    bad = np.concatenate([[[np.nan, 0, 0], [np.inf, 0, 0]], logits])
    assert calibration_errors(made(bad, [0, 1, *labels]), replicates=5).metrics() == whole.metrics()


def test_bins_need_to_be_those_of_the_outcomes():
    rows = outcomes(digits()[0], bins=10)
    assert calibration_errors(rows, bins=10, replicates=0).bins == 10
    with pytest.raises(UsageError, match="with 15 bins, got some with 10") as caught:
        calibration_errors(rows)
    assert "bins=15" in caught.value.hint
    with pytest.raises(UsageError, match="at least 1 bin, got 0"):
        calibration_errors(digits()[0], bins=0)
    with pytest.raises(UsageError, match="at least 1 bin, got 0"):
        weighted_calibration_errors(rows, bins=0)


def test_nothing_to_score():
    with pytest.raises(InputError, match="at least one image"):
        calibration_errors(made(np.empty((0, 2)), []))
    with pytest.raises(NotFiniteError, match="none of the 1 images"):
        calibration_errors(made([[np.nan, 0.0]], [0]))


def test_saves_the_documented_keys(tmp_path):
    result = calibration_errors(digits()[0], replicates=40)
    saved = json.loads(result.save(tmp_path).read_text())
    assert saved == {"n": 898, **result.metrics()}
    assert list(saved) == [
        "n",
        "ece",
        "ece_interval",
        "ece_bins",
        "ece_equal_mass",
        "ece_equal_mass_interval",
        "ece_classwise",
        "ece_max",
        "ece_l2",
        "ece_l2_interval",
        "smooth_ece",
        "smooth_ece_interval",
        "smooth_ece_sigma",
    ]
    for name in ("ece", "ece_equal_mass", "ece_l2", "smooth_ece"):
        low, high = saved[f"{name}_interval"]
        assert 0 <= low <= saved[name] <= high <= 1
    assert calibration_errors(digits()[0], replicates=0).metrics()["ece_interval"] is None


def test_shared_draws_give_the_same_intervals():
    predictions, _ = digits()
    own = calibration_errors(predictions, replicates=30, seed=3)
    draws = bootstrap(weighted_calibration_errors(predictions), 898, replicates=30, seed=3)
    assert (
        calibration_errors(predictions, replicates=0)
        .with_intervals(draws, outcomes(predictions).correct)
        .intervals
        == own.intervals
    )


def _simulated(rng, count, *, sharpness):
    confidence = rng.beta(4, 1.2, count) * 0.5 + 0.5
    right = rng.random(count) < confidence - sharpness * np.sin(np.pi * (2 * confidence - 1))
    p = np.stack([confidence, 1 - confidence], axis=1)
    return made(p, (~right).astype(int), kind="probabilities")


@pytest.mark.slow
@pytest.mark.parametrize("sharpness", [0.0, 0.08])
def test_intervals_cover_the_true_error(sharpness):
    """The plug-in intervals miss 0 always for a calibrated model; these hold the true value nearly always."""
    population = np.random.default_rng(0).beta(4, 1.2, 10**6) * 0.5 + 0.5
    true = float(np.mean(sharpness * np.sin(np.pi * (2 * population - 1))))
    held = dict.fromkeys(("ece", "ece_equal_mass", "smooth_ece"), 0)
    for run in range(40):
        sample = _simulated(np.random.default_rng((5, run)), 800, sharpness=sharpness)
        result = calibration_errors(sample, replicates=150, seed=run)
        for name in held:
            low, high = result.intervals[name]
            held[name] += low <= true + 1e-9 and true <= high
    assert min(held.values()) >= 0.88 * 40, held
