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
from vitscope.analysis.scores import proper_scores


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (5, 3), elements=st.floats(-1000, 1000)),
    hnp.arrays(np.int64, 5, elements=st.integers(0, 2)),
)
def test_equal_the_plain_loop(logits, labels):
    result = proper_scores(made(logits, labels))
    assert result.nll == pytest.approx(scoring.nll(logits.tolist(), labels.tolist()), rel=1e-12, abs=1e-12)
    assert result.brier == pytest.approx(scoring.brier(logits.tolist(), labels.tolist()), rel=1e-9, abs=1e-12)
    assert 0 <= result.brier <= 2 + 1e-12
    assert result.nll >= 0
    # A constant added to a row changes nothing.
    shifted = proper_scores(made(logits + np.arange(5)[:, None], labels))
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
    assert json.loads(result.save(tmp_path).read_text()) == {
        "n": 2,
        "nll": None,
        "brier": 1.25,
        "n_zero_truth": 1,
    }
