from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import calibrating
from tests.oracles.samples import digits, made
from vitscope.analysis import blocks
from vitscope.analysis import temperature as module
from vitscope.analysis.scores import proper_scores
from vitscope.analysis.temperature import Temperature, fit_temperature
from vitscope.errors import InputError, NotFiniteError, UsageError
from vitscope.records.provenance import Provenance


def _double(predictions, scale=1.0):
    return made(predictions.logits.astype(np.float64) * scale, predictions.labels)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.float64, (12, 3), elements=st.floats(-3, 3)),
    hnp.arrays(np.int64, 12, elements=st.integers(0, 2)),
)
def test_equals_golden_sections(logits, labels):
    result = fit_temperature(made(logits, labels))
    assume(result.fitted and 0.05 < result.value < 20)
    rows, truth = logits.tolist(), labels.tolist()
    expected = calibrating.temperature(rows, truth)
    assert calibrating.nll_at(rows, truth, result.value) <= calibrating.nll_at(rows, truth, expected) + 1e-11
    assert result.nll_after == pytest.approx(calibrating.nll_at(rows, truth, expected), abs=1e-9)
    assert result.gradient < 1e-8
    low, high = result.interval
    assert 0 < low <= result.value <= high


def test_an_interval_is_within_what_a_float_holds_where_the_likelihood_is_nearly_flat():
    logits = np.array([[0.0, 1.1171875, 1.0], [1.0, -1.125, 1.0], *[[1.0, 1.0, 1.0]] * 10])
    result = fit_temperature(made(logits, np.zeros(12, dtype=int)))
    assert result.gradient < 1e-8
    low, high = result.interval
    assert 0 < low < result.value < high < np.inf


@pytest.mark.slow
def test_the_optimum_to_eight_digits():
    predictions = _double(digits()[0])
    value = fit_temperature(predictions).value
    expected = calibrating.temperature(predictions.logits.tolist(), predictions.labels.tolist())
    assert value == pytest.approx(expected, rel=1e-6)  # golden sections end at the root of the precision


@pytest.mark.parametrize("scale", [1e-6, 0.01, 3.0, 1e6])
def test_scales_with_the_logits(scale):
    value = fit_temperature(_double(digits()[0])).value
    result = fit_temperature(_double(digits()[0], scale))
    assert result.value / scale == pytest.approx(value, rel=1e-8)
    assert result.nll_after == pytest.approx(fit_temperature(_double(digits()[0])).nll_after, rel=1e-10)


def test_a_constant_a_row_changes_nothing():
    predictions = _double(digits()[0])
    moved = made(predictions.logits + np.linspace(-50, 50, 898)[:, None], predictions.labels)
    assert fit_temperature(moved).value == pytest.approx(fit_temperature(predictions).value, rel=1e-9)


def test_probabilities_are_scaled_by_their_logarithms():
    predictions = _double(digits()[0])
    same = made(predictions.probabilities, predictions.labels, kind="probabilities")
    assert fit_temperature(same).value == pytest.approx(fit_temperature(predictions).value, rel=1e-9)


def test_a_class_of_probability_zero_keeps_it():
    p = np.array([[0.6, 0.4, 0.0], [0.7, 0.3, 0.0], [0.8, 0.2, 0.0]])
    result = fit_temperature(made(p, [0, 1, 0], kind="probabilities"))
    pair = fit_temperature(made(np.log(p[:, :2]), [0, 1, 0]))
    assert result.value == pytest.approx(pair.value, rel=1e-8)
    scaled = result.apply(made(p, [0, 1, 0], kind="probabilities"))
    assert scaled.finite.all()
    assert scaled.probabilities[:, 2].tolist() == [0, 0, 0]
    assert proper_scores(scaled, replicates=0).nll == pytest.approx(result.nll_after, rel=1e-6)


def test_finds_the_temperature_that_was_put_in():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 5)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    result = fit_temperature(made(2.5 * logits, labels))
    low, high = result.interval
    assert low < 2.5 < high
    assert high - low < 0.2


def test_the_interval_is_as_wide_as_the_bootstraps():
    predictions = _double(digits()[0])
    result = fit_temperature(predictions)
    rng = np.random.default_rng(0)
    values = []
    for _ in range(150):
        index = rng.integers(898, size=898)
        values.append(fit_temperature(made(predictions.logits[index], predictions.labels[index])).value)
    width = np.log(result.interval[1] / result.interval[0])
    assert width == pytest.approx(2 * 1.96 * np.log(values).std(), rel=0.2)


CASES = {
    "all right": ([[1.0, 0.0], [0.0, 1.0]], [0, 1], "all predictions are right"),
    "tied for the largest": ([[1.0, 1.0, 0.0]], [1], "all predictions are right"),
    "all wrong": ([[1.0, 0.0], [0.0, 1.0]], [1, 0], "no better than chance"),
    "chance": ([[1.0, 0.0], [1.0, 0.0]], [0, 1], "no better than chance"),
    "constant": ([[1.0, 1.0], [-3.0, -3.0]], [0, 1], "all equal"),
    "one class": ([[3.0], [5.0]], [0, 0], "all equal"),
    "one image": ([[3.0, 1.0]], [0], "all predictions are right"),
}


@pytest.mark.parametrize(("logits", "labels", "reason"), list(CASES.values()), ids=list(CASES))
def test_no_number_without_a_finite_optimum(logits, labels, reason, tmp_path):
    result = fit_temperature(made(logits, labels))
    assert not result.fitted
    assert (result.value, result.interval, result.nll_after) == (None, None, None)
    assert reason in result.reason
    assert result.metrics()["temperature"] is None
    assert reason in Temperature.load(result.save(tmp_path)).reason
    with pytest.raises(UsageError, match=reason) as caught:
        result.apply(made(logits, labels))
    assert caught.value.hint
    with pytest.raises(UsageError, match=reason):
        result.transform(np.zeros((1, 2)))


def test_all_wrong_may_still_have_an_optimum():
    # The truth is always second of three: flat probabilities give it 1/3, sharper ones up to more.
    result = fit_temperature(made([[1.0, 0.9, -5.0]] * 4, [1] * 4))
    assert result.fitted
    assert result.nll_after < np.log(3)


def test_a_true_class_of_probability_zero_is_said(tmp_path):
    p = [[1.0, 0.0], [0.5, 0.5]]
    result = fit_temperature(made(p, [1, 0], kind="probabilities"))
    assert "true class of 1 images has the probability 0" in result.reason
    assert result.nll_before == np.inf
    assert result.metrics()["temperature_nll_before"] is None


def test_rows_that_are_not_finite_are_left_out_and_stay_so():
    logits, labels = _double(digits()[0]).logits, digits()[0].labels
    bad = np.concatenate([np.full((1, 10), np.nan), logits])
    result = fit_temperature(made(bad, [0, *labels]))
    assert (result.n, result.value) == (898, fit_temperature(made(logits, labels)).value)
    assert result.apply(made(bad, [0, *labels])).finite.tolist() == [False] + [True] * 898


def test_nothing_to_fit():
    with pytest.raises(InputError, match="at least one image"):
        fit_temperature(made(np.empty((0, 2)), []))
    with pytest.raises(NotFiniteError, match="none of the 1 images"):
        fit_temperature(made([[np.nan, 0.0]], [0]))


def test_blocks_do_not_show(monkeypatch):
    predictions = _double(digits()[0])
    whole = fit_temperature(predictions)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * 10 * 7)
    assert fit_temperature(predictions).value == pytest.approx(whole.value, rel=1e-12)
    applied = whole.apply(predictions).logits
    np.testing.assert_array_equal(applied, predictions.logits / whole.value)


def test_applies_in_half_precision_and_on_disk(tmp_path):
    predictions = replace(digits()[0], logits=digits()[0].logits.astype(np.float16))
    result = fit_temperature(predictions)
    scaled = result.apply(predictions, out=tmp_path / "logits.npy")
    assert isinstance(scaled.logits, np.memmap)
    assert scaled.logits.dtype == np.float32
    np.testing.assert_allclose(scaled.logits, predictions.logits / np.float64(result.value), rtol=1e-6)
    assert np.load(tmp_path / "logits.npy", mmap_mode="r").shape == (898, 10)
    np.testing.assert_array_equal(scaled.predicted, predictions.predicted)
    assert fit_temperature(scaled).value == pytest.approx(1, abs=1e-6)
    assert proper_scores(scaled, replicates=0).nll == pytest.approx(result.nll_after, rel=1e-6)
    assert scaled.provenance.config["calibration"]["value"] == result.value


def test_comes_back_from_its_file(tmp_path):
    predictions = replace(_double(digits()[0]), provenance=Provenance(checkpoint_digest="c", data="digits"))
    result = fit_temperature(predictions)
    path = result.save(tmp_path)
    assert path.name == "temperature.json"
    assert json.loads(path.read_text())["provenance"]["data"] == "digits"
    for place in (path, tmp_path):
        back = Temperature.load(place)
        assert (back.value, back.interval, back.n) == (result.value, result.interval, 898)
        assert back.provenance == result.provenance
        assert back.classes == result.classes


def test_many_images_have_the_optimum_of_all(monkeypatch):
    predictions, _ = digits()
    whole = fit_temperature(predictions)
    monkeypatch.setattr(module, "_FEW", 100)
    begun = fit_temperature(predictions)
    assert begun.value == pytest.approx(whole.value, rel=1e-8)
    assert begun.iterations < whole.iterations
    assert begun.nll_before == whole.nll_before


@pytest.mark.parametrize("exponent", [-970, -400, -100, 100, 300, 900, 1015])
def test_scales_with_logits_of_any_size(exponent):
    value = fit_temperature(_double(digits()[0])).value
    result = fit_temperature(_double(digits()[0], 2.0**exponent))
    assert result.reason == ""
    assert result.value / 2.0**exponent == pytest.approx(value, rel=1e-8)
    low, high = result.interval
    assert low < result.value < high


def test_the_largest_floats_warn_of_nothing():
    logits = np.array([[1e308, -1e308, 0.0], [-1e308, 1e308, 0.0], [1e308, -1e308, 0.0]])
    assert fit_temperature(made(logits, [0, 1, 1])).fitted
    assert "all predictions are right" in fit_temperature(made(logits, [0, 1, 0])).reason
    mixed = np.concatenate([logits, np.eye(3)])
    assert fit_temperature(made(mixed, [0, 1, 1, 0, 1, 1])).fitted


def test_certain_predictions_that_are_all_right_are_said_to_be():
    result = fit_temperature(made(np.eye(3), [0, 1, 2], kind="probabilities"))
    assert "all predictions are right" in result.reason
