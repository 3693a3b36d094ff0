from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from tests.oracles import taxonomy
from tests.oracles.samples import digits, made
from vitscope.analysis.intervals import wilson
from vitscope.analysis.superclasses import Superclasses, superclass_accuracy
from vitscope.errors import InputError, NotFiniteError

EVEN = {name: ("even", "odd")[index % 2] for index, name in enumerate("abcd")}


def _made(labels, predicted, width=4):
    return made(np.eye(width)[predicted], labels, classes=tuple("abcdefgh"[:width]))


def test_a_case_by_hand():
    # Of six images four are right, one stays within its superclass (a for c), one leaves it (b for a).
    predictions = _made([0, 1, 2, 3, 0, 1], [0, 1, 2, 3, 2, 0])
    result = superclass_accuracy(predictions, Superclasses.of(predictions.classes, EVEN))
    assert result.superclasses.names == ("even", "odd")
    assert result.metrics() == {
        "superclass_accuracy": 5 / 6,
        "superclass_accuracy_interval": wilson(5, 6).tolist(),
        "errors_within_superclass": 1 / 2,
        "errors_within_superclass_interval": wilson(1, 2).tolist(),
        "errors_within_superclass_chance": 1 / 3,
    }
    assert result.confusion.counts.tolist() == [[3, 0], [1, 2]]
    assert result.confusion.classes == ("even", "odd")
    assert result.per_superclass.n.tolist() == [3, 3]
    assert result.per_superclass.correct.tolist() == [3, 2]
    assert result.n_errors.tolist() == [1, 1]
    assert result.n_within.tolist() == [1, 0]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20),
    st.lists(st.sampled_from("xyz"), min_size=5, max_size=5),
)
def test_equals_the_plain_count(pairs, groups):
    labels, predicted = (list(column) for column in zip(*pairs, strict=True))
    predictions = _made(labels, predicted, width=5)
    superclasses = Superclasses.of(predictions.classes, dict(zip(predictions.classes, groups, strict=True)))
    metrics = superclass_accuracy(predictions, superclasses).metrics()
    n, hits, errors, within, chance = taxonomy.scores(labels, predicted, groups)
    assert metrics["superclass_accuracy"] == hits / n
    assert metrics["superclass_accuracy_interval"] == wilson(hits, n).tolist()
    assert metrics["errors_within_superclass"] == (within / errors if errors else None)
    assert metrics["errors_within_superclass_interval"] == (
        wilson(within, errors).tolist() if errors else None
    )
    assert metrics["errors_within_superclass_chance"] == (None if chance is None else pytest.approx(chance))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=10, max_size=10))
def test_never_below_the_accuracy_of_the_classes(groups):
    predictions, _ = digits()
    used = sorted(set(groups))
    member = np.array([used.index(group) for group in groups])
    superclasses = Superclasses(predictions.classes, tuple("wxyz"[: len(used)]), member)
    result = superclass_accuracy(predictions, superclasses)
    accuracy = np.mean(predictions.predicted == predictions.labels)
    overall = result.per_superclass.overall
    assert overall.value >= accuracy
    # Every image is right, wrong within its superclass, or wrong outside it.
    assert overall.correct == round(accuracy * overall.n) + result.n_within.sum()
    if len(used) > 1:  # scikit-learn warns of a matrix with one cell
        expected = confusion_matrix(member[predictions.labels], member[predictions.predicted])
        np.testing.assert_array_equal(result.confusion.counts, expected)


@pytest.mark.parametrize(
    ("groups", "accuracy"), [("xxxx", 1.0), ("wxyz", 0.5)], ids=["one superclass", "one class each"]
)
def test_the_ends(groups, accuracy):
    predictions = _made([0, 1, 2, 3], [0, 1, 3, 2])
    superclasses = Superclasses.of(predictions.classes, dict(zip("abcd", groups, strict=True)))
    metrics = superclass_accuracy(predictions, superclasses).metrics()
    assert metrics["superclass_accuracy"] == accuracy
    assert metrics["errors_within_superclass"] == metrics["errors_within_superclass_chance"]


def test_nothing_wrong_has_no_share():
    predictions = _made([0, 1], [0, 1])
    metrics = superclass_accuracy(predictions, Superclasses.of(predictions.classes, EVEN)).metrics()
    assert metrics["superclass_accuracy"] == 1.0
    assert metrics["errors_within_superclass"] is None
    assert metrics["errors_within_superclass_interval"] is None
    assert metrics["errors_within_superclass_chance"] is None


def test_rows_that_are_not_finite_are_left_out():
    logits = np.array([[np.nan, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]])
    predictions = made(logits, [0, 1, 0], classes=tuple("abcd"))
    superclasses = Superclasses.of(predictions.classes, EVEN)
    result = superclass_accuracy(predictions, superclasses)
    assert result.per_superclass.overall.n == 2
    assert result.per_superclass.overall.n_not_finite == 1
    assert result.metrics()["superclass_accuracy"] == 1.0
    assert result.n_within.tolist() == [1, 0]
    with pytest.raises(NotFiniteError):
        superclass_accuracy(made(np.full((1, 4), np.nan), [0], classes=tuple("abcd")), superclasses)


def test_saves_a_summary_and_two_tables(tmp_path):
    predictions = _made([0, 1, 2, 0], [0, 1, 2, 2])
    groups = EVEN | {"d": "=none"}
    result = superclass_accuracy(predictions, Superclasses.of(predictions.classes, groups))
    summary, table, counts = result.save(tmp_path)
    assert json.loads(summary.read_text()) == result.metrics()
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["superclass"], row["classes"], row["n"]) for row in rows] == [
        ("'=none", "1", "0"),
        ("even", "2", "3"),
        ("odd", "1", "1"),
    ]
    assert [(row["accuracy"], row["errors"], row["within"]) for row in rows] == [
        ("", "0", "0"),
        ("1.0", "1", "1"),
        ("1.0", "0", "0"),
    ]
    assert float(rows[1]["low"]) == wilson(3, 3)[0]
    with counts.open(newline="") as stream:
        assert list(csv.reader(stream))[2] == ["even", "0", "3", "0"]


@pytest.mark.parametrize(
    ("classes", "groups", "said"),
    [
        (("a", "b"), {"a": "x"}, "got none for 'b'"),
        (("a",), {"a": "x", "q": "x"}, "classes of the model, got 'q'"),
        (("a", "a"), {"a": "x"}, "got 'a' twice"),
        (tuple("abcdef"), {}, "'a', 'b', 'c' and 3 more"),
    ],
)
def test_refuses_a_mapping(classes, groups, said):
    with pytest.raises(InputError, match=said):
        Superclasses.of(classes, groups)


def test_refuses_what_does_not_fit():
    with pytest.raises(InputError, match="each of 2 superclasses to have a class"):
        Superclasses(("a", "b"), ("x", "y"), np.array([0, 0]))
    with pytest.raises(InputError, match="expected 2 superclass indices, got 1"):
        Superclasses(("a", "b"), ("x",), np.array([0]))
    with pytest.raises(InputError, match="superclasses of the 4 classes"):
        superclass_accuracy(_made([0], [0]), Superclasses.of(("q",), {"q": "x"}))
