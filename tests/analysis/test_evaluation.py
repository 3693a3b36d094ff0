from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis.evaluation import evaluate
from vitscope.errors import InputError, NotFiniteError


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


def test_keys_are_stable():
    metrics = evaluate(made([[1.0, 0.0]], [0])).metrics()
    assert list(metrics) == [
        "n",
        "n_not_finite",
        "accuracy",
        "accuracy_interval",
        "top5",
        "balanced_accuracy",
        "nll",
        "brier",
        "n_zero_truth",
        "ece",
        "ece_bins",
        "per_class",
        "confusion_pairs",
    ]


def test_saves_what_it_says(tmp_path):
    names = ("=1+1", "[/red]", r"$\frac$", "🐱", "\udcff.png", *"abcde")
    digit, _ = digits()
    evaluation = evaluate(made(digit.logits, digit.labels, classes=names))
    written = evaluation.save(tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in written] == [
        "metrics.json",
        "tables/per_class.csv",
        "tables/confusion_pairs.csv",
        "tables/confusion_counts.csv",
        "tables/reliability.csv",
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
    whole = evaluate(made(logits, digit.labels)).metrics()
    kept = np.isfinite(logits).all(axis=1)
    rest = evaluate(made(logits[kept], digit.labels[kept])).metrics()
    assert whole["n_not_finite"] == np.count_nonzero(~kept)
    assert whole | {"n_not_finite": 0} == rest


def test_one_class_and_one_image():
    metrics = evaluate(made([[3.0]], [0])).metrics()
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
    assert evaluate(loaded).metrics() == evaluate(half).metrics()
    assert evaluate(loaded).metrics()["nll"] == pytest.approx(evaluate(digit).metrics()["nll"], abs=1e-3)


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
