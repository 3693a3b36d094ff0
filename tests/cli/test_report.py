from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.report.pages import digits, write
from vitscope.cli.report import _names
from vitscope.data.sources import DataSpec, load_split
from vitscope.inference.classifier import load
from vitscope.inference.prediction import predict


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    return write(digits()[1], tmp_path_factory.mktemp("cli") / "vit" / "evaluation-test")


def test_a_page_is_written_and_told(run, evaluated, tmp_path):
    answer = run("report", evaluated, "--no-maps", "--json")
    assert answer.exit_code == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told == {
        "file": "report.html",
        "bytes": (tmp_path / "report.html").stat().st_size,
        "runs": ["vit"],
        "warnings": ["vit: Without attention maps: --no-maps was given."],
    }
    assert run("report", evaluated).exit_code == 5
    answer = run("report", evaluated, "--overwrite", "--quiet", "--names", "mine")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout.startswith("written to report.html: 0.")
    assert "mine on digits, test" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["report"], 2, "missing argument"),
        (["report", "nothing"], 3, "nothing is no run"),
        (["report", ".", "."], 2, "given twice"),
        (["report", ".", "..", "--names", "a"], 2, "expected 2 names"),
    ],
)
def test_bad_input_is_one_line(run, arguments, code, said):
    answer = run(*arguments)
    assert answer.exit_code == code
    assert said in answer.stderr.lower()
    assert answer.stderr.count("error: ") == 1


def test_numbers_that_are_not_whole(run, evaluated, tmp_path):
    copy = tmp_path / "cut" / "evaluation-test"
    shutil.copytree(evaluated, copy)
    metrics = json.loads((copy / "metrics.json").read_text())
    del metrics["per_class"]
    (copy / "metrics.json").write_text(json.dumps(metrics))
    answer = run("report", copy, "--no-maps")
    assert (answer.exit_code, "metrics.json lacks per_class" in answer.stderr) == (3, True)
    assert not (tmp_path / "report.html").exists()


def test_runs_are_called_by_what_tells_them_apart(tmp_path):
    one, two = (tmp_path / name / "evaluation-test" for name in ("vit", "resnet"))
    assert _names([one], None) == ["vit"]
    assert _names([one / "predictions"], None) == ["vit"]
    assert _names([one, two], None) == ["vit", "resnet"]
    assert _names([one, two], "a, b") == ["a", "b"]


@pytest.mark.slow
def test_maps_of_the_checkpoint_are_laid_over_its_errors(run, tiny_run, tmp_path):
    images = load_split(DataSpec("digits"), "test")
    write(predict(load(tiny_run / "best.pth"), images), tmp_path / "evaluation")
    answer = run("report", "evaluation", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["warnings"] == []
    text = (tmp_path / "report.html").read_text()
    assert "Relevance shows what spoke" in text
    assert text.count("<figcaption><bdi>for ") == 24  # of 12 errors the class said, and the true one


@pytest.mark.slow
def test_without_maps_there_is_no_torch(evaluated, tmp_path):
    code = (
        "import sys; from vitscope.cli.main import app\n"
        f"code = app(['report', {str(evaluated)!r}, '--no-maps'], standalone_mode=False)\n"
        "assert code == 0, code\n"
        "heavy = {'torch', 'torchvision', 'timm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
