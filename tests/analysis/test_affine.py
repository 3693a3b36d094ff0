from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import check_grad

from tests.oracles.samples import digits, made
from vitscope.analysis.affine import (
    Dirichlet,
    VectorScaling,
    _objective,
    _odir,
    fit_dirichlet,
    fit_vector_scaling,
)
from vitscope.analysis.scores import proper_scores
from vitscope.analysis.temperature import fit_temperature
from vitscope.errors import InputError, UsageError


def _halves():
    predictions, _ = digits()
    logits = predictions.logits.astype(np.float64)
    order = np.random.default_rng(0).permutation(898)
    return [made(logits[part], predictions.labels[part]) for part in (order[:600], order[600:])]


def _nll(predictions):
    return proper_scores(predictions, replicates=0).nll


@settings(deadline=None, max_examples=20)
@given(
    hnp.arrays(np.float64, (6, 3), elements=st.floats(-4, 4)),
    hnp.arrays(np.int64, 6, elements=st.integers(0, 2)),
    st.booleans(),
)
def test_gradients_equal_differences(logits, labels, whole):
    source = made(logits, labels)
    shape = (3, 3) if whole else (3,)
    start = np.linspace(0.2, 1.1, int(np.prod(shape)) + 3)

    def value(flat):
        weights, bias = flat[:-3].reshape(shape), flat[-3:]
        return _objective(source, weights, bias).nll + _odir(weights, bias, 0.7)[0]

    def slope(flat):
        weights, bias = flat[:-3].reshape(shape), flat[-3:]
        found, (_, slopes, pull) = _objective(source, weights, bias), _odir(weights, bias, 0.7)
        return np.concatenate([(found.weights + slopes).ravel(), found.bias + pull])

    assert check_grad(value, slope, start) < 1e-4 * max(1, np.abs(slope(start)).max())


@pytest.mark.parametrize("fit", [fit_vector_scaling, fit_dirichlet])
def test_is_better_than_a_temperature_where_it_is_fitted(fit):
    fitted, held_out = _halves()
    result = fit(fitted)
    assert result.gradient < 1e-5
    assert result.nll_before == pytest.approx(_nll(fitted), rel=1e-9)
    assert result.nll_after < fit_temperature(fitted).nll_after
    assert _nll(result.apply(fitted)) == pytest.approx(result.nll_after, rel=1e-9)
    assert _nll(result.apply(held_out)) < _nll(held_out)


@pytest.mark.parametrize("fit", [fit_vector_scaling, fit_dirichlet])
def test_undoes_a_map_of_its_own_kind(fit):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(12_000, 3)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > rng.random((12_000, 1))).argmax(axis=1)
    # Of q with p = softmax(w ⊙ ln q + b): ln q = (ln p − b + t)/w with the t of each row that makes Σ q = 1.
    factor, offset = np.array([2.0, 1.0, 0.5]), np.array([1.0, 0.0, -1.0])
    low, high = np.full(len(p), -30.0), np.full(len(p), 30.0)
    for _ in range(60):
        middle = (low + high) / 2
        over = np.exp((np.log(p) - offset + middle[:, None]) / factor).sum(axis=1) > 1
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    spoilt = (np.log(p) - offset + low[:, None]) / factor
    result = fit(made(spoilt, labels), **({"strength": 1e-3} if fit is fit_dirichlet else {}))
    assert result.nll_after == pytest.approx(_nll(made(logits, labels)), abs=2e-3)
    assert np.abs(result.apply(made(spoilt, labels)).probabilities - p).mean() < 0.02


@pytest.mark.slow
def test_an_endless_strength_leaves_a_factor_a_class_alone():
    fitted, _ = _halves()
    weights = fit_dirichlet(fitted, strength=1e3).weights
    off = weights - np.diag(np.diag(weights))
    assert np.abs(off).max() < 0.02
    strengths = [fit_dirichlet(fitted, strength=value).nll_after for value in (0.1, 1.0, 10.0)]
    assert strengths == sorted(strengths)


@pytest.mark.parametrize("fit", [fit_vector_scaling, fit_dirichlet])
def test_neither_a_constant_a_row_nor_the_kind_changes_anything(fit):
    fitted, _ = _halves()
    moved = made(fitted.logits + np.linspace(-9, 9, 600)[:, None], fitted.labels)
    sure = made(fitted.probabilities, fitted.labels, kind="probabilities")
    expected = fit(fitted).nll_after
    assert fit(moved).nll_after == pytest.approx(expected, rel=1e-6)
    assert fit(sure).nll_after == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("fit", [fit_vector_scaling, fit_dirichlet])
@pytest.mark.parametrize(
    ("logits", "labels", "reason"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], [0, 1], "all predictions are right"),
        ([[1.0, 0.0, 2.0]] * 3, [0, 1, 0], "no image of the class 'class 2'"),
        ([[2.0]], [0], "all equal"),
    ],
    ids=["all right", "missing class", "one class"],
)
def test_no_map_without_a_finite_optimum(fit, logits, labels, reason, tmp_path):
    result = fit(made(logits, labels))
    assert reason in result.reason
    assert result.weights is None
    assert type(result).load(result.save(tmp_path)).reason == result.reason
    with pytest.raises(UsageError, match="fitted"):
        result.apply(made(logits, labels))
    with pytest.raises(UsageError, match="fitted"):
        result.transform(np.zeros((1, len(logits[0]))))


def test_images_that_a_shift_sets_apart_have_no_finite_optimum():
    logits = [[1.0, 0.0], [1.2, 0.0], [2.0, 0.0], [3.0, 0.0]]
    result = fit_vector_scaling(made(logits, [1, 1, 0, 0]))
    assert not result.fitted
    assert "without end" in result.reason or "no optimum" in result.reason


@pytest.mark.parametrize(("fit", "kind"), [(fit_vector_scaling, VectorScaling), (fit_dirichlet, Dirichlet)])
def test_comes_back_from_its_file(fit, kind, tmp_path):
    fitted, held_out = _halves()
    result = fit(fitted)
    path = result.save(tmp_path)
    assert path.name == f"{kind.method}.json"
    back = kind.load(tmp_path)
    np.testing.assert_array_equal(back.apply(held_out).logits, result.apply(held_out).logits)
    assert result.metrics() == back.metrics()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"method": "temperature"}))
    with pytest.raises(InputError, match=f"not a whole {kind.method} scaling"):
        kind.load(path)


def test_refuses_a_negative_strength():
    with pytest.raises(UsageError, match="at least 0, got -1"):
        fit_dirichlet(digits()[0], strength=-1)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_class_that_a_threshold_sets_apart_has_no_finite_optimum(sign):
    """The other classes are mixed, so that the likelihood stays far from 0 and its slope becomes small."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    logits = rng.normal(size=(300, 3))
    logits[:, 2] = np.where(labels == 2, 4.0, -4.0) * sign
    source = made(logits, labels)
    result = fit_vector_scaling(source)
    assert "'class 2' can be told from all others" in result.reason
    # One image on the other side, and there is an optimum; with a penalty there was one before.
    mixed = logits.copy()
    mixed[2, 2] *= -1.5
    assert fit_vector_scaling(made(mixed, labels)).fitted
    assert fit_dirichlet(source).fitted
    assert not fit_dirichlet(source, strength=0.0).fitted


@pytest.mark.parametrize("fit", [fit_vector_scaling, fit_dirichlet])
def test_the_largest_floats_warn_of_nothing(fit):
    logits = np.array(
        [[1e308, -1e308], [-1e308, 1e308], [1e308, -1e308], [-1e308, 1e308], [1.0, 0.0], [0.0, 2.0]]
    )
    result = fit(made(logits, [0, 1, 1, 0, 0, 1]))
    assert result.n == 6
    assert result.fitted == (result.weights is not None)
