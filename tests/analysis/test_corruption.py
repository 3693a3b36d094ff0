from __future__ import annotations

import csv
import json
import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.samples import made
from tests.oracles.scoring import wilson_by_search
from vitscope.analysis.corruption import corruption
from vitscope.analysis.corruption_means import ALEXNET_ERRORS
from vitscope.analysis.outcomes import outcomes
from vitscope.data.corruptions.kinds import CORRUPTIONS, GENERATOR, MAIN, SEVERITIES
from vitscope.errors import InputError, UsageError


def predicted(wrong, *, lost=()):
    """Predictions of two classes, the label always 0: wrong where told, not finite where lost."""
    wrong = np.asarray(wrong, dtype=bool)
    logits = np.stack([~wrong, wrong], axis=1).astype(np.float64)
    logits[list(lost)] = np.nan
    return made(logits, np.zeros(len(wrong), dtype=int))


def measured(kinds=MAIN, severities=SEVERITIES, n=60, seed=0):
    random = np.random.default_rng(seed)
    return {
        (kind, severity): predicted(random.random(n) < 0.1 * severity)
        for kind in kinds
        for severity in severities
    }


CLEAN = predicted([True] * 3 + [False] * 57)


def errors_by_hand(cells):
    """Count wrong answers one by one; rows that are not finite count as neither."""
    table = {}
    for (kind, severity), predictions in cells.items():
        right = wrong = 0
        for row, label in zip(predictions.logits, predictions.labels, strict=True):
            if all(np.isfinite(row)):
                right, wrong = right + (np.argmax(row) == label), wrong + (np.argmax(row) != label)
        table.setdefault(kind, {})[severity] = wrong / (right + wrong)
    return table


def test_means_are_those_counted_by_hand():
    cells = measured(tuple(CORRUPTIONS))
    result = corruption(CLEAN, cells, reference=ALEXNET_ERRORS, replicates=50)
    table = errors_by_hand(cells)
    by_kind = {kind: sum(errors.values()) / 5 for kind, errors in table.items()}
    assert result.kinds == tuple(CORRUPTIONS)
    assert result.severities == SEVERITIES
    for row, kind in enumerate(result.kinds):
        assert result.error[row] == pytest.approx([table[kind][severity] for severity in SEVERITIES])
        assert result.kind_error[row] == pytest.approx(by_kind[kind])
    main = [by_kind[kind] for kind in MAIN]
    assert result.corruption_error == pytest.approx(sum(main) / 15)
    assert result.extra_error == pytest.approx(
        np.mean([by_kind[kind] for kind in CORRUPTIONS if kind not in MAIN])
    )
    relative = [5 * by_kind[kind] / sum(ALEXNET_ERRORS[kind]) for kind in MAIN]
    assert result.mce == pytest.approx(sum(relative) / 15)
    assert result.clean_error == pytest.approx(0.05)
    assert result.clean_interval == pytest.approx(wilson_by_search(3, 60))
    assert result.family_kinds("noise") == ("gaussian_noise", "shot_noise", "impulse_noise")
    noise = [table[kind] for kind in result.family_kinds("noise")]
    assert result.family_error("noise") == pytest.approx(
        [np.mean([row[s] for row in noise]) for s in SEVERITIES]
    )


def test_intervals_are_wilsons_and_hold_the_value():
    cells = measured(("fog", "snow"))
    result = corruption(CLEAN, cells, replicates=200)
    for row, column in np.ndindex(result.error.shape):
        wrong = round(60 * result.error[row, column])
        assert result.interval[row, column] == pytest.approx(wilson_by_search(wrong, 60), abs=1e-9)
    low, high = result.corruption_error_interval
    assert low < result.corruption_error < high
    assert np.all(result.kind_interval[:, 0] <= result.kind_error)
    assert np.all(result.kind_error <= result.kind_interval[:, 1])


def test_the_same_images_are_drawn_for_all_kinds():
    """Two kinds with the same errors have the interval of one: their errors rise and fall together."""
    wrong = np.arange(80) < 30
    clean = predicted(np.zeros(80))
    one = corruption(clean, {("fog", 1): predicted(wrong)}, replicates=300)
    both = corruption(clean, {("fog", 1): predicted(wrong), ("snow", 1): predicted(wrong)}, replicates=300)
    assert both.corruption_error_interval == pytest.approx(one.corruption_error_interval)
    against = corruption(
        clean, {("fog", 1): predicted(wrong), ("snow", 1): predicted(np.arange(80) >= 31)}, replicates=300
    )
    low, high = against.corruption_error_interval
    assert 0.45 < low < high < 0.5 + 1e-12
    assert corruption(
        clean, {("fog", 1): predicted(wrong)}, replicates=300, seed=1
    ).corruption_error_interval != (one.corruption_error_interval)


def test_rows_that_are_not_finite_are_left_out_where_they_are():
    cells = {
        ("fog", 1): predicted([True, True, False, False], lost=[0]),
        ("fog", 3): predicted([True, True, False, False]),
        ("snow", 1): predicted([True, False, False, False], lost=[0, 1, 2, 3]),
        ("snow", 3): predicted([True, False, False, False]),
    }
    result = corruption(predicted([True, False, False, False], lost=[0]), cells, replicates=40)
    snow, fog = result.kinds.index("snow"), result.kinds.index("fog")
    assert result.error[fog] == pytest.approx([1 / 3, 1 / 2])
    assert np.isnan(result.error[snow, 0])
    assert result.n_scored.tolist() == [[0, 4], [3, 4]]
    assert np.isnan(result.kind_error[snow])
    assert np.isnan(result.corruption_error)
    assert result.clean_error == 0
    metrics = result.metrics()
    assert metrics["corruption_error"] is metrics["corruption_error_interval"] is None
    assert metrics["corruption_error_fog"] == pytest.approx(5 / 12)
    assert metrics["corruption_n_not_finite"] == 5
    json.dumps(metrics, allow_nan=False)


def test_some_draws_without_a_finite_row_leave_an_interval():
    """Of four images two are not finite: one draw in sixteen has no other, and is left out."""
    fog = predicted([True, False, True, False], lost=[0, 1])
    draws = corruption(predicted(np.zeros(4)), {("fog", 1): fog}, replicates=200)
    low, high = draws.corruption_error_interval
    assert (low, high) == (0, 1)
    assert draws.metrics()["corruption_error_fog_interval"] == [0, 1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([0, 1, -1]), min_size=6, max_size=6), min_size=4, max_size=4),
    st.integers(0, 5),
)
def test_any_verdicts(rows, seed):
    cells = {}
    for place, verdicts in enumerate(rows):
        lost = [index for index, verdict in enumerate(verdicts) if verdict < 0]
        cells["fog" if place < 2 else "spatter", 1 + place % 2] = predicted(
            np.array(verdicts) == 1, lost=lost
        )
    result = corruption(predicted(np.zeros(6)), cells, replicates=5, seed=seed)
    for row, kind in enumerate(("fog", "spatter")):
        for column in range(2):
            verdicts = rows[2 * row + column]
            counted = [verdict for verdict in verdicts if verdict >= 0]
            expected = sum(counted) / len(counted) if counted else np.nan
            assert result.error[row, column] == pytest.approx(expected, nan_ok=True)
        assert result.kind_error[row] == pytest.approx(result.error[row].mean(), nan_ok=True), kind
    assert result.extra_error == pytest.approx(result.kind_error[1], nan_ok=True)


def test_copies_are_read_one_by_one():
    """Pairs from a generator, whose predictions are gone before the next are made."""
    alive = []

    def pairs():
        for severity in SEVERITIES:
            assert all(reference() is None for reference in alive)
            predictions = predicted(np.arange(60) < 6 * severity)
            alive.append(weakref.ref(predictions))
            pair = (("fog", severity), predictions)
            del predictions
            yield pair
            del pair

    result = corruption(CLEAN, pairs(), replicates=20)
    assert result.error[0] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_outcomes_are_as_good_as_predictions():
    cells = measured(("frost",), n=60)
    made_of = {cell: outcomes(predictions) for cell, predictions in cells.items()}
    one, other = corruption(CLEAN, cells, replicates=30), corruption(outcomes(CLEAN), made_of, replicates=30)
    assert one.metrics() == other.metrics()


def test_all_right_and_all_wrong():
    clean = predicted(np.zeros(5))
    right = corruption(clean, {("fog", 2): predicted(np.zeros(5))}, replicates=20)
    assert right.corruption_error == 0
    assert right.metrics()["corruption_error_interval"] is None
    assert right.interval[0, 0, 0] == 0
    wrong = corruption(clean, {("fog", 2): predicted(np.ones(5))}, replicates=20)
    assert wrong.corruption_error == 1
    assert np.isnan(wrong.corruption_error_interval).all()
    alone = corruption(predicted([False]), {("fog", 2): predicted([True])}, replicates=20)
    assert alone.corruption_error == 1


def test_a_model_as_good_as_the_reference_has_an_mce_of_one():
    n = 50_000  # ImageNet's images: the errors are whole numbers of them
    clean = predicted(np.zeros(n))
    cells = {}
    for kind, errors in ALEXNET_ERRORS.items():
        for severity, error in enumerate(errors, start=1):
            wrong = np.arange(n) < round(n * error)
            assert wrong.mean() == pytest.approx(error, abs=1e-12)
            cells[kind, severity] = replace(
                clean, logits=np.stack([~wrong, wrong], axis=1).astype(np.float32)
            )
    result = corruption(clean, cells, reference=ALEXNET_ERRORS, replicates=2)
    assert result.mce == pytest.approx(1, abs=1e-12)


def test_alexnets_errors_are_those_that_augmix_divides_by():
    """The means over severities in the code of AugMix (Hendrycks et al. 2020), in the same order."""
    means = (
        *(0.886428, 0.894468, 0.922640, 0.819880, 0.826268, 0.785948, 0.798360, 0.866816),
        *(0.826572, 0.819324, 0.564592, 0.853204, 0.646056, 0.717840, 0.606500),
    )
    assert tuple(ALEXNET_ERRORS) == MAIN
    assert [np.mean(errors) for errors in ALEXNET_ERRORS.values()] == pytest.approx(means, abs=1e-9)


def test_what_is_saved(tmp_path):
    result = corruption(CLEAN, measured(("fog", "saturate")), replicates=20)
    path = result.save(tmp_path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert path.name == "corruptions.csv"
    assert [row["kind"] for row in rows] == ["none"] + ["fog"] * 5 + ["saturate"] * 5
    assert [row["family"] for row in rows[::5]] == ["none", "weather", "extra"]
    assert {row["generator"] for row in rows[1:]} == {GENERATOR}
    assert float(rows[3]["error"]) == result.error[0, 2]
    assert [float(rows[3]["low"]), float(rows[3]["high"])] == result.interval[0, 2].tolist()
    metrics = result.metrics()
    assert metrics["corruption_n_kinds"] == 1
    assert metrics["corruption_generator"] == GENERATOR
    assert metrics["mce"] is metrics["mce_interval"] is None
    assert all(not isinstance(value, dict) for value in metrics.values())


def test_without_main_or_extra_kinds_their_mean_is_not_there():
    only = corruption(CLEAN, measured(("saturate",)), replicates=20).metrics()
    assert only["corruption_error"] is None
    assert only["corruption_extra_error"] is not None
    assert corruption(CLEAN, measured(("fog",)), replicates=20).metrics()["corruption_extra_error"] is None


def test_published_files_may_be_named():
    result = corruption(CLEAN, measured(("fog",)), generator="CIFAR-10-C", replicates=5)
    assert result.metrics()["corruption_generator"] == "CIFAR-10-C"


def test_what_does_not_fit_is_refused():
    cells = measured(("fog", "snow"))
    with pytest.raises(UsageError, match="snow 3 is missing"):
        corruption(CLEAN, {cell: value for cell, value in cells.items() if cell != ("snow", 3)})
    with pytest.raises(UsageError, match="there is none"):
        corruption(CLEAN, {})
    with pytest.raises(UsageError, match="no corruption 'rain'"):
        corruption(CLEAN, {("rain", 1): CLEAN})
    with pytest.raises(UsageError, match="1 … 5, got 6"):
        corruption(CLEAN, {("fog", 6): CLEAN})
    with pytest.raises(InputError, match="fog 1 of the same 60 images"):
        corruption(CLEAN, {("fog", 1): predicted([True])})
    with pytest.raises(InputError, match="at least one image"):
        corruption(predicted([]), {("fog", 1): predicted([])})


def test_the_mce_needs_all_kinds_and_a_whole_reference():
    with pytest.raises(UsageError, match="got 1 of the kinds at 5 of the severities"):
        corruption(CLEAN, measured(("fog",)), reference=ALEXNET_ERRORS)
    with pytest.raises(UsageError, match="got 15 of the kinds at 2 of"):
        corruption(CLEAN, measured(severities=(1, 2)), reference=ALEXNET_ERRORS)
    for broken in ((), (0.5, 0.5), (0.5, 0.5, 0.5, 0.5, 0.0)):
        with pytest.raises(UsageError, match="five reference errors in 0 … 1 of fog"):
            corruption(CLEAN, measured(), reference={**ALEXNET_ERRORS, "fog": broken})
