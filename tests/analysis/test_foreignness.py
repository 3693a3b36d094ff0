from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import outlying
from tests.oracles.samples import made
from tests.oracles.scoring import softmax
from vitscope.analysis import blocks
from vitscope.analysis import foreignness as module
from vitscope.analysis.foreignness import foreignness, neighbour_distance
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.unlabelled import Unlabelled, unlabelled
from vitscope.errors import InputError, UsageError


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (5, 3), elements=st.sampled_from([-700.0, -2.0, 0.0, 1.5, 4.0, 700.0])),
    st.sampled_from([0.5, 1.0, 10.0]),
)
def test_scores_equal_the_plain_loop(logits, temperature):
    scores = foreignness(Unlabelled(logits), temperature=temperature)
    assert list(scores) == ["max_probability", "max_logit", "energy"]
    for index, row in enumerate(logits.tolist()):
        assert scores["max_probability"][index] == pytest.approx(-max(softmax(row)), rel=1e-12)
        assert scores["max_logit"][index] == -max(row)
        assert scores["energy"][index] == pytest.approx(outlying.energy(row, temperature), rel=1e-12)


def test_scores_equal_the_columns_of_outcomes():
    logits = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float16)
    rows, scores = outcomes(made(logits, np.zeros(50))), foreignness(Unlabelled(logits))
    np.testing.assert_allclose(scores["max_probability"], -rows.confidence, rtol=1e-12)
    np.testing.assert_allclose(scores["energy"], -rows.logsumexp, rtol=1e-12)
    np.testing.assert_array_equal(scores["max_logit"], -rows.maximum)


def test_adding_a_constant_moves_logits_and_not_probabilities():
    logits = np.random.default_rng(1).normal(size=(20, 4))
    plain, moved = foreignness(Unlabelled(logits)), foreignness(Unlabelled(logits + 5))
    np.testing.assert_allclose(moved["max_probability"], plain["max_probability"])
    np.testing.assert_allclose(moved["energy"], plain["energy"] - 5)


def test_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(2)
    answers = Unlabelled(rng.normal(size=(90, 4)), features=rng.normal(size=(90, 6)))
    bank = rng.normal(size=(70, 6))
    whole = foreignness(answers, bank=bank, k=9)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 7 * 8 * 4)
    monkeypatch.setattr(module, "_QUERIES", 11)
    monkeypatch.setattr(module, "_STEP", 4)
    for name, column in foreignness(answers, bank=bank, k=9).items():
        np.testing.assert_allclose(column, whole[name], rtol=1e-12)


def test_probabilities_tell_no_logits():
    scores = foreignness(Unlabelled(np.array([[0.7, 0.3], [0.0, 1.0]]), "probabilities"))
    assert list(scores) == ["max_probability"]
    assert scores["max_probability"].tolist() == [-0.7, -1.0]
    with pytest.raises(InputError, match="sum to 1"):
        foreignness(Unlabelled(np.array([[0.7, 0.7]]), "probabilities"))


def test_not_finite_rows_have_no_score():
    answers = Unlabelled(np.array([[0.0, np.nan], [1.0, 2.0], [-np.inf, 0.0]]))
    for column in foreignness(answers).values():
        assert np.isfinite(column).tolist() == [False, True, False]


@pytest.mark.parametrize("k", [1, 3, 10])
def test_distances_equal_the_plain_loop(k):
    rng = np.random.default_rng(3)
    features, bank = rng.normal(size=(6, 4)), rng.normal(size=(10, 4))
    expected = [outlying.neighbour(row, bank.tolist(), k) for row in features.tolist()]
    assert neighbour_distance(features, bank, k=k).tolist() == pytest.approx(expected)
    scaled = neighbour_distance(features * 1e200, bank * 1e-200, k=k)
    assert scaled.tolist() == pytest.approx(expected)


def test_distances_equal_scikit_learn():
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(4)
    features, bank = (rng.normal(size=(count, 16)).astype(np.float32) for count in (40, 300))
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (features, bank)]
    theirs = NearestNeighbors(n_neighbors=50).fit(units[1]).kneighbors(units[0])[0][:, -1]
    np.testing.assert_allclose(neighbour_distance(features, bank), theirs, atol=1e-5)


def test_distances_by_hand():
    bank = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [np.nan, 0.0]])
    features = np.array([[5.0, 0.0], [0.0, 0.0], [np.inf, 1.0]])
    for k, distance in ((1, 0.0), (2, 2**0.5), (3, 2.0)):
        found = neighbour_distance(features, bank, k=k)
        assert found[0] == pytest.approx(distance)
        assert np.isnan(found).tolist() == [False, True, True]  # zeros have no direction
    with pytest.raises(UsageError, match="k from 1 to the 3 images of the bank, got 4"):
        neighbour_distance(features, bank, k=4)
    with pytest.raises(UsageError, match="got 0"):
        neighbour_distance(features, bank, k=0)


def test_features_must_fit():
    with pytest.raises(InputError, match=r"got \[1, 2\] and \[1, 3\]"):
        neighbour_distance(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(InputError, match="expected features for the distance"):
        foreignness(Unlabelled(np.zeros((1, 2))), bank=np.ones((60, 3)))
    with pytest.raises(UsageError, match="temperature above 0, got 0"):
        foreignness(Unlabelled(np.zeros((1, 2))), temperature=0.0)


def test_unlabelled_outputs_have_no_class():
    record = made(np.zeros((3, 2)), [0, 1, 1])
    bare = unlabelled(record)
    assert len(bare) == 3
    assert bare.labels.tolist() == [-1, -1, -1]
    assert bare.logits is record.logits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3),), r"floats \[image, class\], got float64 \[3\]"),
        ((np.zeros((3, 2), dtype=np.int64),), "got int64"),
        ((np.zeros((3, 0)),), r"\[3, 0\]"),
        ((np.zeros((3, 2)), "scores"), "kind `logits` or `probabilities`, got 'scores'"),
        ((np.zeros((3, 2)), "logits", np.zeros((2, 5))), r"of 3 images, got \[2, 5\]"),
    ],
)
def test_unlabelled_outputs_are_checked(arguments, message):
    with pytest.raises(InputError, match=message):
        Unlabelled(*arguments)
