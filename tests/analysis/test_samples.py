from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.samples import digits, made
from vitscope.analysis.samples import class_samples, confident_errors, sample_indices, uncertain_hits
from vitscope.errors import NotFiniteError, UsageError


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


def test_right_only():
    predictions, _ = digits()
    chosen = sample_indices(predictions, only="right")
    assert len(chosen) == 16
    assert (predictions.predicted[chosen] == predictions.labels[chosen]).all()


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
    with pytest.raises(UsageError, match="`all`, `right` or `wrong`, got 'sure'"):
        sample_indices(predictions, only="sure")
    for extreme in (confident_errors, uncertain_hits):
        with pytest.raises(UsageError, match="at least 0, got -1"):
            extreme(predictions, count=-1)
    with pytest.raises(UsageError, match="number of classes of at least 0, got -1"):
        class_samples(predictions, classes=-1)


def test_the_most_confident_errors_and_the_least_confident_hits():
    # Rows 1 and 3 are wrong with equal confidence; row 2 is wrong and surer; row 5 is not finite.
    logits = [[1.0, 0], [0, 2.0], [0, 3.0], [0, 2.0], [2.0, 0], [np.nan, 0], [0.5, 0]]
    predictions = made(logits, [0, 0, 0, 0, 0, 0, 0])
    assert confident_errors(predictions).tolist() == [2, 1, 3]
    assert confident_errors(predictions, count=2).tolist() == [2, 1]
    assert uncertain_hits(predictions).tolist() == [6, 0, 4]
    assert uncertain_hits(predictions, count=0).tolist() == []


def test_extremes_are_those_of_a_full_sort():
    predictions, _ = digits()
    confidence = predictions.probabilities.max(axis=1)
    wrong = [i for i in range(len(predictions)) if predictions.predicted[i] != predictions.labels[i]]
    right = [i for i in range(len(predictions)) if predictions.predicted[i] == predictions.labels[i]]
    assert confident_errors(predictions).tolist() == sorted(wrong, key=lambda i: -confidence[i])[:16]
    assert uncertain_hits(predictions).tolist() == sorted(right, key=lambda i: confidence[i])[:16]


def test_classes_by_rising_accuracy():
    # Class 0: one of two; class 1: none of one; class 2: no image; class 3: one of two.
    labels, predicted = [0, 0, 1, 3, 3], [0, 1, 0, 3, 0]
    predictions = made(np.eye(4)[predicted], labels)
    found = class_samples(predictions)
    assert found.index.tolist() == [1, 0, 3]
    assert (found.n.tolist(), found.correct.tolist(), found.n_classes) == ([1, 2, 2], [0, 1, 1], 3)
    assert [rows.tolist() for rows in found.right] == [[], [0], [3]]
    assert [rows.tolist() for rows in found.wrong] == [[2], [1], [4]]
    assert class_samples(predictions, classes=1).index.tolist() == [1]


def test_examples_of_a_class_do_not_depend_on_the_others():
    predictions, _ = digits()
    all_of_them, few = class_samples(predictions), class_samples(predictions, classes=3)
    assert all(len(rows) == 4 for rows in all_of_them.right)
    for place in range(3):
        assert few.right[place].tolist() == all_of_them.right[place].tolist()
        index = few.index[place]
        assert (predictions.labels[few.wrong[place]] == index).all()
        assert (predictions.predicted[few.wrong[place]] != index).all()
    seeds = [class_samples(predictions, seed=seed).right[0].tolist() for seed in range(5)]
    assert len({tuple(rows) for rows in seeds}) > 1


def test_classes_of_rows_that_are_not_finite_are_left_out():
    found = class_samples(made([[np.nan, 0.0], [0.0, 1.0]], [0, 1]))
    assert found.index.tolist() == [1]
    with pytest.raises(NotFiniteError):
        class_samples(made([[np.nan, 0.0]], [0]))
