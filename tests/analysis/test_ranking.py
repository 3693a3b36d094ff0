from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.samples import digits, made
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.ranking import RiskLayout, Ties, certainties
from vitscope.analysis.selective import risk_coverage

RANKINGS = ["confidence", "margin", "entropy", "maximum"]


@pytest.mark.parametrize("by", RANKINGS)
@pytest.mark.parametrize("scale", [1.0, 12.0])
def test_rows_that_are_permutations_of_one_are_tied(by, scale):
    """Their sums differ in the last digits; 60 of 200 wrong is a risk of 0.3 at every coverage."""
    rng = np.random.default_rng(0)
    row = scale * rng.normal(size=50)
    logits = np.array([rng.permutation(row) for _ in range(200)])
    right, least = logits.argmax(axis=1), logits.argmin(axis=1)
    result = risk_coverage(made(logits, np.where(np.arange(200) < 60, least, right)), by=by, replicates=0)
    assert result.aurc == pytest.approx(0.3, abs=1e-14)
    assert result.error_auroc.value == 0.5
    assert result.risk.tolist() == pytest.approx([0.3] * 200)
    assert np.unique(result.threshold).size == 1


@pytest.mark.parametrize("by", RANKINGS)
@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(
        st.tuples(st.permutations([-3.0, -1.1, 0.3, 0.7, 2.9]), st.sampled_from([0.1, 1.0, 7.0])),
        min_size=2,
        max_size=12,
    ),
    columns=st.permutations(range(5)),
)
def test_the_order_of_classes_does_not_count(by, rows, columns):
    logits = np.array([np.array(row) * scale for row, scale in rows])
    labels = np.arange(len(logits)) % 5
    moved = made(logits[:, columns], np.argsort(columns)[labels])
    result = risk_coverage(made(logits, labels), by=by, replicates=0)
    assert risk_coverage(moved, by=by, replicates=0).aurc == pytest.approx(result.aurc, abs=1e-14)


@pytest.mark.parametrize("by", RANKINGS)
def test_the_order_of_classes_does_not_count_for_digits(by):
    record, _ = digits()
    columns = np.random.default_rng(1).permutation(10)
    moved = made(record.logits[:, columns], np.argsort(columns)[record.labels])
    result, other = (risk_coverage(rows, by=by, replicates=0) for rows in (record, moved))
    assert other.aurc == pytest.approx(result.aurc, abs=1e-14)


def test_what_differs_by_more_than_rounding_is_told_apart():
    confidence = 0.75 * (1 + np.array([0.0, 4e-13, 5e-12, 5.4e-12, 1e-9]))
    p = np.column_stack([confidence, 1 - confidence])
    tied = certainties(outcomes(made(p, np.zeros(5), kind="probabilities")), "confidence")
    assert tied.tolist() == confidence[[0, 0, 2, 2, 4]].tolist()


def test_dense_certainties_do_not_all_become_one():
    """Each is within rounding of the next, and groups are still no wider than that."""
    confidence = 0.75 * (1 + 3e-13 * np.arange(1000))
    order = np.random.default_rng(0).permutation(1000)
    p = np.column_stack([confidence, 1 - confidence])[order]
    tied = certainties(outcomes(made(p, np.zeros(1000), kind="probabilities")), "confidence")
    assert np.all(tied <= p[:, 0])
    assert np.all(p[:, 0] - tied <= 1.001e-12 * p[:, 0])
    values = np.unique(tied)
    assert values.size == 250
    assert all(high - low > 1e-12 * low for low, high in pairwise(values.tolist()))


def test_an_infinite_margin_is_near_no_finite_one():
    p = np.array([[1.0, 0.0], [1.0 - 1e-15, 1e-15], [0.6, 0.4]])
    tied = certainties(outcomes(made(p, np.zeros(3), kind="probabilities")), "margin")
    assert tied[0] == np.inf
    assert np.isfinite(tied[1:]).all()


def test_a_layout_and_ties_count_the_same():
    certainty = np.array([0.9, 0.5, 0.9, 0.7, 0.5])
    wrong = np.array([False, True, True, False, False])
    ties = Ties.of(certainty, wrong)
    assert (ties.certainty.tolist(), ties.stop.tolist()) == ([0.9, 0.7, 0.5], [2, 3, 5])
    assert ties.wrong.tolist() == [1, 0, 1]
    assert ties.errors(np.arange(1, 6)).tolist() == [0.5, 1.0, 1.0, 1.5, 2.0]
    area, errors = RiskLayout.of(certainty, wrong).area(np.ones(5))
    assert (area, errors) == (pytest.approx((1 / 2 + 1 / 2 + 1 / 3 + 1.5 / 4 + 2 / 5) / 5), 2.0)
