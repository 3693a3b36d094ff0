from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.samples import digits, made
from vitscope.analysis.samples import sample_indices
from vitscope.errors import UsageError


def test_draws_without_replacement_in_order():
    predictions, _ = digits()
    chosen = sample_indices(predictions)
    assert len(set(chosen.tolist())) == 16
    assert np.all(np.diff(chosen) > 0)
    np.testing.assert_array_equal(chosen, sample_indices(predictions, seed=42))
    assert not np.array_equal(chosen, sample_indices(predictions, seed=43))


def test_wrong_only():
    predictions, _ = digits()
    chosen = sample_indices(predictions, only="wrong")
    assert len(chosen) == 16
    assert (predictions.predicted[chosen] != predictions.labels[chosen]).all()


def test_fewer_than_asked_for_are_all_shown():
    predictions = made([[1.0, 0.0], [np.nan, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 0, 1, 1])
    assert sample_indices(predictions).tolist() == [0, 2, 3]
    assert sample_indices(predictions, only="wrong").tolist() == [3]
    assert sample_indices(made([[1.0, 0.0]], [0]), only="wrong").tolist() == []
    assert sample_indices(predictions, count=0).tolist() == []


def test_every_image_can_be_drawn():
    predictions = made(np.eye(5), range(5))
    seen = {index for seed in range(40) for index in sample_indices(predictions, count=2, seed=seed).tolist()}
    assert seen == {0, 1, 2, 3, 4}


def test_refuses():
    predictions = made([[1.0]], [0])
    with pytest.raises(UsageError, match="at least 0, got -1"):
        sample_indices(predictions, count=-1)
    with pytest.raises(UsageError, match="`all` or `wrong`, got 'right'"):
        sample_indices(predictions, only="right")
