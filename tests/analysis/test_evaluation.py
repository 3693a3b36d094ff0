from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis.calibrated import calibrate
from vitscope.analysis.conformal import fit_conformal
from vitscope.analysis.coverage import evaluate_conformal
from vitscope.analysis.evaluation import evaluate
from vitscope.analysis.labels import label_issues
from vitscope.analysis.miscalibration import calibration_errors
from vitscope.analysis.scores import proper_scores
from vitscope.analysis.selective import risk_coverage
from vitscope.analysis.superclasses import Superclasses
from vitscope.errors import InputError, NotFiniteError


@pytest.mark.slow
def test_metrics_on_real_digits():
    predictions, _ = digits()
    metrics = evaluate(predictions).metrics()
    rows, labels = predictions.logits.astype(float).tolist(), predictions.labels.tolist()
    assert metrics["n"] == len(rows)
    assert metrics["accuracy"] == scoring.top_k(rows, labels, 1)
    assert metrics["top5"] == scoring.top_k(rows, labels, 5)
    assert metrics["nll"] == pytest.approx(scoring.nll(rows, labels), rel=1e-12)
    assert metrics["brier"] == pytest.approx(scoring.brier(rows, labels), rel=1e-12)
    assert metrics["ece"] == pytest.approx(scoring.ece(rows, labels, 15), rel=1e-9)
    low, high = metrics["accuracy_interval"]
    assert 0.8 < low < metrics["accuracy"] < high < 1
    assert sum(row["correct"] for row in metrics["per_class"]) == round(metrics["accuracy"] * metrics["n"])
    assert sum(row["count"] for row in metrics["confusion_pairs"]) == metrics["n"] - sum(
        row["correct"] for row in metrics["per_class"]
    )


DOCUMENTED = re.compile(r"`([a-z][a-z0-9_]*(?:SCORE|KIND)?[a-z0-9_]*)`")


def _documented():
    """The keys of the first column of every table of the page."""
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    cells = (line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    keys = {key for cell in cells for key in DOCUMENTED.findall(cell)}
    short = {f"risk_at_{share}_coverage" for share in (90, 95)}  # written with an ellipsis
    return keys | short


def _base(key):
    return key.removesuffix("_interval")


def test_every_key_is_documented():
    predictions, _ = digits()
    cut = np.arange(len(predictions)) % 2 == 0
    groups = Superclasses(predictions.classes, ("even", "odd"), np.arange(10) % 2)
    one, other = predictions.take(cut), predictions.take(~cut)
    evaluation = replace(
        evaluate(one, superclasses=groups, replicates=10),
        calibrated=calibrate(one, other, replicates=10),
        conformal=evaluate_conformal(fit_conformal(other), one),
        label_issues=label_issues(one, out_of_sample=True),
    )
    plain = {_base(key) for key in evaluation.metrics()}
    for key in ("SCORE", "KIND"):
        assert not any(key in name for name in plain)
    elsewhere = {key for key in _documented() if key.startswith(("open_set", "corruption", "mce"))}
    assert plain == _documented() - elsewhere


def test_intervals_are_those_of_each_metric_alone():
    predictions, _ = digits()
    whole = evaluate(predictions, replicates=50, seed=3)
    assert whole.scores == proper_scores(predictions, replicates=50, seed=3)
    assert whole.errors == calibration_errors(predictions, replicates=50, seed=3)
    alone = risk_coverage(predictions, replicates=50, seed=3)
    assert whole.selective.metrics() == alone.metrics()
    bounds = whole.per_class.balanced_interval
    assert bounds[0] < whole.per_class.balanced < bounds[1]
    plain = evaluate(predictions, replicates=0).metrics()
    assert plain["balanced_accuracy_interval"] == list(bounds)
    assert (plain["nll_interval"], plain["ece_interval"]) == (None, None)


def test_other_bins():
    predictions, _ = digits()
    metrics = evaluate(predictions, bins=7, replicates=0).metrics()
    rows, labels = predictions.logits.astype(float).tolist(), predictions.labels.tolist()
    assert metrics["ece_bins"] == 7
    assert metrics["ece"] == pytest.approx(scoring.ece(rows, labels, 7), rel=1e-9)


def test_saves_what_it_says(tmp_path):
    names = ("=1+1", "[/red]", r"$\frac$", "🐱", "\udcff.png", *"abcde")
    digit, _ = digits()
    evaluation = evaluate(made(digit.logits, digit.labels, classes=names), replicates=50)
    written = evaluation.save(tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in written] == [
        "metrics.json",
        "tables/metrics.csv",
        "tables/per_class.csv",
        "tables/confusion_pairs.csv",
        "tables/confusion_counts.csv",
        "tables/reliability.csv",
        "tables/confidence.csv",
        "tables/risk_coverage.csv",
    ]
    assert all(path.is_file() for path in written)
    assert json.loads(written[0].read_text(encoding="utf-8")) == evaluation.metrics()
    assert [row["class"] for row in evaluation.metrics()["per_class"]] == list(names)
    # Written again over itself, byte for byte the same.
    before = [path.read_bytes() for path in written]
    evaluation.save(tmp_path / "out")
    assert [path.read_bytes() for path in written] == before


def test_not_finite_rows_are_reported_everywhere_alike():
    digit, _ = digits()
    logits = digit.logits.copy()
    logits[::10, 3] = np.nan
    whole = evaluate(made(logits, digit.labels), replicates=50).metrics()
    kept = np.isfinite(logits).all(axis=1)
    rest = evaluate(made(logits[kept], digit.labels[kept]), replicates=50).metrics()
    assert whole["n_not_finite"] == np.count_nonzero(~kept)
    assert whole | {"n_not_finite": 0} == rest


def test_one_class_and_one_image():
    metrics = evaluate(made([[3.0]], [0]), replicates=50).metrics()
    assert (metrics["accuracy"], metrics["nll"], metrics["brier"], metrics["ece"]) == (1.0, 0.0, 0.0, 0.0)
    assert metrics["confusion_pairs"] == []


def test_nothing_to_evaluate():
    with pytest.raises(InputError, match="at least one image"):
        evaluate(made(np.empty((0, 2)), []))
    with pytest.raises(NotFiniteError, match="none of the 1 images"):
        evaluate(made([[np.nan, 1.0]], [0]))


def test_reads_memory_mapped_half_precision(tmp_path):
    from vitscope.records.predictions import Predictions

    digit, _ = digits()
    half = made(digit.logits.astype(np.float16), digit.labels)
    half.save(tmp_path / "predictions")
    loaded = Predictions.load(tmp_path / "predictions")
    metrics = evaluate(loaded, replicates=50).metrics()
    assert metrics == evaluate(half, replicates=50).metrics()
    assert metrics["nll"] == pytest.approx(evaluate(digit, replicates=0).metrics()["nll"], abs=1e-3)


def test_needs_no_torch():
    code = "import sys, vitscope.analysis.evaluation; assert not {'torch', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_imagenet_sized_predictions_in_bounded_memory():
    """50,000 × 1,000 half-precision logits: seconds, and far less memory than one float64 copy (400 MB)."""
    import tracemalloc

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 1000, 50_000)
    logits = rng.standard_normal((50_000, 1000), dtype=np.float32).astype(np.float16)
    logits[np.arange(50_000), labels] += 3
    predictions = made(logits, labels)
    tracemalloc.start()
    metrics = evaluate(predictions).metrics()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert 0.3 < metrics["accuracy"] < 0.9


@pytest.mark.parametrize("count", [1, 30])
def test_no_interval_is_without_width(count):
    """One image, or thirty that are all right: there is an honest interval or none."""
    labels = np.arange(count) % 3
    metrics = evaluate(made(np.eye(3)[labels] + np.eye(3)[0] / 9, labels), replicates=50).metrics()
    for key in ("nll", "brier", "ece", "ece_equal_mass", "ece_l2", "smooth_ece"):
        assert metrics[f"{key}_interval"] is None
    low, high = metrics["balanced_accuracy_interval"]
    assert low < 0.9
    assert high == 1
