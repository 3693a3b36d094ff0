"""`vitscope faithfulness`: what it writes, prints and refuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vitscope.cli.main import app
from vitscope.data.sources import DataSpec, load_split
from vitscope.data.split import stratified_subset
from vitscope.inference.classifier import load
from vitscope.records.faithfulness import Faithfulness

TABLES = ("ranking", "scores", "advantages", "curves")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, ["faithfulness", *map(str, arguments)])


@pytest.mark.slow
def test_the_folder_and_the_table(run, tiny_run, tmp_path):
    answer = run(
        *(
            tiny_run / "best.pth",
            "--limit",
            12,
            "--methods",
            "relevance,gradient-x-input,random",
            "--out",
            "out",
        ),
        *("--metrics", "randomisation,deletion,insertion"),
    )
    assert answer.exit_code == 0, answer.stderr
    assert "relevance, gradient-x-input on digits, test: 12 images" in answer.stderr
    assert "not better than" in answer.stdout or "better than the baselines" in answer.stdout
    assert "written to out: faithfulness.json" in answer.stdout
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert written == {
        "manifest.json", "faithfulness.json", "faithfulness.npz",
        *(f"tables/{name}.{end}" for name in TABLES for end in ("csv", "tex")),
        *(f"figures/{name}.{end}" for name in ("ranking", "curves") for end in ("csv", "pdf", "png", "tex")),
        "figures/captions.json", "figures/drawings/ranking.npz", "figures/drawings/curves.npz",
    }  # fmt: skip
    record = Faithfulness.load(tmp_path / "out" / "faithfulness.npz")
    assert record.methods == ("relevance", "gradient-x-input", "random", "random 8x8", "centre")
    assert record.metrics == ("deletion", "insertion", "randomisation")
    summary = json.loads((tmp_path / "out" / "faithfulness.json").read_text())
    assert (summary["n"], summary["target"], summary["seed"]) == (12, "predicted", 0)
    assert summary["better"]["insertion"] == "higher"
    by_name = {row["method"]: row for row in summary["methods"]}
    np.testing.assert_allclose(by_name["relevance"]["deletion"], record.scores[0, 0].mean())
    with (tmp_path / "out" / "tables" / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5 * 3
    assert record.provenance.data == "digits"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["format"], manifest["n"]) == ("vitscope.faithfulness", 12)
    assert manifest["provenance"]["checkpoint_digest"]


@pytest.mark.slow
def test_json_true_targets_seed_and_limit(run, tiny_run):
    arguments = (
        tiny_run / "best.pth",
        "--limit",
        15,
        "--seed",
        3,
        "--methods",
        "rollout",
        "--metrics",
        "deletion",
    )
    answer = run(*arguments, "--target", "true", "--json", "--quiet", "--out", "one")
    assert (answer.exit_code, answer.stderr) == (0, "")
    summary = json.loads(answer.stdout)
    assert (summary["n"], summary["better"], summary["target"]) == (15, {"deletion": "lower"}, "true")
    assert summary["folder"] == "one"
    images = load_split(DataSpec("digits", validation=0.1, test=0.2), "test")
    chosen = stratified_subset(images.labels, 15, seed=3)
    record = Faithfulness.load("one/faithfulness.npz")
    assert record.names == tuple(images.names[place] for place in chosen)
    assert record.targets.tolist() == images.labels[chosen].tolist()
    model = load(tiny_run / "best.pth")
    given = model.prepare(images.pixels(model.preprocessing, chosen))
    with torch.no_grad():
        expected = model(given).softmax(1)[np.arange(15), record.targets].numpy()
    np.testing.assert_allclose(record.confidence, expected, rtol=1e-4)


@pytest.mark.slow
def test_methods_that_do_not_apply_are_left_out_with_a_reason(run, tiny_resnet):
    answer = run(tiny_resnet, "--limit", 2, "--metrics", "deletion", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "without rollout: this model has no attention" in answer.stderr
    assert "without flow" in answer.stderr
    names = [row["method"] for row in json.loads(answer.stdout)["methods"]]
    assert "grad-cam" in names
    assert "rollout" not in names
    assert names[-1] == "centre"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--metrics", "speed"], 2, "unknown metric 'speed'"),
        (["--methods", "relevanse"], 2, "unknown method 'relevanse'"),
        (["--methods", "random,centre"], 2, "no method but the baselines"),
        (["--limit", "0"], 2, "limit"),
        (["--seed", "-1"], 2, "seed"),
        (["--data", "no-such-data"], 3, "no data set or folder"),
        (["--out", "there"], 5, "exists"),
        (["--overwrite"], 2, "--overwrite needs --out"),
    ],
)
def test_bad_input_is_one_line(run, tiny_run, tmp_path, arguments, code, said):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    answer = run(tiny_run / "best.pth", "--methods", "rollout", *arguments)
    assert answer.exit_code == code, answer.stderr
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) <= 2
    assert not list(tmp_path.glob("faithfulness*"))


def test_a_convolutional_network_has_no_rollout(run, tiny_resnet):
    answer = run(tiny_resnet, "--methods", "rollout", "--limit", 2, "--out", "out")
    assert answer.exit_code == 3
    assert "no attention" in answer.stderr


def test_help_has_an_example(run):
    answer = run("--help")
    assert answer.exit_code == 0
    assert "Example: vitscope faithfulness" in " ".join(answer.stdout.split())
