from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import conforming
from tests.oracles.samples import digits, made
from tests.oracles.scoring import softmax
from vitscope.analysis import blocks
from vitscope.analysis.conformal import (
    ConformalPredictor,
    calibration_rows,
    fit_conformal,
    prediction_sets,
)
from vitscope.analysis.conformity import ClassScore
from vitscope.analysis.coverage import evaluate_conformal
from vitscope.analysis.unlabelled import Unlabelled
from vitscope.errors import InputError, NotFiniteError, UsageError

METHODS = ("lac", "aps", "raps")


def draws(count, *, seed, stream):
    return np.random.default_rng((seed, stream)).random(count).tolist()


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (11, 4), elements=st.sampled_from([-3.0, -1.0, 0.0, 0.5, 2.0])),
    hnp.arrays(np.int64, 11, elements=st.integers(0, 3)),
    st.sampled_from(METHODS),
    st.sampled_from([0.05, 0.1, 0.25, 0.5]),
)
def test_thresholds_and_sets_equal_the_plain_loops(logits, labels, method, alpha):
    form = {"method": method, "penalty": 0.2, "free_ranks": 1}
    record = made(logits, labels)
    predictor = fit_conformal(record, alpha=alpha, method=method, penalty=(0.2, 1), seed=3)
    scores = [
        conforming.score(softmax(row), label, u, **form)
        for row, label, u in zip(logits.tolist(), labels.tolist(), draws(11, seed=3, stream=0), strict=True)
    ]
    assert predictor.threshold == pytest.approx(conforming.threshold(scores, alpha), abs=1e-12)
    # A hair above the threshold: rounding differs in the oracle's sums, and ties decide.
    made_sets = prediction_sets(predictor, record)
    low, high = (
        conforming.sets(logits.tolist(), draws(11, seed=3, stream=1), predictor.threshold + hair, **form)
        for hair in (-1e-9, 1e-9)
    )
    for inside, least, most in zip(made_sets, low, high, strict=True):
        assert least <= set(np.flatnonzero(inside).tolist()) <= most


def test_nine_images_by_hand():
    # Scores 1 − p_y are 0.1 … 0.9; (9 + 1)(1 − 0.1) = 9, the last of them; 0.05 asks for more than there are.
    p = np.arange(9, 0, -1)[:, None] / 10
    record = made(np.hstack([p, 1 - p]), np.zeros(9), kind="probabilities")
    assert fit_conformal(record, alpha=0.1).threshold == pytest.approx(0.9)
    assert fit_conformal(record, alpha=0.5).threshold == pytest.approx(0.5)
    assert fit_conformal(record, alpha=0.15).order == 9
    few = fit_conformal(record, alpha=0.05)
    assert (few.order, few.threshold) == (10, math.inf)
    assert few.coverage_range == (1.0, 1.0)
    assert prediction_sets(few, record).all()


@pytest.mark.parametrize(
    ("n", "alpha", "order"),
    [(9, 0.1, 9), (19, 0.05, 19), (99, 0.01, 99), (10, 0.1, 10), (1, 0.999, 1), (29, 0.7, 9)],
)
def test_alpha_is_the_decimal_as_written(n, alpha, order):
    """(29 + 1)(1 − 0.7) is a hair above 9 in binary."""
    assert fit_conformal(made(np.zeros((n, 2)), np.zeros(n)), alpha=alpha).order == order


def test_a_set_by_hand():
    p = [[0.5, 0.3, 0.15, 0.05]]
    record = made(p, [0], kind="probabilities")
    u = draws(1, seed=0, stream=1)[0]
    for limit, count in ((0.5 * u - 1e-6, 0), (0.5 * u + 1e-6, 1), (0.8 + 0.15 * u - 1e-6, 2), (1.0, 4)):
        predictor = ConformalPredictor(ClassScore("aps"), 0.1, limit, 9, 0, 4)
        assert prediction_sets(predictor, record).tolist() == [[index < count for index in range(4)]]
    penalised = ConformalPredictor(ClassScore("raps", 0.1, 2), 0.1, 0.8 + 0.15 * u + 0.1, 9, 0, 4)
    assert prediction_sets(penalised, record).sum() == 3
    least = ConformalPredictor(ClassScore("lac"), 0.1, 0.7, 9, 0, 4)
    assert prediction_sets(least, record).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize("method", METHODS)
def test_fitting_and_sets_agree_exactly(method):
    """With the same u, an image fitted on is covered exactly where its score is at most the threshold."""
    record, _ = digits()
    predictor = fit_conformal(record, method=method, alpha=0.2)
    again = ConformalPredictor(predictor.score, 0.2, predictor.threshold, predictor.n, 0, 10)
    # The calibration's sequence of u is given to both by leaving the seed and exchanging the streams.
    from vitscope.analysis import conformal

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conformal, "TEST", conformal.CALIBRATION)
        inside = prediction_sets(again, record)[np.arange(len(record)), record.labels]
    if method == "lac":
        assert inside.sum() >= predictor.order
    else:
        assert inside.sum() == predictor.order


@settings(deadline=None)
@given(hnp.arrays(np.float64, (6, 9), elements=st.floats(-30, 30)), st.sampled_from(METHODS))
def test_scores_never_fall_with_the_rank(logits, method):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    u = np.linspace(0, 1, 6)
    scores = ClassScore(method).by_rank(np.sort(p, axis=1)[:, ::-1], u)
    assert np.all(np.diff(scores, axis=1) >= 0)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [9, 40])
def test_exchangeable_images_are_covered(method, n):
    """Over 600 splits of a pool, a mean coverage of 1 − α … 1 − α + 1/(n + 1), where scores have no ties."""
    rng = np.random.default_rng(0)
    alpha, hits, splits, fresh = 0.2, 0.0, 600, 20
    logits = 2 * rng.normal(size=(3000, 5))
    labels = (logits + 2 * rng.gumbel(size=logits.shape)).argmax(axis=1)
    for split in range(splits):
        chosen = rng.choice(3000, n + fresh, replace=False)
        record = made(logits[chosen], labels[chosen])
        rows = np.arange(n + fresh) < n
        predictor = fit_conformal(record, alpha=alpha, method=method, rows=rows, seed=split)
        hits += evaluate_conformal(predictor, record, rows=~rows).coverage
    order = predictor.order
    expected = order / (n + 1)
    # Each split's coverage has the variance of Beta(k, n + 1 − k), and that of so few new images.
    spread = math.sqrt(expected * (1 - expected) * (1 / (n + 2) + 1 / fresh) / splits)
    assert expected >= 1 - alpha - 1e-12
    assert hits / splits == pytest.approx(expected, abs=4 * spread)


def test_ties_cover_more():
    """Where all scores are equal every image is covered, though (n + 1)(1 − α) asked for fewer."""
    record = made(np.zeros((20, 2)), np.zeros(20))
    assert evaluate_conformal(fit_conformal(record, alpha=0.5), record).coverage == 1.0


def test_coverage_range_is_betas():
    predictor = fit_conformal(made(np.random.default_rng(0).normal(size=(99, 3)), np.zeros(99)), alpha=0.1)
    assert predictor.order == 90
    stats = pytest.importorskip("scipy.stats")
    assert predictor.coverage_range == pytest.approx(stats.beta(90, 10).interval(0.95))


def test_blocks_and_threads_do_not_show(monkeypatch):
    record, _ = digits()
    whole = fit_conformal(record, method="aps")
    sets = prediction_sets(whole, record)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 7 * 8 * 10)
    assert fit_conformal(record, method="aps") == whole
    np.testing.assert_array_equal(prediction_sets(whole, record), sets)


def test_rows_choose_the_images():
    record, _ = digits()
    rows = np.arange(len(record)) < 300
    part = made(record.logits[:300], record.labels[:300])
    assert fit_conformal(record, method="raps", rows=rows) == fit_conformal(part, method="raps")
    with pytest.raises(InputError, match=r"rows as 898 booleans, got int64 \[1\]"):
        fit_conformal(record, rows=np.array([1]))
    with pytest.raises(InputError, match="at least one image to fit on"):
        fit_conformal(record, rows=np.zeros(898, dtype=bool))


def test_the_seed_decides_the_draws():
    record, _ = digits()
    fits = [fit_conformal(record, method="aps", seed=seed).threshold for seed in (0, 0, 1)]
    assert fits[0] == fits[1] != fits[2]
    assert fit_conformal(record, seed=0).threshold == fit_conformal(record, seed=1).threshold


def test_not_finite_rows_are_counted_and_have_empty_sets():
    record = made([[0.0, 1.0], [np.nan, 0.0], [2.0, 0.0], [-np.inf, 0.0]], [1, 0, 0, 1])
    predictor = fit_conformal(record, alpha=0.5)
    assert (predictor.n, predictor.n_not_finite) == (2, 2)
    assert prediction_sets(predictor, record).any(axis=1).tolist() == [True, False, True, False]
    with pytest.raises(NotFiniteError, match="none of the 1 images"):
        fit_conformal(made([[np.nan, 0.0]], [0]))


def test_confidences_of_exactly_one_and_zero():
    record = made([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0, 1, 1], kind="probabilities")
    assert fit_conformal(record, alpha=0.5).threshold == 0.0
    assert fit_conformal(record, alpha=0.25).threshold == 1.0
    assert prediction_sets(fit_conformal(record, alpha=0.5), record).tolist() == [
        [True, False],
        [True, False],
        [False, True],
    ]


def test_sets_of_unlabelled_images():
    record, _ = digits()
    predictor = fit_conformal(record, method="aps")
    sets = prediction_sets(predictor, Unlabelled(record.logits))
    np.testing.assert_array_equal(sets, prediction_sets(predictor, record))
    with pytest.raises(InputError, match="of 10 classes, got 3"):
        prediction_sets(predictor, Unlabelled(np.zeros((2, 3))))


@pytest.mark.parametrize("alpha", [0.1, 0.001])
def test_comes_back_from_disk(tmp_path, alpha):
    predictor = fit_conformal(digits()[0], method="raps", alpha=alpha)
    assert ConformalPredictor.load(predictor.save(tmp_path).parent) == predictor


def test_refuses_what_is_no_predictor(tmp_path):
    with pytest.raises(InputError, match="holds no conformal predictor"):
        ConformalPredictor.load(tmp_path)
    path = fit_conformal(digits()[0]).save(tmp_path)
    values = json.loads(path.read_text())
    for damage in ({"threshold": []}, {"score": {"method": "mean"}}, {"more": 1}):
        path.write_text(json.dumps(values | damage))
        with pytest.raises(InputError, match="holds no conformal predictor"):
            ConformalPredictor.load(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 0.0}, "alpha between 0 and 1, got 0.0"),
        ({"alpha": 1.0}, "alpha between 0 and 1, got 1.0"),
        ({"method": "quantile"}, "expected a method among"),
        ({"penalty": (-1.0, 5)}, "of at least 0, got -1.0, 5 and 0"),
        ({"seed": -1}, "of at least 0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(UsageError, match=message):
        fit_conformal(digits()[0], **arguments)


@given(st.integers(0, 60), st.sampled_from([0.2, 0.5, 0.75]), st.integers(0, 5))
def test_the_share_calibrates(count, fraction, seed):
    labels = np.zeros(count, dtype=np.int64)
    rows = calibration_rows(labels, fraction=fraction, seed=seed)
    assert (rows.shape, rows.dtype, rows.sum()) == ((count,), np.bool_, round(fraction * count))
    np.testing.assert_array_equal(rows, calibration_rows(labels, fraction=fraction, seed=seed))


@pytest.mark.slow
@pytest.mark.parametrize("per_class", [1, 3])
def test_parts_of_few_images_a_class_are_covered(per_class):
    """Even classes are easy and odd ones hard: drawn in turns, all the hard ones would fall on one side."""
    alpha, splits = 0.1, 1000
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), per_class)
    p = np.full((labels.size, 20), 0.0)
    p[np.arange(labels.size), labels] = np.where(labels % 2, 0.1, 0.8) + 0.1 * rng.random(labels.size)
    p += (1 - p.sum(axis=1, keepdims=True)) * (p == 0) / 19
    record = made(p, labels, kind="probabilities")
    coverages = np.empty(splits)
    for split in range(splits):
        rows = calibration_rows(labels, seed=split)
        predictor = fit_conformal(record, alpha=alpha, rows=rows)
        coverages[split] = evaluate_conformal(predictor, record, rows=~rows).coverage
    expected = predictor.order / (predictor.n + 1)
    assert 1 - alpha <= expected <= 1 - alpha + 1 / (predictor.n + 1)
    assert coverages.mean() == pytest.approx(expected, abs=4 * coverages.std() / math.sqrt(splits))


def test_pairs_of_images_calibrate_together_as_often_whatever_their_classes():
    labels = np.array([0, 0, 1, 1, 2, 3])
    drawn = np.array([calibration_rows(labels, seed=seed) for seed in range(4000)], dtype=np.float64)
    together = (drawn.T @ drawn / len(drawn))[np.triu_indices(6, 1)]
    np.testing.assert_allclose(together, 3 / 6 * 2 / 5, atol=0.03)


def test_every_image_is_as_likely_to_calibrate():
    labels = np.array([0] * 5 + [1, 2, 2, 2, 1])
    often = np.mean([calibration_rows(labels, fraction=0.3, seed=seed) for seed in range(3000)], axis=0)
    np.testing.assert_allclose(often, 0.3, atol=0.04)
    with pytest.raises(UsageError, match="between 0 and 1, got 1"):
        calibration_rows(labels, fraction=1)
