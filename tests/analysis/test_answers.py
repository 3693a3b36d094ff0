from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis import blocks
from vitscope.analysis.accuracy import class_accuracy
from vitscope.analysis.answers import Answers, answers
from vitscope.analysis.calibration import reliability
from vitscope.analysis.confidence import confidence_histogram
from vitscope.analysis.confusion import confusion
from vitscope.analysis.evaluation import evaluate
from vitscope.analysis.outcomes import outcomes
from vitscope.errors import InputError, NotFiniteError

COLUMNS = [item.name for item in fields(Answers) if item.name != "classes"]
WHOLE = ("labels", "finite", "predicted", "rank", "top")

# Ties, both zeros, sizes that no table holds, and what is not finite; all are exact in half precision.
SCORES = st.sampled_from([-60000.0, -700.0, -40.0, -2.5, -0.0, 0.0, 0.5, 3.0, 300.0, 304.0, 60000.0])
ODD = st.sampled_from([np.nan, np.inf, -np.inf])


def labelled(kind, elements):
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8)
    scores = hnp.arrays(kind, shapes, elements=elements)
    return scores.flatmap(
        lambda z: st.tuples(st.just(z), hnp.arrays(np.int64, len(z), elements=st.integers(0, z.shape[1] - 1)))
    )


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_less_precise_logits_equal_the_plain_loop(kind, data):
    logits, labels = data.draw(labelled(kind, SCORES))
    rows = answers(made(logits, labels))
    for index, (row, label) in enumerate(zip(logits.astype(float).tolist(), labels.tolist(), strict=True)):
        p = scoring.softmax(row)
        assert rows.predicted[index] == scoring.arg_max(row)
        assert rows.rank[index] == scoring.rank_of(row, label)
        assert rows.confidence[index] == pytest.approx(max(p), rel=1e-12)
        assert rows.truth[index] == pytest.approx(p[label], rel=1e-12, abs=1e-300)
        # The loop takes the label's logit off the sum: it loses what the largest logit swallows.
        lost = max(1e-12, 1e-15 * max(map(abs, row)))
        assert -rows.log_truth[index] == pytest.approx(scoring.nll([row], [label]), rel=1e-12, abs=lost)
        assert rows.maximum[index] == max(row)
        assert rows.logsumexp[index] == pytest.approx(scoring.logsumexp(row), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@settings(deadline=None, max_examples=50)
@given(data=st.data(), bins=st.sampled_from([1, 3, 15, 40]))
def test_less_precise_logits_equal_the_same_in_double_precision(kind, data, bins):
    logits, labels = data.draw(labelled(kind, st.one_of(SCORES, SCORES, SCORES, ODD)))
    found = outcomes(made(logits, labels), bins=bins)
    wide = outcomes(made(logits.astype(np.float64), labels), bins=bins)
    for item in fields(found):
        if item.name in WHOLE:
            np.testing.assert_array_equal(getattr(found, item.name), getattr(wide, item.name))
        elif item.name not in ("classes", "class_bins"):
            one, other = getattr(found, item.name), getattr(wide, item.name)
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(found.class_bins.count, wide.class_bins.count)
    np.testing.assert_array_equal(found.class_bins.hits, wide.class_bins.hits)
    np.testing.assert_allclose(found.class_bins.mass, wide.class_bins.mass, rtol=1e-9, atol=1e-12)


def mixed(kind):
    """Many classes: rows of all sorts in one block, more likely classes than five, and bins among them."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 40)) * rng.choice([0.1, 1, 6, 25, 500], size=(300, 1))
    logits[rng.integers(300, size=9), rng.integers(40, size=9)] = np.nan
    logits[rng.integers(300, size=9), rng.integers(40, size=9)] = -np.inf
    return made(logits.astype(kind), rng.integers(40, size=300))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_answers_are_those_of_the_outcomes_in_any_blocks(kind, monkeypatch):
    predictions = mixed(kind)
    whole = outcomes(predictions)
    for size in (blocks._BLOCK_BYTES, 7 * 8 * 40):
        monkeypatch.setattr(blocks, "_BLOCK_BYTES", size)
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(answers(predictions), name), getattr(whole, name))
    assert 0 < whole.n_not_finite < 20


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_metrics_are_those_of_double_precision(kind):
    """In a 1000th of what the documentation allows: 1e−6."""
    predictions = mixed(kind)
    wide = made(predictions.logits.astype(np.float64), predictions.labels)
    found, expected = (evaluate(source, replicates=0).metrics() for source in (predictions, wide))
    numbers = {key for key, value in expected.items() if isinstance(value, int | float)}
    assert len(numbers) > 20
    for key in numbers:
        assert found[key] == pytest.approx(expected[key], abs=1e-9), key


def test_probabilities_answer_too():
    predictions, _ = digits()
    same = made(predictions.probabilities, predictions.labels, kind="probabilities")
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(answers(same), name), getattr(outcomes(same), name))
    np.testing.assert_allclose(answers(same).log_truth, answers(predictions).log_truth, rtol=1e-9)


def test_answers_are_enough_for_accuracy_confusion_and_reliability():
    predictions, _ = digits()
    few, all_ = answers(predictions), outcomes(predictions)
    assert class_accuracy(few).overall == class_accuracy(all_).overall
    np.testing.assert_array_equal(confusion(few).counts, confusion(all_).counts)
    assert reliability(few).ece == reliability(all_).ece
    np.testing.assert_array_equal(confidence_histogram(few).wrong, confidence_histogram(all_).wrong)


def test_given_again_they_are_themselves():
    few, all_ = answers(digits()[0]), outcomes(digits()[0])
    assert answers(few) is few
    assert answers(all_) is all_
    assert few.scored is few


def test_rows_that_are_not_finite_are_set_apart():
    few = answers(made(np.array([[0, 1], [np.nan, 0], [2, 1]], dtype=np.float16), [1, 0, 0]))
    assert few.predicted.tolist() == [1, -1, 0]
    assert few.n_not_finite == 1
    assert type(few.scored) is Answers
    assert few.scored.labels.tolist() == [1, 0]
    with pytest.raises(NotFiniteError, match="none of the 2 images"):
        _ = answers(made(np.full((2, 3), np.nan), [0, 1])).scored
    with pytest.raises(InputError, match="at least one image"):
        _ = answers(made(np.empty((0, 3)), [])).scored
