from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis.confusion import Confusion, ConfusionPair, confusion
from vitscope.analysis.intervals import wilson
from vitscope.errors import InputError


def test_equals_scikit_learn():
    predictions, _ = digits()
    result = confusion(predictions)
    np.testing.assert_array_equal(result.counts, confusion_matrix(predictions.labels, predictions.predicted))
    np.testing.assert_allclose(
        result.shares, confusion_matrix(predictions.labels, predictions.predicted, normalize="true")
    )


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (9, 4), elements=st.sampled_from([0.0, 1.0, 2.0])),
    hnp.arrays(np.int64, 9, elements=st.integers(0, 3)),
)
def test_counts_and_pairs(logits, labels):
    result = confusion(made(logits, labels))
    assert result.counts.tolist() == scoring.confusion_counts(logits.tolist(), labels.tolist())
    off_diagonal = result.counts - np.diag(np.diag(result.counts))
    assert sum(pair.count for pair in result.pairs) == off_diagonal.sum()
    assert len(result.pairs) == np.count_nonzero(off_diagonal)
    keys = [(-pair.count, -pair.share, pair.true, pair.predicted) for pair in result.pairs]
    assert keys == sorted(keys)


def test_a_case_by_hand():
    # True 0 taken for 1 twice of four; true 1 for 0 twice of two; true 0 for 2 once.
    labels = [0, 0, 0, 0, 1, 1, 2]
    predicted = [0, 1, 1, 2, 0, 0, 2]
    result = confusion(made(np.eye(4)[predicted], labels, classes=("a", "b", "c", "d")))
    assert result.pairs == (
        ConfusionPair(1, 0, 2, 1.0, *wilson(2, 2)),
        ConfusionPair(0, 1, 2, 0.5, *wilson(2, 4)),
        ConfusionPair(0, 2, 1, 0.25, *wilson(1, 4)),
    )
    assert result.rows()[0] == {
        "true": "b",
        "predicted": "a",
        "count": 2,
        "share": 1.0,
        "interval": list(wilson(2, 2)),
    }
    assert np.isnan(result.shares[3]).all()


def test_nothing_confused():
    result = confusion(made(np.eye(3), [0, 1, 2]))
    assert result.pairs == ()
    assert result.rows() == []


def test_saves_tables_that_no_spreadsheet_runs(tmp_path):
    names = ('=HYPERLINK("x")', "a,b\n'c", "\tzebra")
    result = confusion(made(np.eye(3)[[1, 0, 2]], [0, 1, 2], classes=names))
    pairs, counts = result.save(tmp_path)
    with pairs.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["true", "predicted", "count", "share", "low", "high"]
    assert rows[1][:4] == ["'" + names[0], names[1], "1", "1.0"]
    assert float(rows[1][4]) == wilson(1, 1)[0]
    with counts.open(newline="") as stream:
        matrix = list(csv.reader(stream))
    assert matrix[0][1:] == ["'" + names[0], names[1], "'" + names[2]]
    assert [row[1:] for row in matrix[1:]] == [["0", "1", "0"], ["1", "0", "0"], ["0", "0", "1"]]


def test_an_empty_table_has_its_header(tmp_path):
    pairs, _ = confusion(made(np.eye(2), [0, 1])).save(tmp_path)
    assert pairs.read_text() == "true,predicted,count,share,low,high\n"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_no_confusion(value):
    assert confusion(made([[value, 0.0], [0.0, 1.0]], [1, 1])).counts.tolist() == [[0, 0], [0, 1]]


def test_any_number_of_classes_fits(tmp_path):
    classes = tuple(f"class {index}" for index in range(100_000))
    labels = np.array([7, 7, 99_999], dtype=np.int64)
    result = Confusion(classes, labels[1:], np.array([7, 0]), np.array([1, 1]))
    assert [(pair.true, pair.predicted, pair.share) for pair in result.pairs] == [(99_999, 0, 1.0)]
    assert result.save(tmp_path) == [tmp_path / "confusion_pairs.csv"]
    with pytest.raises(InputError, match="at most 11,585 classes"):
        _ = result.counts


@given(hnp.arrays(np.int64, (4, 4), elements=st.integers(0, 3)))
def test_a_matrix_comes_back(counts):
    result = Confusion.from_counts("abcd", counts)
    np.testing.assert_array_equal(result.counts, counts)
    np.testing.assert_array_equal(result.totals, counts.sum(axis=1))
