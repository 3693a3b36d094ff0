"""Calibration beside the known libraries: where they agree, and what makes the difference elsewhere."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from tests.oracles.samples import digits, made
from vitscope.analysis.decomposition import brier_decomposition
from vitscope.analysis.miscalibration import calibration_errors
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.scores import proper_scores
from vitscope.analysis.smoothing import smooth_calibration
from vitscope.analysis.temperature import fit_temperature


def imported(name):
    """Import a library that may be absent and may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


def ours(source, bins):
    return calibration_errors(source, bins=bins, replicates=0)


def edges_case(*, moved=0.0):
    """Right at 0.5 and wrong at 0.55, right at 0.95 and wrong at 1: which share a bin decides the error."""
    confidence = np.array([0.5, 0.55, 0.95, 1.0]) - moved
    rest = (1 - confidence) / 2
    return made(np.stack([confidence, rest, rest], axis=1), [0, 1, 0, 2], kind="probabilities")


def torchmetrics_error(source, bins, norm="l1"):
    functional = imported("torchmetrics.functional.classification")
    torch = imported("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = functional.multiclass_calibration_error(
            torch.tensor(source.probabilities),
            torch.tensor(source.labels),
            num_classes=len(source.classes),
            n_bins=bins,
            norm=norm,
        )
    return float(value)


@pytest.mark.parametrize("bins", [10, 15])
def test_torchmetrics_agrees_off_the_edges(bins):
    predictions, _ = digits()
    result = ours(predictions, bins)
    assert torchmetrics_error(predictions, bins) == pytest.approx(result.ece, abs=1e-6)
    assert torchmetrics_error(predictions, bins, "max") == pytest.approx(result.ece_max, abs=1e-5)
    assert torchmetrics_error(predictions, bins, "l2") == pytest.approx(result.ece_l2_plugin, abs=1e-6)


def test_torchmetrics_gives_one_a_bin_of_its_own():
    """torchmetrics closes bins on the left, with c = 1 in one bin more; moved off the edges, it agrees."""
    source, moved = edges_case(), edges_case(moved=1e-6)
    assert ours(source, 10).ece == pytest.approx((0.5 + 0.55 + 0.95) / 4)
    assert torchmetrics_error(source, 10) == pytest.approx((0.05 + 0.05 + 1) / 4, abs=1e-6)
    assert torchmetrics_error(moved, 10) == pytest.approx(ours(moved, 10).ece, abs=1e-6)
    assert ours(moved, 10).ece == pytest.approx(ours(source, 10).ece, abs=1e-5)


def netcal_error(source, bins):
    metrics = imported("netcal.metrics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(metrics.ECE(bins).measure(source.probabilities, source.labels))


def test_netcal_agrees_off_the_edges_and_closes_on_the_left():
    predictions, _ = digits()
    assert netcal_error(predictions, 15) == pytest.approx(ours(predictions, 15).ece, abs=1e-6)
    source, moved = edges_case(), edges_case(moved=1e-6)
    assert netcal_error(source, 10) == pytest.approx((0.05 + 0.95) / 4, abs=1e-6)
    assert netcal_error(moved, 10) == pytest.approx(ours(moved, 10).ece, abs=1e-6)


def test_netcal_finds_the_same_temperature():
    """netcal fits a weight of the logits, 1/T, by its own optimiser; the likelihoods agree to 1e-3."""
    scaling = imported("netcal.scaling")
    predictions, _ = digits()
    fitted = fit_temperature(predictions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        method = scaling.TemperatureScaling()
        method.fit(predictions.probabilities, predictions.labels)
        p = method.transform(predictions.probabilities)
    assert log_loss(predictions.labels, p) == pytest.approx(fitted.nll_after, abs=1e-3)
    assert fitted.nll_after <= log_loss(predictions.labels, p) + 1e-9


def relplot_error(confidence, right):
    relplot = imported("relplot")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(relplot.smECE(confidence, right))


def test_relplot_agrees_to_its_own_precision():
    """relplot searches σ* among 2⁻¹⁰ steps and returns the error at the one below: within 2e-3."""
    rng = np.random.default_rng(0)
    confidence = 0.55 + 0.4 * rng.random(3000)
    right = rng.random(3000) < confidence - 0.1
    p = np.stack([confidence, 1 - confidence], axis=1)
    source = made(p, 1 - right, kind="probabilities")
    result = smooth_calibration(source)
    assert relplot_error(confidence, right.astype(float)) == pytest.approx(result.smooth_ece, abs=2e-3)


def test_scikit_learn_has_the_same_likelihood_and_half_of_the_binary_brier_score():
    predictions, _ = digits()
    scores = proper_scores(predictions, replicates=0)
    assert log_loss(predictions.labels, predictions.probabilities) == pytest.approx(scores.nll, rel=1e-12)
    p = np.array([0.2, 0.7, 0.9])
    binary = made(np.stack([1 - p, p], axis=1), [0, 1, 1], kind="probabilities")
    half = brier_score_loss([0, 1, 1], p)
    assert proper_scores(binary, replicates=0).brier == pytest.approx(2 * half)
    rows = outcomes(predictions)
    top = brier_score_loss(rows.correct, rows.confidence)
    assert brier_decomposition(predictions).brier == pytest.approx(top, rel=1e-12)


def test_torchmetrics_closes_bins_on_the_left():
    """Of two bins, 0.5 is in the upper one there and in the lower one here."""
    confidence = np.array([0.5, 0.45, 0.75])
    rest = (1 - confidence) / 2
    source = made(np.stack([confidence, rest, rest], axis=1), [0, 1, 1], kind="probabilities")
    assert ours(source, 2).ece == pytest.approx((0.05 + 0.75) / 3)
    assert torchmetrics_error(source, 2) == pytest.approx((0.45 + 0.25) / 3, abs=1e-6)


def test_relplot_gives_images_at_one_half_the_weight():
    """Half at 1, 70 % right, and half at 0.6, 60 % right: a third of its weight is at 1, and half of ours."""
    right = np.concatenate([np.arange(500) < 350, np.arange(500) < 300])
    for top, theirs in ((1.0, 0.1013), (0.999, 0.1505)):
        confidence = np.repeat([top, 0.6], 500)
        source = made(np.stack([confidence, 1 - confidence], axis=1), 1 - right, kind="probabilities")
        assert smooth_calibration(source).smooth_ece == pytest.approx(0.15, abs=1e-3)
        assert relplot_error(confidence, right.astype(float)) == pytest.approx(theirs, abs=1e-4)
    alone = relplot_error(np.ones(500), right[:500].astype(float))
    assert alone == pytest.approx(0.3, abs=2e-3)
