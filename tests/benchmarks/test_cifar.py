"""The runs of the results page: stopped by the clock, resumed, evaluated once, written down."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from vitscope.paths import folder_format
from vitscope.trainers.presets import load_preset

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def cifar(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("cifar")


@pytest.fixture
def plans(cifar):
    return importlib.import_module("cifar_page")


@pytest.mark.slow
def test_stops_by_the_clock_goes_on_and_writes_the_page(cifar, plans, tmp_path):
    state, page = tmp_path / "state", tmp_path / "docs" / "results.md"
    call = ["--plan", "trial", "--state", str(state), "--page", str(page), "--device", "cpu"]
    assert cifar.main([*call, "--minutes", "1e-4"]) == cifar.UNFINISHED
    assert (state / "trial" / "last.pth").is_file()
    assert folder_format(state / "trial") != "vitscope.run"
    assert page.read_text().count(plans.NOT_YET) == len(plans.PLANS["gpu"] + plans.PLANS["cpu"]) + 1
    assert cifar.main([*call, "--minutes", "5"]) == 0
    runs = json.loads(page.with_suffix(".json").read_text())["trial"]["runs"]
    assert list(runs) == ["trial"]
    assert all(run["epochs"] == 3 and 0 <= run["accuracy"] <= 1 for run in runs.values())
    text = page.read_text()
    low, high = runs["trial"]["interval"]
    assert f"{runs['trial']['accuracy']:.2%} [{low:.2%}, {high:.2%}]" in text
    plans.PLANS["trial"] = [replace(plans.PLANS["trial"][0], epochs=4)]
    assert cifar.main(call) == 1  # what lies there is of another plan, and stays
    assert "| 4 | | | | not measured yet |" in page.read_text()
    plans.PLANS["trial"] = [replace(plans.PLANS["trial"][0], epochs=3)]
    before = (state / "trial" / "evaluation-test" / "manifest.json").stat().st_mtime_ns
    assert cifar.main(call) == 0
    assert (state / "trial" / "evaluation-test" / "manifest.json").stat().st_mtime_ns == before


def test_the_page_says_what_its_file_says(plans):
    page = BENCHMARKS.parent / "docs" / "results.md"
    assert page.read_text() == plans.page(json.loads(page.with_suffix(".json").read_text()))


def test_plans_are_those_of_the_targets(plans):
    gpu = {(job.preset, job.data, job.epochs) for job in plans.PLANS["gpu"]}
    assert gpu == {
        ("vit-tiny", "cifar10", 300),
        ("resnet18", "cifar10", 200),
        ("hybrid", "cifar10", 300),
        ("hybrid", "cifar100", 300),
        ("cct-7-3x1", "cifar10", 300),
    }
    assert len({job.key for job in plans.PLANS["gpu"]}) == 3 * len(gpu)
    assert all(load_preset(job.preset)["epochs"] == job.epochs for job in plans.PLANS["gpu"])


def test_the_utilisation_is_that_of_three_passes(plans):
    job = plans.PLANS["gpu"][0]
    run = {
        "interval": [0.9, 0.95],
        "accuracy": 0.93,
        "seconds": 90,
        "images_per_second": 1000.0,
        "multiply_adds": 10**9,
        "matrix_rate": 4e13,
    }
    # 2 operations a multiply-add, backwards twice as many: 6 · 10¹² of 4 · 10¹³ a second.
    assert "| 1.5 min | 1,000 | 15% | 93.00% [90.00%, 95.00%] |" in plans.line(job, run)


def test_the_pair_is_told_in_points(plans):
    difference = {
        "model": "b",
        "reference": "a",
        "accuracy_difference": -0.0125,
        "accuracy_difference_score_interval": [-0.02, -0.005],
        "mcnemar_p": 0.0012,
    }
    text = plans.pair_text("gpu", {"models": ["a", "b"], "difference": difference})
    assert "b less a is -1.25 points [-2.00, -0.50]; McNemar's exact p = 0.0012." in text
