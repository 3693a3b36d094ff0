"""Every command, through the runner and once as a real process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitscope import __version__
from vitscope.records.heatmap import Heatmap
from vitscope.records.predictions import Predictions

TINY = ["--set", "model.width=24", "--set", "model.depth=2", "--set", "model.heads=2"]


def process(*arguments, cwd, limit=300, **environment):
    return subprocess.run(
        [sys.executable, "-m", "vitscope", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


@pytest.mark.slow
def test_version_and_help(run):
    assert run("--version").stdout.strip() == f"vitscope {__version__}"
    assert run().exit_code == 0
    for command in (
        "train",
        "evaluate",
        "attention",
        "explain",
        "compare",
        "presets",
        "models",
        "datasets",
        "export",
    ):
        answer = run(command, "--help")
        assert answer.exit_code == 0
        assert f"Example: vitscope {command}" in " ".join(answer.stdout.split())


def test_help_imports_neither_torch_nor_matplotlib(tmp_path):
    code = (
        "import sys; from vitscope.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'pandas', 'sklearn', 'scipy', 'numpy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "evaluate" in answer.stdout


def test_import_vitscope_is_cheap():
    code = "import sys, vitscope; assert not {'torch', 'matplotlib', 'numpy', 'pandas'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_train_writes_the_run_folder(run, tmp_path):
    answer = run("train", "--epochs", 1, *TINY, "--out", "first", "--seed", 3)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith("first/best.pth: epoch 1 of 1")
    assert "epoch 1/1" in answer.stderr
    names = {
        str(item.relative_to(tmp_path / "first"))
        for item in (tmp_path / "first").rglob("*")
        if item.is_file()
    }
    assert names == {
        "best.pth",
        "config.yaml",
        "last.pth",
        "manifest.json",
        "metrics.csv",
        *(f"figures/history.{kind}" for kind in ("csv", "pdf", "png", "tex")),
        "figures/captions.json",
        "figures/drawings/history.npz",
    }


@pytest.mark.slow
def test_train_goes_below_runs_and_latest_points_there(run, tmp_path):
    answer = run("train", "--epochs", 1, *TINY, "--json")
    assert answer.exit_code == 0, answer.stderr
    result = json.loads(answer.stdout)
    assert result["epochs"] == 1
    latest = tmp_path / "runs" / "latest"
    assert latest.is_symlink()
    assert (latest / "best.pth").resolve() == (tmp_path / result["checkpoint"]).resolve()
    assert latest.resolve().name.endswith("_digits_digits")


@pytest.mark.slow
def test_evaluate_needs_no_other_argument(run, tiny_run, tmp_path):
    (tmp_path / "evaluation").mkdir()
    dots = f"{tmp_path}/evaluation/../evaluation/."
    answer = run("evaluate", tiny_run / "best.pth", "--out", dots, "--verbose")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith("accuracy")
    assert "seconds: import" in answer.stderr
    folder = tmp_path / "evaluation"
    metrics = json.loads((folder / "metrics.json").read_text())
    predictions = Predictions.load(folder / "predictions")
    assert metrics["n"] == len(predictions) == 360
    right = float(np.mean(np.argmax(predictions.logits, axis=1) == predictions.labels))
    assert metrics["accuracy"] == pytest.approx(right, abs=1e-12)
    assert metrics["accuracy_interval"][0] < right < metrics["accuracy_interval"][1]
    assert {"top5", "nll", "brier", "ece", "per_class", "confusion_pairs"} <= set(metrics)
    for name in ("per_class", "confusion", "reliability", "samples", "misclassified"):
        assert (folder / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        with Image.open(folder / "figures" / f"{name}.png") as picture:
            assert min(picture.size) > 300
    for name in ("per_class", "confusion_pairs"):
        assert (folder / "tables" / f"{name}.csv").stat().st_size
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["provenance"]["checkpoint"] == str(tiny_run / "best.pth")
    assert manifest["provenance"]["split"] == "test"


@pytest.mark.slow
def test_evaluate_json_is_one_object_beside_the_checkpoint(run, tiny_run, tmp_path):
    (tmp_path / "best.pth").write_bytes((tiny_run / "best.pth").read_bytes())
    answer = run("evaluate", "--quiet", "--json", "--split", "validation", "--batch-size", 7)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stderr == ""
    metrics = json.loads(answer.stdout)
    folder = "evaluation-validation"
    assert metrics == json.loads((tmp_path / folder / "metrics.json").read_text()) | {"folder": folder}
    assert metrics["n"] == 144


@pytest.mark.slow
def test_evaluate_makes_a_new_folder_each_time(run, tiny_run, evaluated, tmp_path):
    (tmp_path / "best.pth").write_bytes((tiny_run / "best.pth").read_bytes())
    shutil.copytree(evaluated, tmp_path / "evaluation-test")
    before = (tmp_path / "evaluation-test" / "manifest.json").read_bytes()
    answer = run("evaluate", "--quiet", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["folder"] == "evaluation-test-2"
    assert (tmp_path / "evaluation-test" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("method", ["rollout", "raw"])
def test_attention_of_a_file(run, tiny_run, tmp_path, method):
    picture = tmp_path / "a picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(picture)
    answer = run("attention", f"--{method}", picture, "--checkpoint", tiny_run / "best.pth", "--out", "maps")
    assert answer.exit_code == 0, answer.stderr
    assert (tmp_path / "maps" / "a-picture.pdf").exists()
    maps = Heatmap.load(tmp_path / "maps" / "heatmaps.npz")
    assert maps.values.shape == ((1 if method == "rollout" else 2), 4, 4)
    row = json.loads((tmp_path / "maps" / "manifest.json").read_text())["images"][0]
    assert row["figure"] == "a-picture.pdf"
    assert 0.1 <= row["confidence"] <= 1
    assert row["predicted"] in answer.stdout


@pytest.mark.slow
def test_the_figure_that_is_named_is_the_file_that_was_asked_for(run, tiny_run, tmp_path):
    at = ("--index", "0", "--checkpoint", tiny_run / "best.pth", "--venue", "cvpr", "--format", "svg,png")
    answer = run("attention", *at, "--out", "one")
    assert answer.exit_code == 0, answer.stderr
    row = json.loads((tmp_path / "one" / "manifest.json").read_text())["images"][0]
    assert row["figure"].endswith(".svg")
    assert (tmp_path / "one" / row["figure"]).is_file()
    assert not list((tmp_path / "one").glob("*.pdf"))
    assert "written to one, SVG and PNG, and" in answer.stderr
    answer = run("explain", *at, "--out", "two", "--json")
    assert answer.exit_code == 0, answer.stderr
    figure = json.loads(answer.stdout)["images"][0]["figure"]
    assert (tmp_path / "two" / figure).is_file()


@pytest.mark.slow
def test_attention_of_the_own_data_and_of_patterns(run, tiny_run, tmp_path):
    answer = run(
        "attention", "--index", "0-2,5", "--checkpoint", tiny_run / "best.pth", "--out", "own", "--json"
    )
    assert answer.exit_code == 0, answer.stderr
    rows = json.loads(answer.stdout)["images"]
    assert [row["name"] for row in rows] == [f"digits-test-{index}" for index in (0, 1, 2, 5)]
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(3):
        Image.new("L", (8, 8), 60 * index).save(pictures / f"{index}.png")
    (pictures / "notes.txt").write_text("not an image")
    for what in ("pictures", "pictures/*.png"):
        answer = run("attention", what, "--checkpoint", tiny_run / "best.pth", "--json")
        assert answer.exit_code == 0, answer.stderr
        assert len(json.loads(answer.stdout)["images"]) == 3


@pytest.mark.slow
def test_attention_of_many_equals_attention_of_each(run, tiny_run, tmp_path):
    run("attention", "--index", "0-3", "--checkpoint", tiny_run / "best.pth", "--out", "all")
    together = Heatmap.load(tmp_path / "all" / "heatmaps.npz").values
    for index in range(4):
        run("attention", "--index", index, "--checkpoint", tiny_run / "best.pth", "--out", f"one{index}")
        alone = Heatmap.load(tmp_path / f"one{index}" / "heatmaps.npz").values
        np.testing.assert_allclose(together[index], alone[0], atol=1e-6)


@pytest.mark.slow
def test_the_checkpoint_is_found(run, tiny_run, tmp_path, monkeypatch):
    assert "no checkpoint here" in run("attention", "--index", "0").stderr
    newest = tmp_path / "runs" / "20260101T000000Z_x"
    newest.mkdir(parents=True)
    weights = (tiny_run / "best.pth").read_bytes()
    (newest / "best.pth").write_bytes(weights)
    answer = run("attention", "--index", "0", "--out", "a")
    assert answer.exit_code == 0, answer.stderr
    assert "the newest run's" in answer.stderr
    (tmp_path / "best.pth").write_bytes(weights)
    assert "checkpoint: best.pth (here)" in run("attention", "--index", "0", "--out", "b").stderr
    monkeypatch.setenv("VITSCOPE_CHECKPOINT", str(tiny_run / "best.pth"))
    assert "from $VITSCOPE_CHECKPOINT" in run("attention", "--index", "0", "--out", "c").stderr
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert manifest["provenance"]["checkpoint"] == str(tiny_run / "best.pth")


@pytest.mark.slow
@pytest.mark.timeout(1200)  # five minutes and more on a processor without AVX-512
def test_the_main_job_as_real_processes_reaches_97_percent(tmp_path):
    answer = process("train", "--out", "run", cwd=tmp_path, limit=900)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == answer.stdout.strip() + "\n"
    answer = process("evaluate", "run/best.pth", "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    metrics = json.loads(answer.stdout)
    assert metrics["n"] == 360
    assert metrics["accuracy"] >= 0.97
    answer = process("attention", "--rollout", "--index", "0-1", "--checkpoint", "run/best.pth", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert Path(tmp_path / "run" / "attention-rollout" / "heatmaps.npz").exists()
    answer = process("evaluate", "nothing.pth", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (3, "")
    assert len(answer.stderr.splitlines()) <= 2


@pytest.mark.slow
def test_patterns_with_brackets_readmes_and_folders(run, tiny_run, tmp_path):
    for name in ("d[1]/a.png", "d[1]/deep/b.PNG", "other/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 90).save(tmp_path / name, "PNG")
    (tmp_path / "d[1]" / "readme.txt").write_text("no image")
    for pattern, count in (("d[1]/*.png", 1), ("d[1]/*", 2), ("*", 3), ("**/*.png", 2), ("d[[]1]", 2)):
        answer = run("attention", pattern, "--checkpoint", tiny_run / "best.pth", "--json")
        assert answer.exit_code == 0, answer.stderr
        assert len(json.loads(answer.stdout)["images"]) == count, pattern


@pytest.mark.slow
def test_a_run_is_resumed_and_evaluated_from_another_folder(run, tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(20):
            level = generator.integers(0, 90, (8, 8), dtype=np.uint8) + (150 if name == "light" else 0)
            Image.fromarray(level.astype(np.uint8)).save(tmp_path / "data" / name / f"{index}.png")
    answer = run("train", "vit-micro", "--data", "data", "--epochs", 1, *TINY, "--out", "run")
    assert answer.exit_code == 0, answer.stderr
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("train", "--resume", tmp_path / "run").exit_code == 0
    answer = run("train", "--config", tmp_path / "run" / "config.yaml", "--out", "again")
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(run("evaluate", tmp_path / "run" / "best.pth", "--json").stdout)["n"] == 8
    # Its own folder is divided as in training; one that the model does not know is a test split throughout.
    (tmp_path / "data").rename(tmp_path / "moved")
    answer = run("evaluate", tmp_path / "run" / "best.pth")
    assert (answer.exit_code, "--data" in answer.stderr) == (3, True)
    answer = run("evaluate", tmp_path / "run" / "best.pth", "--data", tmp_path / "moved", "--json")
    assert json.loads(answer.stdout)["n"] == 40


@pytest.mark.slow
def test_overwriting_a_run_takes_its_results_with_it(run, evaluated, tmp_path):
    assert run("train", "--epochs", 1, *TINY, "--out", "run").exit_code == 0
    shutil.copytree(evaluated, tmp_path / "run" / "evaluation-test")
    (tmp_path / "run" / "mine").mkdir()
    manifest = (tmp_path / "run" / "manifest.json").read_text()
    assert run("train", "--resume", "run").exit_code == 0
    assert (tmp_path / "run" / "manifest.json").read_text() == manifest
    assert run("train", "--epochs", 1, *TINY, "--out", "run", "--overwrite").exit_code == 0
    assert not (tmp_path / "run" / "evaluation-test").exists()
    assert (tmp_path / "run" / "mine").exists()


def test_an_output_named_by_a_dot(run, tiny_run, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    answer = run("attention", "--index", "0", "--checkpoint", tiny_run / "best.pth", "--out", ".")
    assert answer.exit_code == 0, answer.stderr
    assert (tmp_path / "here" / "heatmaps.npz").exists()
