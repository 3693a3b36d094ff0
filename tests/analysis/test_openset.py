from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.oracles import selecting
from tests.oracles.samples import made
from vitscope.analysis.foreignness import foreignness
from vitscope.analysis.intervals import wilson
from vitscope.analysis.openset import open_set
from vitscope.analysis.unlabelled import Unlabelled
from vitscope.errors import InputError, NotFiniteError, UsageError


def world(*, known=60, foreign=40, features=None):
    rng = np.random.default_rng(0)
    sides = []
    for count, strength in ((known, 3.0), (foreign, 1.0)):
        logits = rng.normal(size=(count, 4))
        logits[:, 0] += strength
        sides.append(
            Unlabelled(logits.round(1), features=features and rng.normal(strength, 1, (count, features)))
        )
    return sides


def test_every_number_equals_the_plain_loops():
    known, foreign = world(features=5)
    bank = np.random.default_rng(1).normal(3, 1, (80, 5))
    result = open_set(known, foreign, bank=bank, k=7, temperature=2.0)
    scores = [foreignness(side, bank=bank, k=7, temperature=2.0) for side in (known, foreign)]
    assert [score.name for score in result.scores] == ["max_probability", "max_logit", "energy", "knn"]
    for score in result.scores:
        home, abroad = (side[score.name].tolist() for side in scores)
        assert score.auroc.value == pytest.approx(selecting.area(abroad, home))
        assert score.fpr_foreign_positive == pytest.approx(
            selecting.least_false_positives(abroad, home, 0.95)
        )
        flipped = ([-value for value in home], [-value for value in abroad])
        assert score.fpr_known_positive == pytest.approx(selecting.least_false_positives(*flipped, 0.95))
        assert score.known.sum() == 60
        assert score.foreign.sum() == 40
        assert score.known.size == score.edges.size - 1


def test_precisions_equal_scikit_learn():
    from sklearn.metrics import average_precision_score

    known, foreign = world()
    score = open_set(known, foreign).scores[2]
    values = np.concatenate([foreignness(side)["energy"] for side in (known, foreign)])
    is_foreign = np.arange(100) >= 60
    assert score.aupr_foreign_positive == pytest.approx(average_precision_score(is_foreign, values))
    assert score.aupr_known_positive == pytest.approx(average_precision_score(~is_foreign, -values))


def test_both_orientations_differ():
    # Foreign scores reach far into the known ones on one side only.
    known = Unlabelled(np.stack([np.linspace(4, 6, 100), np.zeros(100)], axis=1))
    foreign = Unlabelled(np.stack([np.append(np.zeros(90), np.full(10, 5.0)), np.zeros(100)], axis=1))
    score = open_set(known, foreign).scores[1]
    assert score.name == "max_logit"
    assert score.fpr_foreign_positive == 0.5
    assert score.fpr_known_positive == 0.1


def test_labels_do_not_count():
    logits = np.random.default_rng(2).normal(size=(30, 3))
    _, foreign = world()
    foreign = Unlabelled(foreign.logits[:, :3])
    first, second = (open_set(made(logits, np.full(30, label)), foreign) for label in (0, 2))
    assert first.metrics() == second.metrics()


def test_swapping_the_sides_turns_the_area():
    known, foreign = world()
    there, back = open_set(known, foreign), open_set(foreign, known)
    for first, second in zip(there.scores, back.scores, strict=True):
        assert first.auroc.value == pytest.approx(1 - second.auroc.value)


def test_equal_sets_tell_nothing():
    known, _ = world()
    for score in open_set(known, known).scores:
        assert score.auroc.value == 0.5


def test_constant_logits_and_single_images():
    same = Unlabelled(np.zeros((1, 3)))
    for score in open_set(same, same).scores:
        assert (score.auroc.value, score.fpr_foreign_positive, score.fpr_known_positive) == (0.5, 1.0, 1.0)
        assert score.auroc.interval == tuple(wilson(0.5, 1).tolist())
        assert (score.known.sum(), score.foreign.sum()) == (1, 1)


def test_one_class_and_probabilities_of_exactly_one():
    one = Unlabelled(np.ones((5, 1)), "probabilities")
    result = open_set(one, one)
    assert [score.name for score in result.scores] == ["max_probability"]
    assert result.scores[0].auroc.value == 0.5


def test_not_finite_rows_are_left_out_of_every_score():
    known, foreign = world(features=2)
    logits, features = known.logits.copy(), foreign.features.copy()
    logits[:3] = np.nan
    features[5] = np.inf
    bank = np.random.default_rng(1).normal(size=(60, 2))
    result = open_set(
        Unlabelled(logits, features=known.features), Unlabelled(foreign.logits, features=features), bank=bank
    )
    assert (result.n_known, result.n_known_not_finite) == (57, 3)
    assert (result.n_foreign, result.n_foreign_not_finite) == (39, 1)
    assert {score.auroc.n_positive for score in result.scores} == {39}
    assert {score.auroc.n_negative for score in result.scores} == {57}
    with pytest.raises(NotFiniteError, match="none of the 2 foreign images"):
        open_set(known, Unlabelled(np.full((2, 4), np.nan)))


def test_metrics_are_flat_json():
    known, foreign = world()
    metrics = open_set(known, foreign).metrics()
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    for name in ("max_probability", "max_logit", "energy"):
        assert metrics[f"open_set_{name}_auroc"] is not None
        assert f"open_set_{name}_fpr_at_95_tpr_foreign_positive" in metrics
        assert f"open_set_{name}_fpr_at_95_tpr_known_positive" in metrics
    assert metrics["open_set_n_foreign"] == 40


def test_saves_a_row_a_score(tmp_path):
    result = open_set(*world())
    table = pd.read_csv(result.save(tmp_path))
    assert table["score"].tolist() == ["max_probability", "max_logit", "energy"]
    assert table["auroc"].tolist() == [score.auroc.value for score in result.scores]
    assert table["auroc_low"].tolist() == [score.auroc.interval[0] for score in result.scores]
    assert table["n_known"].tolist() == [60] * 3


def test_a_few_far_outliers_do_not_stretch_the_histogram():
    known, foreign = world(known=2000, foreign=2000)
    logits = known.logits.copy()
    logits[0, 0] = 1e9
    score = open_set(Unlabelled(logits), foreign).scores[1]
    assert score.edges[0] > -100
    assert score.known.sum() == 2000


def test_refuses_what_does_not_fit():
    known, foreign = world(features=3)
    with pytest.raises(InputError, match="4 classes as logits and 2 as logits"):
        open_set(known, Unlabelled(np.zeros((2, 2))))
    with pytest.raises(InputError, match="as logits and 4 as probabilities"):
        open_set(known, Unlabelled(np.full((2, 4), 0.25), "probabilities"))
    with pytest.raises(InputError, match="known and foreign images, got 60 and 0"):
        open_set(known, Unlabelled(np.zeros((0, 4))))
    with pytest.raises(UsageError, match="bank of other images"):
        open_set(known, foreign, bank=known.features)
