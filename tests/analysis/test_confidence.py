from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis.confidence import confidence_histogram
from vitscope.analysis.scores import proper_scores
from vitscope.errors import NotFiniteError, UsageError


def _binary(pairs):
    """Predictions with these confidences, each right or wrong, as probabilities of two classes."""
    rows = [[c, 1 - c] for c, _ in pairs]
    return made(rows, [0 if right else 1 for _, right in pairs], kind="probabilities")


def test_a_case_by_hand():
    result = confidence_histogram(_binary([(0.5, True), (0.75, True), (0.76, False), (1.0, True)]), bins=4)
    assert result.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert result.right.tolist() == [0, 1, 1, 1]
    assert result.wrong.tolist() == [0, 0, 0, 1]
    assert result.mean_right == 0.75
    assert result.metrics() == {"mean_confidence_right": 0.75, "mean_confidence_wrong": 0.76}


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.5, 1.0), st.booleans()), min_size=1, max_size=30), st.integers(1, 25))
def test_equals_the_plain_count(pairs, bins):
    result = confidence_histogram(_binary(pairs), bins=bins)
    for hit, count, mean in (
        (True, result.right, result.mean_right),
        (False, result.wrong, result.mean_wrong),
    ):
        own = [c for c, right in pairs if right == hit]
        found = scoring.bins_of(own, bins)
        assert count.tolist() == [found.count(index) for index in range(bins)]
        assert mean == pytest.approx(sum(own) / len(own)) if own else np.isnan(mean)


def test_the_whole_mean_is_in_between():
    predictions, _ = digits()
    result = confidence_histogram(predictions)
    assert len(result.right) == 20
    assert result.right.sum() + result.wrong.sum() == proper_scores(predictions).n
    assert result.mean_wrong < predictions.probabilities.max(axis=1).mean() < result.mean_right


@pytest.mark.parametrize("right", [True, False])
def test_one_side_without_images(right):
    metrics = confidence_histogram(_binary([(0.9, right)])).metrics()
    assert metrics["mean_confidence_right"] == (0.9 if right else None)
    assert metrics["mean_confidence_wrong"] == (None if right else 0.9)


def test_saves_a_line_a_bin(tmp_path):
    path = confidence_histogram(_binary([(0.9, True)]), bins=2).save(tmp_path)
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["bin_low", "bin_high", "right", "wrong"],
        ["0.0", "0.5", "0", "0"],
        ["0.5", "1.0", "1", "0"],
    ]


def test_refuses():
    with pytest.raises(UsageError, match="at least 1 bin, got 0"):
        confidence_histogram(_binary([(0.9, True)]), bins=0)
    with pytest.raises(NotFiniteError):
        confidence_histogram(made([[np.nan, 0.0]], [0]))
    logits = made([[np.nan, 0.0], [1.0, 0.0]], [0, 0])
    assert confidence_histogram(logits).right.sum() == 1
