from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis import outcomes as module
from vitscope.analysis.outcomes import outcomes
from vitscope.errors import InputError, NotFiniteError

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
    assert np.array_equal(rows.rank == 0, rows.correct)


def test_blocks_do_not_show(monkeypatch):
    predictions, _ = digits()
    whole = outcomes(predictions)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 7 * 8 * 10)
    small = outcomes(predictions)
    for name in module._COLUMNS:
        np.testing.assert_array_equal(getattr(small, name), getattr(whole, name))


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


def test_probabilities_equal_the_softmax_of_logits():
    predictions, _ = digits()
    same = made(predictions.probabilities, predictions.labels, kind="probabilities")
    for name in ("confidence", "truth", "log_truth", "square_sum"):
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
