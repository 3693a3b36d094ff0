"""The ranking of methods: by hand, by the bootstrap's own draws, and of records that tell little."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from tests.oracles.faithful import made, noisy
from vitscope.analysis.bootstrap import resampled_weights
from vitscope.analysis.faithfulness import all_draws, rank_methods
from vitscope.analysis.perturbation_curves import mean_curves, save_curves
from vitscope.errors import InputError
from vitscope.records.faithfulness import METRICS, Faithfulness


def test_ranks_follow_each_metric_s_direction():
    record = made(
        noisy([[0.1, 0.9, 0.2], [0.3, 0.5, 0.1], [0.4, 0.4, 0.3], [0.5, 0.3, 0.4]]),
        metrics=("deletion", "insertion", "max_sensitivity"),
    )
    ranking = rank_methods(record)
    assert ranking.ranks[:2].tolist() == [[1, 1, 2], [2, 2, 1]]
    assert np.isnan(ranking.ranks[2:]).all()
    assert ranking.mean_ranks[:2].tolist() == [1, 2]  # the check does not count
    assert [record.methods[place] for place in ranking.order] == ["good", "poor", "random", "centre"]
    np.testing.assert_allclose(ranking.means, record.scores.mean(axis=2))


def test_intervals_are_quantiles_of_the_shared_draws():
    record = made(noisy([[0.1], [0.3], [0.4], [0.5]], images=30))
    ranking = rank_methods(record, replicates=200, seed=3)
    draws = np.array(
        [
            (record.scores[0, 0] - record.scores[2, 0]) @ resampled_weights(30, replicate=number, seed=3) / 30
            for number in range(200)
        ]
    )
    against = next(each for each in ranking.advantages if (each.method, each.baseline) == ("good", "random"))
    np.testing.assert_allclose([against.low, against.high], np.quantile(draws, [0.025, 0.975]))
    assert against.difference == pytest.approx(np.mean(record.scores[0, 0] - record.scores[2, 0]))
    assert all_draws(30, replicates=2, seed=3).sum(axis=1).tolist() == [30, 30]


def test_pairing_finds_a_difference_that_the_intervals_hide():
    ranking = rank_methods(made(noisy([[0.25], [0.3], [0.3], [0.3]], spread=0.5)))
    low, high = ranking.intervals[0, 0]
    assert low < ranking.means[2, 0] < high
    assert ranking.beaten("good", "deletion")
    assert not ranking.beaten("poor", "deletion")
    assert ranking.verdict("good") == "better than the baselines"
    assert ranking.verdict("poor") == "not better than random or centre in deletion"
    assert ranking.verdict("random") == "baseline"


def test_a_method_that_is_worse_does_not_beat_though_it_differs():
    ranking = rank_methods(made(noisy([[0.9], [0.9], [0.3], [0.1]]), metrics=("insertion",)))
    assert ranking.beaten("good", "insertion")
    worse = rank_methods(made(noisy([[0.9], [0.9], [0.3], [0.1]]), metrics=("deletion",)))
    assert worse.unbeaten("good", "deletion") == ("random", "centre")


def test_noise_is_that_of_the_method_s_own_grid():
    methods = ("good", "pixels", "random", "random 8x8", "centre")
    ranking = rank_methods(made(noisy([[0.2], [0.2], [0.3], [0.1], [0.3]]), methods=methods))
    assert ranking.beaten("good", "deletion")
    assert ranking.unbeaten("pixels", "deletion") == ("random 8x8",)
    assert [each.baseline for each in ranking.advantages] == ["random", "centre", "random 8x8", "centre"]


def test_checks_are_compared_with_the_other_end_alone():
    scores = noisy([[0.5, 0.5], [0.6, 0.6], [1.0, 0.0], [0.0, 1.0]])
    ranking = rank_methods(made(scores, metrics=("max_sensitivity", "randomisation")))
    assert ranking.beaten("good", "max_sensitivity")
    assert ranking.beaten("good", "randomisation")
    assert {(each.metric, each.baseline) for each in ranking.advantages} == {
        ("max_sensitivity", "random"),
        ("randomisation", "centre"),
    }
    assert np.isnan(ranking.mean_ranks).all()


def test_checks_on_some_images_count_those_alone():
    scores = noisy([[0.5, 0.5], [0.6, 0.6], [1.0, 1.0], [0.0, 0.0]], images=10)
    scores[:, 1, 3:] = np.nan
    ranking = rank_methods(made(scores, metrics=("deletion", "max_sensitivity")))
    assert ranking.measured.tolist() == [10, 3]
    np.testing.assert_allclose(ranking.means[:, 1], scores[:, 1, :3].mean(axis=1))


def test_equal_methods_share_their_places():
    scores = noisy([[0.2], [0.2], [0.3], [0.3]])
    scores[1] = scores[0]
    assert rank_methods(made(scores)).ranks[:2, 0].tolist() == [1.5, 1.5]


def test_one_image_cannot_tell_and_scores_that_never_vary_have_no_interval():
    one = rank_methods(made(noisy([[0.1], [0.3], [0.4], [0.5]], images=1)))
    assert one.verdict("good") == "one image cannot tell"
    assert np.isnan(one.intervals).all()
    flat = rank_methods(made(np.repeat([[[0.1]], [[0.4]], [[0.4]], [[0.4]]], 20, axis=2)))
    assert np.isnan(flat.intervals).all()
    assert flat.beaten("good", "deletion")
    assert not flat.beaten("poor", "deletion")


def test_rows_are_flat_and_json_can_hold_them():
    scores = noisy([[0.1, 0.2], [0.3, 0.1], [0.4, 0.9], [0.5, 0.0]])
    rows = rank_methods(made(scores, metrics=("deletion", "max_sensitivity"))).rows()
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert list(rows[0]) == [
        "method", "mean_rank", "verdict",
        "deletion", "deletion_interval", "deletion_rank",
        "max_sensitivity", "max_sensitivity_interval", "max_sensitivity_rank",
        "deletion_beats_random", "deletion_beats_centre", "max_sensitivity_beats_random",
    ]  # fmt: skip
    assert (rows[0]["method"], rows[0]["deletion_rank"], rows[0]["deletion_beats_random"]) == (
        "good",
        1,
        True,
    )
    assert (rows[-1]["method"], rows[-1]["mean_rank"], rows[-1]["verdict"]) == ("centre", None, "baseline")


def test_tables(tmp_path):
    ranking = rank_methods(made(noisy([[0.1], [0.3], [0.4], [0.5]])))
    paths = ranking.save(tmp_path)
    assert [path.name for path in paths] == ["ranking.csv", "scores.csv", "advantages.csv"]
    assert all(path.with_suffix(".tex").exists() for path in paths)
    with paths[0].open() as stream:
        head, *rows = csv.reader(stream)
    assert head == ["method", "mean_rank", "deletion", "verdict"]
    assert [row[0] for row in rows] == ["good", "poor", "random", "centre"]
    assert rows[0][1:3] == ["1.0", "1.0"]
    assert rows[2][1:3] == ["", ""]


def test_curves_are_averaged(tmp_path):
    curves = {"deletion": np.random.default_rng(0).random((4, 20, 3))}
    record = made(noisy([[0.1], [0.3], [0.4], [0.5]], images=20), curves=curves)
    found = mean_curves(record, replicates=100)
    each = found["deletion"]["poor"]
    np.testing.assert_allclose(each.means, curves["deletion"][1].mean(axis=0))
    assert (each.intervals[:, 0] < each.means).all()
    assert (each.means < each.intervals[:, 1]).all()
    with save_curves(found, tmp_path / "curves.csv").open() as stream:
        head, *rows = csv.reader(stream)
    assert head == ["curve", "method", "fraction", "probability", "low", "high"]
    assert len(rows) == 4 * 3
    with pytest.raises(InputError, match="no curves"):
        mean_curves(made(noisy([[0.1], [0.3], [0.4], [0.5]])))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": ("speed",)}, "expected metrics of deletion"),
        ({"methods": ("a", "a", "random", "centre")}, "each once"),
        ({"scores": np.zeros((4, 2, 5))}, "expected scores"),
        ({"scores": np.full((4, 1, 5), np.inf)}, "is not finite"),
        ({"scores": np.full((4, 1, 5), np.nan)}, "on no image"),
        ({"names": ("one",)}, "expected 5 names"),
        ({"curves": {"deletion": np.zeros((3, 5, 2))}}, "expected the deletion curve"),
    ],
)
def test_records_that_do_not_fit_together(change, said):
    known = {"scores": np.zeros((4, 1, 5))} | change
    with pytest.raises(InputError, match=said):
        made(**known)


def test_a_score_that_one_method_lacks_is_refused():
    scores = np.zeros((4, 1, 5))
    scores[1, 0, 2] = np.nan
    with pytest.raises(InputError, match="deletion of poor is not finite"):
        made(scores)


def test_files_that_hold_no_scores(tmp_path):
    path = tmp_path / "other.npz"
    path.write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"does not hold vitscope\.faithfulness"):
        Faithfulness.load(path)


def test_every_metric_says_where_it_comes_from():
    for name, metric in METRICS.items():
        assert (name, metric.name) == (metric.name, name)
        assert "arXiv" in metric.source
        assert metric.better in ("lower", "higher")
