from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from tests.oracles import comparing
from tests.oracles.samples import made
from vitscope.analysis.bootstrap import resampled_weights
from vitscope.analysis.comparison import compare
from vitscope.analysis.estimates import METRICS
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.significance import tango
from vitscope.errors import NotFiniteError, UsageError

NAMES = ("first", "second", "third")


def rivals(count=60, width=6, models=2, seed=0):
    """Models that err on many of the same images, each a little better than the one before."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(width, size=count)
    common = rng.normal(size=(count, width))
    found = {}
    for place, name in enumerate(NAMES[:models]):
        logits = common + rng.normal(size=(count, width))
        logits[np.arange(count), labels] += 1.2 + 0.3 * place
        found[name] = made(logits, labels)
    return found


def test_every_number_by_a_plain_loop():
    models = rivals(models=3)
    result = compare(models, replicates=5)
    labels = models["first"].labels.tolist()
    rows = {name: record.logits.tolist() for name, record in models.items()}
    for place, name in enumerate(models):
        expected = [metric(rows[name], labels) for metric in comparing.METRICS.values()]
        np.testing.assert_allclose(result.estimates.values[place], expected, rtol=1e-12, atol=1e-15)
    adjusted = comparing.holm([each.p for each in result.differences])
    for each, p_holm in zip(result.differences, adjusted, strict=True):
        pair = (rows[each.model], rows[each.reference], labels)
        counts = comparing.overlap(*pair)
        found = each.overlap
        names = ("both_right", "only_model", "only_reference", "wrong_alike", "wrong_apart")
        assert [getattr(found, name) for name in names] == counts
        assert found.error_consistency == pytest.approx(comparing.kappa(*pair))
        assert found.same == (counts[0] + counts[3]) / 60
        assert each.p == pytest.approx(comparing.mcnemar(*counts[1:3]))
        assert each.p_mid == pytest.approx(comparing.mid_p(*counts[1:3]))
        assert each.p_holm == pytest.approx(p_holm)
        np.testing.assert_allclose(each.score_interval, tango(*counts[1:3], 60))
        first, second = models[each.model], models[each.reference]
        values = [
            metric(first.logits.tolist(), labels) - metric(second.logits.tolist(), labels)
            for metric in comparing.METRICS.values()
        ]
        np.testing.assert_allclose(each.values, values, atol=1e-12)
    np.testing.assert_array_equal(result.agreement.same, result.agreement.same.T)
    assert result.agreement.same.diagonal().tolist() == [1, 1, 1]


def test_error_consistency_is_scikit_learns_kappa():
    models = rivals(count=300)
    (difference,) = compare(models, replicates=2).differences
    right = [outcomes(record).correct for record in models.values()]
    assert difference.overlap.error_consistency == pytest.approx(cohen_kappa_score(*right))


def test_intervals_are_of_images_drawn_together():
    """Repeat the drawn images in plain lists, and interpolate between the sorted differences."""
    models = rivals(count=25)
    result = compare(models, replicates=40, seed=3)
    labels = models["first"].labels
    draws = {name: [] for name in METRICS}
    singles = {name: [] for name in METRICS}
    for replicate in range(40):
        weights = resampled_weights(25, replicate=replicate, seed=3).astype(int)
        chosen = np.repeat(np.arange(25), weights)
        pair = [models[name].logits[chosen].tolist() for name in ("second", "first")]
        for name, metric in comparing.METRICS.items():
            drawn = [metric(rows, labels[chosen].tolist()) for rows in pair]
            if name == "ece":
                whole = [
                    metric(models[model].logits.tolist(), labels.tolist()) for model in ("second", "first")
                ]
                drawn = [
                    max(0.0, 2 * own**2 - value**2) ** 0.5 for own, value in zip(whole, drawn, strict=True)
                ]
            draws[name].append(drawn[0] - drawn[1])
            singles[name].append(drawn[1])
    (difference,) = result.differences
    for place, name in enumerate(METRICS):
        expected = [comparing.quantile(draws[name], share) for share in (0.025, 0.975)]
        np.testing.assert_allclose(difference.intervals[place], expected, atol=1e-9)
        if name in ("nll", "brier"):  # of the others, Wilson's, and squares before quantiles
            expected = [comparing.quantile(singles[name], share) for share in (0.025, 0.975)]
            np.testing.assert_allclose(result.estimates.intervals[0, place], expected, atol=1e-9)


def test_classes_by_a_plain_loop():
    models = rivals(count=200, width=5)
    (difference,) = compare(models, replicates=2).differences
    classes = difference.classes
    first, second = (models[name].logits.tolist() for name in ("second", "first"))
    labels = models["first"].labels.tolist()
    ps = []
    for kind in range(5):
        own = [index for index, label in enumerate(labels) if label == kind]
        counts = comparing.overlap(*([rows[i] for i in own] for rows in (first, second, labels)))
        assert (classes.n[kind], classes.only_model[kind], classes.only_reference[kind]) == (
            len(own),
            counts[1],
            counts[2],
        )
        assert classes.value[kind] == pytest.approx((counts[1] - counts[2]) / len(own))
        np.testing.assert_allclose(classes.interval[kind], tango(counts[1], counts[2], len(own)))
        ps.append(comparing.mcnemar(*counts[1:3]))
    np.testing.assert_allclose(classes.p, ps)
    np.testing.assert_allclose(classes.p_holm, comparing.holm(ps))


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(2, 7))
def test_swapping_two_models_changes_signs_alone(seed, count, width):
    models = rivals(count=count, width=width, seed=seed)
    (forward,) = compare(models, replicates=30).differences
    (backward,) = compare(dict(reversed(models.items())), replicates=30).differences
    for swapped in (backward.swapped(), compare(models, replicates=30).difference("second", "first")):
        np.testing.assert_allclose(forward.values, swapped.values, atol=1e-12)
        np.testing.assert_allclose(forward.intervals, swapped.intervals, atol=1e-12)
        np.testing.assert_allclose(forward.score_interval, swapped.score_interval, atol=1e-12)
        assert (forward.p, forward.p_mid, forward.overlap) == (swapped.p, swapped.p_mid, swapped.overlap)
        np.testing.assert_allclose(forward.classes.value, swapped.classes.value, atol=1e-12)
        np.testing.assert_allclose(forward.classes.interval, swapped.classes.interval, atol=1e-12)
        np.testing.assert_array_equal(forward.classes.p_holm, swapped.classes.p_holm)


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_the_order_of_images_changes_nothing_but_the_draws(seed, count):
    models = rivals(count=count, seed=seed)
    order = np.random.default_rng(seed).permutation(count)
    turned = {name: made(record.logits[order], record.labels[order]) for name, record in models.items()}
    one, other = (compare(each, replicates=2) for each in (models, turned))
    np.testing.assert_allclose(one.estimates.values, other.estimates.values, atol=1e-12)
    np.testing.assert_array_equal(one.agreement.same, other.agreement.same)
    assert one.differences[0].overlap == other.differences[0].overlap
    np.testing.assert_array_equal(one.differences[0].classes.p, other.differences[0].classes.p)
    assert sorted(order[other.disputed].tolist()) == one.disputed.tolist()


def test_identical_models_do_not_differ():
    model = rivals()["first"]
    (difference,) = compare({"a": model, "b": model}, replicates=50).differences
    assert not difference.values.any()
    assert np.isnan(difference.intervals).all()  # of draws that are all 0, nothing can be told
    assert (difference.p, difference.p_mid, difference.p_holm) == (1, 1, 1)
    assert difference.overlap.same == difference.overlap.error_consistency == 1
    low, high = difference.score_interval
    assert low == pytest.approx(-high)
    assert low < 0
    assert np.all(difference.classes.p_holm[difference.classes.n > 0] == 1)
    assert json.dumps(difference.metrics(), allow_nan=False)


def test_a_case_by_hand():
    # a right, right, wrong (2), wrong (1); b right, wrong (0), right, wrong (1).
    labels = [0, 1, 0, 0]
    a, b = made(np.eye(3)[[0, 1, 2, 1]], labels), made(np.eye(3)[[0, 0, 0, 1]], labels)
    result = compare({"a": a, "b": b}, replicates=10)
    (difference,) = result.differences
    assert (
        difference.overlap.both_right
        == difference.overlap.only_model
        == difference.overlap.only_reference
        == 1
    )
    assert (difference.overlap.wrong_alike, difference.overlap.wrong_apart) == (1, 0)
    assert difference.overlap.same == 0.5
    assert difference.overlap.error_consistency == 0  # half of them alike, as independent errors would be
    assert difference.values[0] == 0
    assert difference.classes.value.tolist()[:2] == [pytest.approx(1 / 3), -1]
    assert np.isnan(difference.classes.value[2])
    assert np.isnan(difference.classes.p_holm[2])
    assert result.disputed.tolist() == [1, 2]
    found = result.disagreement("a", "b")
    assert [rows.tolist() for rows in (found.only_model, found.only_reference, found.wrong_apart)] == [
        [1],
        [2],
        [],
    ]


def test_one_image_and_all_right():
    sure = made([[9.0, 0.0]], [0])
    result = compare({"a": sure, "b": made([[0.0, 1.0]], [0])}, replicates=5)
    assert result.metrics()["differences"][0]["accuracy_difference"] == -1
    assert result.differences[0].p == 1
    both = compare({"a": sure, "b": sure}, replicates=5)
    assert both.metrics()["error_consistency"] == [[None, None], [None, None]]
    assert both.metrics()["differences"][0]["error_consistency"] is None


def test_rows_that_are_not_finite_in_one_are_left_out_of_all():
    models = rivals(count=30, models=3)
    spoilt = {}
    for place, (name, record) in enumerate(models.items()):
        logits = record.logits.copy()
        logits[place] = np.nan
        spoilt[name] = made(logits, record.labels)
    kept = {name: made(record.logits[3:], record.labels[3:]) for name, record in models.items()}
    result, expected = compare(spoilt, replicates=20), compare(kept, replicates=20)
    assert (result.n, result.n_left_out) == (27, 3)
    np.testing.assert_array_equal(result.estimates.values, expected.estimates.values)
    np.testing.assert_array_equal(result.estimates.intervals, expected.estimates.intervals)
    assert result.disputed.tolist() == (expected.disputed + 3).tolist()
    rows, other = result.disagreement("first", "third"), expected.disagreement("first", "third")
    assert rows.wrong_apart.tolist() == (other.wrong_apart + 3).tolist()
    assert [row["n_not_finite"] for row in result.metrics()["models"]] == [1, 1, 1]


def test_no_image_with_finite_logits_from_all():
    models = {"a": made([[np.nan, 0], [0, 1.0]], [0, 1]), "b": made([[0, 1.0], [np.inf, 0]], [0, 1])}
    with pytest.raises(NotFiniteError, match="from every model"):
        compare(models)


def test_an_infinite_likelihood_has_no_difference():
    right = made([[0.0, 1.0], [0.5, 0.5]], [0, 1], kind="probabilities")
    other = made([[0.5, 0.5], [0.5, 0.5]], [0, 1], kind="probabilities")
    metrics = compare({"a": right, "b": other}, replicates=10).metrics()
    assert metrics["models"][0]["nll"] is metrics["models"][0]["nll_interval"] is None
    assert metrics["differences"][0]["nll_difference"] is None
    assert metrics["differences"][0]["nll_difference_interval"] is None
    assert metrics["differences"][0]["brier_difference"] == pytest.approx(0.5 - 1.25)


def test_outcomes_are_as_good_as_predictions():
    models = rivals()
    reduced = {name: outcomes(record) for name, record in models.items()}
    assert compare(models, replicates=5).metrics() == compare(reduced, replicates=5).metrics()


def test_the_same_seed_gives_the_same_draws():
    models = rivals()
    one, same, other = (compare(models, replicates=10, seed=seed).metrics() for seed in (1, 1, 2))
    assert one == same != other


def test_refuses_one_model_and_unknown_names():
    models = rivals()
    with pytest.raises(UsageError, match="at least two"):
        compare({"first": models["first"]})
    result = compare(models, replicates=2)
    with pytest.raises(UsageError, match="expected one of first, second"):
        result.difference("third", "first")
    with pytest.raises(UsageError, match="twice"):
        result.difference("first", "first")


def test_saves_json_and_tables(tmp_path):
    models = rivals(models=3)
    result = compare(models, replicates=5)
    written = result.save(tmp_path)
    assert json.loads((tmp_path / "comparison.json").read_text()) == result.metrics()
    assert sorted(path.name for path in written) == sorted(
        ["comparison.json", *(path.name for path in (tmp_path / "tables").glob("*.csv"))]
    )

    def rows(name):
        with (tmp_path / "tables" / f"{name}.csv").open(newline="") as stream:
            return list(csv.DictReader(stream))

    assert [row["model"] for row in rows("comparison")] == list(NAMES)
    for row, values in zip(rows("comparison"), result.estimates.values, strict=True):
        assert float(row["accuracy"]) == values[0]
    assert len(rows("estimates")) == 3 * len(METRICS)
    assert len(rows("differences")) == 3 * len(METRICS)
    assert len(rows("class_differences")) == 3 * 6
    assert [(row["model"], row["reference"]) for row in rows("mcnemar")] == [
        ("second", "first"),
        ("third", "first"),
        ("third", "second"),
    ]
    for row, each in zip(rows("mcnemar"), result.differences, strict=True):
        assert float(row["p_holm"]) == each.p_holm
    for row, each in zip(rows("agreement"), result.differences, strict=True):
        assert int(row["wrong_apart"]) == each.overlap.wrong_apart
    disputed = rows("disagreements")
    assert [int(row["image"]) for row in disputed] == result.disputed.tolist()
    assert all(len({row[name] for name in NAMES}) > 1 for row in disputed)
