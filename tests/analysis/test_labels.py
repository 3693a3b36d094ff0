from __future__ import annotations

import json
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from tests.oracles import outlying
from tests.oracles.samples import digits, made
from vitscope.analysis import blocks
from vitscope.analysis.labels import InSampleWarning, label_issues
from vitscope.errors import EnvironmentFault, InputError, NotFiniteError


@pytest.fixture(autouse=True)
def _cleanlab():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("cleanlab.experimental.label_issues_batched")


def planted(count=400, wrong=20, classes=5, *, seed=0):
    """Predictions that are right of labels of which the first few were changed."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=count)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), truth] += 5
    labels = truth.copy()
    labels[:wrong] = (labels[:wrong] + rng.integers(1, classes, size=wrong)) % classes
    return made(logits, labels), truth


def test_finds_planted_errors():
    record, truth = planted()
    result = label_issues(record, out_of_sample=True)
    found = set(result.image.tolist())
    assert len(found & set(range(20))) >= 15  # a threshold is the mean: not all lie above it
    assert len(found) <= 20
    planted_ones = result.image < 20
    np.testing.assert_array_equal(result.suggested[planted_ones], truth[result.image[planted_ones]])
    np.testing.assert_array_equal(result.label, record.labels[result.image])
    assert np.all(result.suggested != result.label)
    assert np.all(np.diff(result.self_confidence) >= 0)
    assert result.names == tuple(str(index) for index in result.image)


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition(seed):
    record, _ = planted(60, 9, 4, seed=seed)
    result = label_issues(record, out_of_sample=True)
    assert result.image.tolist() == outlying.label_issues(record.logits.tolist(), record.labels.tolist())


def test_digits_equal_the_definition_and_blocks_do_not_show(monkeypatch):
    record, _ = digits()
    result = label_issues(record, out_of_sample=True)
    assert len(result) > 0
    assert result.image.tolist() == outlying.label_issues(record.logits.tolist(), record.labels.tolist())
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 7 * 8 * 10)
    assert label_issues(record, out_of_sample=True).image.tolist() == result.image.tolist()


def test_cleanlab_in_one_go_agrees():
    """cleanlab's `low_self_confidence` takes the least believed labels, also where they are predicted.

    Its number is ours but for rounding, at most one; of its issues ours are those predicted otherwise, and as
    many more of the next as it spent on the others.
    """
    from cleanlab.filter import find_label_issues

    record, _ = planted(600, 40, 5, seed=2)
    theirs = find_label_issues(
        record.labels,
        record.probabilities,
        filter_by="low_self_confidence",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    result = label_issues(record, out_of_sample=True)
    assert abs(len(theirs) - len(result)) <= 1
    otherwise = [index for index in theirs.tolist() if record.predicted[index] != record.labels[index]]
    assert result.image[: len(otherwise)].tolist() == otherwise[: len(result)]


def test_classes_without_labels_raise_no_issue():
    # Class 2 has no image: nothing tells how sure a prediction of it must be.
    record = made([[3.0, 0.0, 4.0], [3.0, 0.0, 0.0], [0.0, 3.0, 0.0]], [0, 0, 1])
    assert len(label_issues(record, out_of_sample=True)) == 0


def test_in_sample_predictions_are_warned_of():
    record, _ = planted()
    with pytest.warns(InSampleWarning, match="these labels were seen in training"):
        result = label_issues(record, out_of_sample=False)
    assert result.metrics()["label_issues_out_of_sample"] is False


@pytest.mark.parametrize(
    ("logits", "labels"),
    [([[0.0]], [0]), ([[2.0, 0.0]] * 4, [0] * 4), ([[2.0, 0.0]] * 4, [1] * 4), ([[5.0, 0.0]], [0])],
    ids=["one class", "all right", "all wrong", "one image"],
)
def test_degenerate_cases_have_no_issues(logits, labels):
    result = label_issues(made(logits, labels), out_of_sample=True)
    assert (len(result), result.names) == (0, ())
    assert result.metrics() == {
        "label_issues": 0,
        "label_issues_share": 0.0,
        "label_issues_out_of_sample": True,
    }


def test_probabilities_of_exactly_one():
    record = made(np.eye(2)[[0, 0, 1, 1, 1]], [0, 0, 1, 1, 0], kind="probabilities")
    result = label_issues(record, out_of_sample=True)
    assert result.image.tolist() == [4]
    assert result.self_confidence.tolist() == [0.0]


def test_not_finite_rows_are_left_out():
    record, _ = planted()
    logits = record.logits.copy()
    logits[3] = np.nan
    result = label_issues(made(logits, record.labels), out_of_sample=True)
    assert (result.n, result.n_not_finite) == (399, 1)
    assert 3 not in result.image
    with pytest.raises(NotFiniteError):
        label_issues(made([[np.nan, 0.0]], [0]), out_of_sample=True)
    with pytest.raises(InputError, match="at least one image"):
        label_issues(made(np.empty((0, 2)), []), out_of_sample=True)


def test_saves_a_ranked_table(tmp_path):
    record, _ = planted()
    result = label_issues(record, out_of_sample=True)
    table = pd.read_csv(result.save(tmp_path))
    columns = ["rank", "name", "image", "label", "suggested", "self_confidence", "out_of_sample"]
    assert list(table) == columns
    assert table["rank"].tolist() == list(range(1, len(result) + 1))
    assert table["label"].tolist() == [record.classes[index] for index in result.label]
    assert table["out_of_sample"].all()
    assert json.dumps(result.metrics())


def test_without_cleanlab_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab.experimental.label_issues_batched", None)
    with pytest.raises(EnvironmentFault, match="need cleanlab") as caught:
        label_issues(made([[0.0, 1.0]], [0]), out_of_sample=True)
    assert caught.value.hint == "pip install 'vitscope[labels]'"
