from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.samples import digits, made
from vitscope.analysis.confusion import ConfusionPair, confusion
from vitscope.analysis.intervals import wilson
from vitscope.analysis.pairs import pair_samples
from vitscope.errors import UsageError


def _made(labels, predicted, width=4):
    return made(np.eye(width)[list(predicted)], labels)


def test_a_case_by_hand():
    # Two of class 0 taken for 1, one of 1 for 0; one of 2 for 0; class 3 has no image but is predicted.
    labels = [0, 0, 0, 1, 1, 2, 2]
    predicted = [1, 1, 0, 0, 1, 0, 3]
    first, second, third = pair_samples(_made(labels, predicted))
    assert first.forward == ConfusionPair(0, 1, 2, 2 / 3, *wilson(2, 3))
    assert first.backward == ConfusionPair(1, 0, 1, 1 / 2, *wilson(1, 2))
    assert [rows.tolist() for rows in (first.first, first.first_taken, first.second_taken, first.second)] == [
        [2],
        [0, 1],
        [3],
        [4],
    ]
    assert (second.forward.true, second.forward.predicted) == (2, 0)
    assert second.backward == ConfusionPair(0, 2, 0, 0.0, *wilson(0, 3))
    assert second.second_taken.tolist() == []
    assert (third.backward.true, third.backward.count) == (3, 0)
    assert np.isnan([third.backward.share, third.backward.low, third.backward.high]).all()


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), st.integers(0, 9))
def test_each_pair_once_and_each_image_of_its_group(pairs, seed):
    labels, predicted = (list(column) for column in zip(*pairs, strict=True))
    predictions = _made(labels, predicted)
    found = pair_samples(predictions, pairs=99, count=2, references=1, seed=seed)
    table = confusion(predictions)
    both = [frozenset((pair.forward.true, pair.forward.predicted)) for pair in found]
    assert len(both) == len(set(both))
    assert set(both) == {frozenset((pair.true, pair.predicted)) for pair in table.pairs}
    for pair in found:
        a, b = pair.forward.true, pair.forward.predicted
        assert pair.forward in table.pairs
        assert pair.forward.count >= pair.backward.count
        groups = ((pair.first, a, a, 1), (pair.first_taken, a, b, 2), (pair.second_taken, b, a, 2))
        for rows, true, said, most in (*groups, (pair.second, b, b, 1)):
            assert all(labels[row] == true and predicted[row] == said for row in rows)
            assert len(rows) == min(most, pairs.count((true, said)))


def test_the_first_pairs_and_the_same_images_for_the_same_seed():
    predictions, _ = digits()
    found = pair_samples(predictions)
    assert len(found) == 6
    assert found[0].forward == confusion(predictions).pairs[0]
    more = pair_samples(predictions, pairs=9)
    for one, other in zip(found, more[:6], strict=True):
        assert one.first_taken.tolist() == other.first_taken.tolist()
    others = [pair_samples(predictions, seed=seed)[0].second.tolist() for seed in range(5)]
    assert len({tuple(rows) for rows in others}) > 1


def test_nothing_confused():
    assert pair_samples(_made([0, 1], [0, 1])) == ()


def test_refuses():
    with pytest.raises(UsageError, match="at least 0, got -1, 3 and 2"):
        pair_samples(_made([0], [0]), pairs=-1)
