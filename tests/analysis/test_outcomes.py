from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis import blocks
from vitscope.analysis.outcomes import outcomes
from vitscope.errors import InputError, NotFiniteError, UsageError

# Few distinct values make ties common.
SCORES = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7),
    elements=st.sampled_from([-700.0, -2.5, -1.0, 0.0, 0.5, 1.0, 3.0, 700.0]),
)


@settings(deadline=None)
@given(SCORES, st.data())
def test_columns_equal_the_plain_loop(logits, data):
    labels = data.draw(hnp.arrays(np.int64, len(logits), elements=st.integers(0, logits.shape[1] - 1)))
    rows = outcomes(made(logits, labels))
    for index, (row, label) in enumerate(zip(logits.tolist(), labels.tolist(), strict=True)):
        p = scoring.softmax(row)
        assert rows.predicted[index] == scoring.arg_max(row)
        assert rows.rank[index] == scoring.rank_of(row, label)
        assert rows.confidence[index] == pytest.approx(max(p), rel=1e-12)
        assert rows.truth[index] == pytest.approx(p[label], rel=1e-12, abs=1e-300)
        assert -rows.log_truth[index] == pytest.approx(scoring.nll([row], [label]), rel=1e-12, abs=1e-12)
        assert rows.square_sum[index] == pytest.approx(sum(value**2 for value in p), rel=1e-12)
        assert rows.entropy[index] == pytest.approx(scoring.entropy(p), rel=1e-9, abs=1e-12)
        ordered = sorted(range(len(row)), key=lambda place: (-row[place], place))
        assert rows.top[index].tolist() == ordered[:5]
        assert rows.maximum[index] == max(row)
        assert rows.logsumexp[index] == pytest.approx(scoring.logsumexp(row), rel=1e-12, abs=1e-12)
        expected = max(row) - row[ordered[1]] if len(row) > 1 else math.inf
        assert rows.margin[index] == expected
    assert np.array_equal(rows.rank == 0, rows.correct)


def test_blocks_do_not_show(monkeypatch):
    predictions, _ = digits()
    whole = outcomes(predictions)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 7 * 8 * 10)
    small, again = outcomes(predictions), outcomes(predictions)
    for name in (item.name for item in fields(whole) if item.name not in ("classes", "class_bins")):
        np.testing.assert_array_equal(getattr(small, name), getattr(whole, name))
    np.testing.assert_array_equal(small.class_bins.count, whole.class_bins.count)
    np.testing.assert_array_equal(small.class_bins.hits, whole.class_bins.hits)
    np.testing.assert_allclose(small.class_bins.mass, whole.class_bins.mass, rtol=1e-12, atol=1e-12)
    # Threads finish in any order; the sums are taken in the blocks' order.
    np.testing.assert_array_equal(small.class_bins.mass, again.class_bins.mass)


@settings(deadline=None)
@given(SCORES, st.integers(1, 20), st.data())
def test_class_bins_equal_the_plain_loop(logits, bins, data):
    labels = data.draw(hnp.arrays(np.int64, len(logits), elements=st.integers(0, logits.shape[1] - 1)))
    found = outcomes(made(logits, labels), bins=bins).class_bins
    count, hits, mass = scoring.class_bins(logits.tolist(), labels.tolist(), bins)
    assert found.count.tolist() == count
    assert found.hits.tolist() == hits
    np.testing.assert_allclose(found.mass, mass, rtol=1e-9, atol=1e-12)


def test_class_bins_leave_out_rows_that_are_not_finite():
    logits = np.array([[0.0, 1.0], [np.nan, 0.0], [2.0, 1.0]])
    whole = outcomes(made(logits, [1, 0, 0])).class_bins
    kept = outcomes(made(logits[[0, 2]], [1, 0])).class_bins
    np.testing.assert_array_equal(whole.count, kept.count)
    np.testing.assert_array_equal(whole.mass, kept.mass)
    with pytest.raises(UsageError, match="at least 1 bin"):
        outcomes(made(logits, [1, 0, 0]), bins=0)


def test_the_largest_floats_warn_of_nothing():
    rows = outcomes(made([[1e308, -1e308, 0.0], [-1e308, -1e308, -1e308]], [1, 0]))
    assert rows.confidence.tolist() == [1.0, pytest.approx(1 / 3)]
    assert rows.entropy.tolist() == [0.0, pytest.approx(math.log(3))]
    assert rows.log_truth[0] == -np.inf
    assert rows.margin.tolist() == [1e308, 0.0]


def test_logits_are_left_alone():
    predictions, _ = digits()
    double = made(predictions.logits.astype(np.float64), predictions.labels)
    before = double.logits.copy()
    outcomes(double)
    np.testing.assert_array_equal(double.logits, before)
    before.setflags(write=False)
    outcomes(made(before, predictions.labels))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_set_apart(bad):
    rows = outcomes(made([[0.0, 1.0], [bad, 0.0], [2.0, 1.0]], [1, 0, 0]))
    assert rows.n_not_finite == 1
    assert rows.finite.tolist() == [True, False, True]
    assert rows.predicted.tolist() == [1, -1, 0]
    assert rows.rank.tolist() == [0, -1, 0]
    assert not rows.correct[1]
    assert np.isnan(rows.confidence[1])
    assert rows.scored.labels.tolist() == [1, 0]
    assert rows.scored.n_not_finite == 0


def test_all_finite_scored_is_itself():
    rows = outcomes(made([[0.0, 1.0]], [1]))
    assert rows.scored is rows
    assert outcomes(rows) is rows


def test_nothing_to_score():
    with pytest.raises(NotFiniteError, match="none of the 2 images"):
        _ = outcomes(made(np.full((2, 3), np.nan), [0, 1])).scored
    with pytest.raises(InputError, match="at least one image"):
        _ = outcomes(made(np.empty((0, 3)), [])).scored


def test_half_precision_is_widened_first():
    logits = np.array([[60000.0, 59968.0, 0.0], [-60000.0, 60000.0, 0.0]], dtype=np.float16)
    rows = outcomes(made(logits, [1, 0]))
    assert rows.log_truth.tolist() == pytest.approx([-32.0, -120000.0], rel=1e-12)
    assert rows.confidence.tolist() == pytest.approx([1.0, 1.0])


def test_probabilities_are_taken_as_they_are():
    p = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])
    rows = outcomes(made(p, [1, 0], kind="probabilities"))
    assert rows.confidence.tolist() == [0.7, 1.0]
    assert rows.truth.tolist() == [0.2, 0.0]
    assert rows.log_truth.tolist() == [np.log(0.2), -np.inf]
    assert rows.square_sum.tolist() == pytest.approx([0.54, 1.0])
    assert rows.entropy.tolist() == [pytest.approx(scoring.entropy([0.7, 0.2, 0.1])), 0.0]
    assert rows.maximum.tolist() == [np.log(0.7), 0.0]
    assert rows.margin.tolist() == [pytest.approx(np.log(3.5)), np.inf]
    assert rows.logsumexp.tolist() == [0.0, 0.0]


def test_probabilities_equal_the_softmax_of_logits():
    predictions, _ = digits()
    same = made(predictions.probabilities, predictions.labels, kind="probabilities")
    for name in ("confidence", "truth", "log_truth", "square_sum", "entropy", "margin"):
        np.testing.assert_allclose(
            getattr(outcomes(same), name), getattr(outcomes(predictions), name), rtol=1e-9
        )


@pytest.mark.parametrize("row", [[2.0, -1.0], [0.5, 0.6], [3.0, 4.0], [0.0, 0.0]])
def test_refuses_what_is_not_a_probability(row):
    with pytest.raises(InputError, match=r"image 1\)") as caught:
        outcomes(made([[0.5, 0.5], row], [0, 1], kind="probabilities"))
    assert "logits" in caught.value.hint


def test_rounded_probabilities_pass():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(1000, 0.01), size=50).astype(np.float16)
    assert outcomes(made(p, np.zeros(50), kind="probabilities")).finite.all()


def test_probabilities_that_are_off_by_rounding_are_divided_by_their_sum():
    p = np.array([[0.756, 0.201, 0.051], [0.496, 0.496, 0.0], [0.0, 0.0, 0.995]])
    rows = outcomes(made(p, [1, 2, 2], kind="probabilities"))
    whole = p / p.sum(axis=1, keepdims=True)
    assert rows.confidence.tolist() == pytest.approx(whole.max(axis=1).tolist(), rel=1e-15)
    assert rows.truth.tolist() == pytest.approx([0.201 / 1.008, 0.0, 1.0], rel=1e-15)
    assert rows.log_truth[1] == -np.inf
    assert rows.log_truth[2] == 0
    assert rows.confidence.max() <= 1


def test_ties_between_images_outlast_the_last_bit_of_a_sum():
    p = np.array([[0.7, 0.2, 0.1], [0.7, 0.1, 0.2], [0.7, 0.3, 0.0], [0.7, 0.15, 0.15]])
    assert set(outcomes(made(p, [0] * 4, kind="probabilities")).confidence) == {0.7}


def test_outcomes_keep_the_bins_they_were_made_with():
    rows = outcomes(made([[0.0, 1.0]], [1]), bins=20)
    assert outcomes(rows) is rows
    assert outcomes(rows, bins=20) is rows
    with pytest.raises(UsageError, match="made with 15 bins, got some with 20") as caught:
        outcomes(rows, bins=15)
    assert "bins=15" in caught.value.hint
    assert outcomes(made([[0.0, 1.0]], [1])).class_bins.bins == 15
