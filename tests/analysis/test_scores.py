from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import log_loss

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.scores import proper_scores, weighted_scores


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (5, 3), elements=st.floats(-1000, 1000)),
    hnp.arrays(np.int64, 5, elements=st.integers(0, 2)),
)
def test_equal_the_plain_loop(logits, labels):
    result = proper_scores(made(logits, labels), replicates=0)
    assert result.nll == pytest.approx(scoring.nll(logits.tolist(), labels.tolist()), rel=1e-12, abs=1e-12)
    assert result.brier == pytest.approx(scoring.brier(logits.tolist(), labels.tolist()), rel=1e-9, abs=1e-12)
    assert 0 <= result.brier <= 2 + 1e-12
    assert result.nll >= 0
    # A constant added to a row changes nothing.
    shifted = proper_scores(made(logits + np.arange(5)[:, None], labels), replicates=0)
    assert shifted.nll == pytest.approx(result.nll, rel=1e-9, abs=1e-9)


def test_nll_equals_scikit_learn():
    predictions, _ = digits()
    expected = log_loss(predictions.labels, predictions.probabilities)
    assert proper_scores(predictions).nll == pytest.approx(expected, rel=1e-12)


def test_uniform_predictions_score_what_they_must():
    result = proper_scores(made(np.zeros((3, 4)), [0, 1, 3]))
    assert result.nll == pytest.approx(np.log(4))
    assert result.brier == pytest.approx(0.75)


def test_far_logits_are_not_clipped():
    assert proper_scores(made([[0.0, 2000.0]], [0])).nll == 2000.0


def test_a_true_class_of_probability_zero_is_flagged(tmp_path):
    result = proper_scores(made([[1.0, 0.0], [0.5, 0.5]], [1, 1], kind="probabilities"))
    assert result.nll == np.inf
    assert result.n_zero_truth == 1
    assert result.brier == pytest.approx((2.0 + 0.5) / 2)
    saved = json.loads(result.save(tmp_path).read_text())
    assert saved == {
        "n": 2,
        "nll": None,
        "nll_interval": None,
        "brier": 1.25,
        "brier_interval": None,
        "n_zero_truth": 1,
    }


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (6, 3), elements=st.floats(-9, 9)),
    hnp.arrays(np.int64, 6, elements=st.integers(0, 2)),
    hnp.arrays(np.int64, 6, elements=st.integers(0, 4)),
)
def test_weights_equal_repeated_images(logits, labels, weights):
    weights[0] += 1
    repeated = np.repeat(np.arange(6), weights)
    expected = proper_scores(made(logits[repeated], labels[repeated]), replicates=0)
    for name, statistic in weighted_scores(made(logits, labels)).items():
        assert statistic(weights.astype(float)) == pytest.approx(getattr(expected, name), rel=1e-12)


def test_weights_of_a_true_class_of_probability_zero():
    nll = weighted_scores(made([[1.0, 0.0], [0.5, 0.5]], [1, 1], kind="probabilities"))["nll"]
    assert nll(np.array([1.0, 1.0])) == np.inf
    assert nll(np.array([0.0, 2.0])) == pytest.approx(np.log(2))


def test_intervals_hold_the_scores_and_may_be_left_out():
    predictions, _ = digits()
    result = proper_scores(predictions, replicates=200)
    assert result.nll_interval[0] < result.nll < result.nll_interval[1]
    assert result.brier_interval[0] < result.brier < result.brier_interval[1]
    # The mean's interval is nearly normal.
    losses = -outcomes(predictions).log_truth
    half = 1.96 * losses.std() / len(losses) ** 0.5
    assert result.nll_interval == pytest.approx((result.nll - half, result.nll + half), abs=0.3 * half)
    assert proper_scores(predictions, replicates=0).metrics()["nll_interval"] is None


def test_probabilities_that_sum_to_a_little_more_are_no_better_than_certain():
    result = proper_scores(made([[1.008, 0.0, 0.0]] * 3, [0, 0, 0], kind="probabilities"))
    assert (result.nll, result.brier) == (0.0, 0.0)
    assert np.copysign(1, result.nll) == 1


def test_logits_further_apart_than_a_float_holds_have_a_truth_of_zero():
    result = proper_scores(made([[1e308, -1e308], [0.0, 1.0]], [1, 1]), replicates=0)
    assert (result.nll, result.n_zero_truth) == (np.inf, 1)
