from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score, top_k_accuracy_score

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis.accuracy import accuracy, class_accuracy
from vitscope.analysis.intervals import wilson
from vitscope.errors import NotFiniteError, UsageError


def test_equals_scikit_learn():
    predictions, _ = digits()
    result = accuracy(predictions)
    assert result.value == accuracy_score(predictions.labels, predictions.predicted)
    assert result.top_k == top_k_accuracy_score(predictions.labels, predictions.logits, k=5)
    assert result.interval == tuple(wilson(result.correct, result.n))
    classes = class_accuracy(predictions)
    np.testing.assert_allclose(
        classes.accuracy, recall_score(predictions.labels, predictions.predicted, average=None)
    )
    assert classes.balanced == pytest.approx(
        balanced_accuracy_score(predictions.labels, predictions.predicted), abs=1e-15
    )


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (6, 4), elements=st.sampled_from([0.0, 1.0, 2.0])),
    hnp.arrays(np.int64, 6, elements=st.integers(0, 3)),
    st.integers(1, 7),
)
def test_top_k_equals_the_plain_loop_with_ties(logits, labels, k):
    result = accuracy(made(logits, labels), k=k)
    assert result.top_k == scoring.top_k(logits.tolist(), labels.tolist(), k)
    assert accuracy(made(logits, labels), k=1).top_k == result.value
    assert result.top_k >= result.value
    if k >= 4:
        assert result.top_k == 1.0


def test_a_constant_model_is_right_on_its_class_only():
    result = class_accuracy(made(np.zeros((4, 2)), [0, 0, 0, 1]))
    assert result.accuracy.tolist() == [1.0, 0.0]
    assert result.overall.value == 0.75
    assert result.balanced == 0.5


def test_not_finite_rows_are_counted_and_left_out():
    logits = [[0.0, 1.0], [np.nan, 0.0], [1.0, 0.0], [np.inf, 0.0]]
    result = accuracy(made(logits, [1, 0, 1, 0]))
    assert (result.n, result.n_not_finite, result.correct, result.value) == (2, 2, 1, 0.5)
    classes = class_accuracy(made(logits, [1, 0, 1, 0]))
    assert classes.n.tolist() == [0, 2]


def test_a_class_without_images_is_not_applicable(tmp_path):
    result = class_accuracy(made([[1.0, 0.0, 0.0]] * 2, [0, 1], classes=("=a", "b", "@c")))
    assert np.isnan(result.accuracy[2])
    assert result.balanced == 0.5
    assert result.rows()[2] == {"class": "@c", "n": 0, "correct": 0, "accuracy": None, "interval": None}
    lines = result.save(tmp_path).read_text().splitlines()
    assert lines[0] == "class,n,correct,accuracy,low,high"
    assert lines[3] == "'@c,0,0,,,"
    table = pd.read_csv(tmp_path / "per_class.csv")
    assert table["class"].tolist() == ["'=a", "b", "'@c"]
    assert table["high"][0] == result.interval[0, 1]


def test_saves_json(tmp_path):
    result = accuracy(made([[1.0, 0.0], [1.0, 0.0]], [0, 1]))
    saved = json.loads(result.save(tmp_path).read_text())
    assert saved == {
        "n": 2,
        "n_not_finite": 0,
        "accuracy": 0.5,
        "accuracy_interval": list(wilson(1, 2)),
        "top5": 1.0,
        "top5_interval": list(wilson(2, 2)),
    }


def test_refuses():
    with pytest.raises(UsageError, match="k of at least 1, got 0"):
        accuracy(made([[1.0]], [0]), k=0)
    with pytest.raises(NotFiniteError):
        accuracy(made([[np.nan, 0.0]], [0]))


def test_balanced_interval_by_hand():
    """Three of four and both of two right: Wilson's intervals combined by root sums of squares."""
    result = class_accuracy(made(np.eye(3)[[0, 0, 0, 1, 1, 1]], [0, 0, 0, 0, 1, 1]))
    (low, high), (least, _) = wilson(3, 4), wilson(2, 2)
    below = 0.875 - np.hypot(0.75 - low, 1 - least) / 2
    effective = 4 / (1 / 4 + 1 / 2)
    ends = wilson(0.875 * effective, effective)
    assert result.balanced_interval == pytest.approx(
        (min(below, ends[0]), max(0.875 + (high - 0.75) / 2, ends[1]))
    )


def test_balanced_interval_of_one_class_is_wilsons():
    result = class_accuracy(made([[1.0, 0.0]] * 7 + [[0.0, 1.0]] * 2, [0] * 9))
    assert result.balanced_interval == pytest.approx(tuple(wilson(7, 9)))


def test_balanced_interval_is_not_empty_where_all_are_right():
    labels = np.arange(30) % 3
    low, high = class_accuracy(made(np.eye(3)[labels], labels)).balanced_interval
    assert 0.7 < low < 0.9
    assert high == 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, 1000])
@pytest.mark.parametrize(("classes", "error"), [(2, 0.05), (10, 0.01), (10, 0.2), (100, 0.05), (100, 0.5)])
def test_balanced_interval_covers(count, classes, error):
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    rates = np.linspace(0, 2 * error, classes)
    held = 0
    for _ in range(200):
        wrong = rng.random(count) < rates[labels]
        low, high = class_accuracy(
            made(np.eye(classes)[(labels + wrong) % classes], labels)
        ).balanced_interval
        held += low <= 1 - error <= high
    assert held >= 180
