from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from vitscope.cli.contenders import name_models
from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import UsageError
from vitscope.inference.classifier import load
from vitscope.inference.prediction import predict
from vitscope.records.predictions import Predictions


@pytest.fixture(scope="module")
def predicted(tiny_run, tmp_path_factory):
    """The predictions folder of the tiny run."""
    folder = tmp_path_factory.mktemp("predicted") / "predictions"
    images = load_split(DataSpec("digits"), "test")
    return predict(load(tiny_run / "best.pth"), images).save(folder)


def noisy(predicted, folder, **change):
    """Write predictions of the same images that are right less often."""
    known = Predictions.load(predicted)
    logits = np.asarray(known.logits) + np.random.default_rng(0).normal(size=known.logits.shape)
    values = {"logits": logits, "labels": known.labels, "classes": known.classes, "names": known.names}
    return Predictions(**values | {"provenance": known.provenance} | change).save(folder)


@pytest.mark.slow
def test_checkpoints_and_predictions(run, tiny_run, predicted, tmp_path):
    noisy(predicted, tmp_path / "noisy")
    answer = run("compare", tiny_run, predicted, "noisy", "--names", "vit,vit again,noisy")
    assert answer.exit_code == 0, answer.stderr
    assert "noisy - vit " in answer.stdout
    assert "written to comparison: comparison.json" in answer.stdout
    assert "1 of 3 models on digits, test: 360 images" in answer.stderr
    metrics = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert [row["model"] for row in metrics["models"]] == ["vit", "vit again", "noisy"]
    assert [row["parameters"] is None for row in metrics["models"]] == [False, True, True]
    again = metrics["differences"][0]
    assert (again["reference"], again["accuracy_difference"], again["mcnemar_p"]) == ("vit", 0, 1)
    assert (tmp_path / "comparison" / "figures" / "disagreements-3-noisy.pdf").exists()


@pytest.mark.slow
def test_a_run_a_checkpoint_and_an_evaluation(run, tiny_run, tiny_resnet, evaluated):
    answer = run("compare", evaluated, tiny_run, tiny_resnet, "--json")
    assert answer.exit_code == 0, answer.stderr
    metrics = json.loads(answer.stdout)
    assert metrics["models"][0]["model"] == "evaluated"
    assert metrics["differences"][0]["agreement"] == 1
    assert metrics["models"][2]["parameters"] > metrics["models"][1]["parameters"] > 0


@pytest.mark.slow
def test_a_gallery_of_predictions_needs_the_data(run, predicted, tmp_path):
    noisy(predicted, tmp_path / "noisy")
    answer = run("compare", predicted, "noisy", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert "no gallery of disagreements" in answer.stderr
    assert json.loads(answer.stdout)["folder"] == "comparison"
    answer = run("compare", predicted, "noisy", "--data", "digits", "--out", "with")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert "only first right" in answer.stdout
    assert list((tmp_path / "with" / "figures").glob("disagreements-2-*.png"))


@pytest.mark.slow
def test_predictions_alone_import_no_torch(predicted, tmp_path):
    noisy(predicted, tmp_path / "noisy")
    code = (
        "import sys; from vitscope.cli.main import app\n"
        f"code = app(['compare', {str(predicted)!r}, 'noisy', '--data', 'digits'], standalone_mode=False)\n"
        "assert code == 0, code\n"
        "heavy = {'torch', 'torchvision', 'timm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["{predicted}"], 2, "expected at least two models, got 1"),
        (["{predicted}", "{predicted}/"], 2, "is given twice"),
        (["{predicted}", "noisy", "--names", "one"], 2, "expected 2 names"),
        (["{predicted}", "noisy", "--names", "one,one"], 2, "all different"),
        (["{predicted}", "nothing.pth"], 3, "there is no nothing.pth"),
        (["{predicted}", "fewer"], 3, "360 and 200 of them"),
        (["{predicted}", "relabelled"], 3, "is labelled"),
        (["{predicted}", "noisy", "--weights", "w.pth"], 2, "expected --weights for each of the 0 models"),
        (["{predicted}", "noisy", "--data", "no-such-data"], 3, "no data set or folder"),
        (["{predicted}", "noisy", "--out", "noisy"], 5, "exists"),
        (["{predicted}", "text.pth"], 3, "text.pth"),
    ],
)
def test_bad_input_is_one_line(run, predicted, tmp_path, arguments, code, said):
    known = Predictions.load(predicted)
    noisy(predicted, tmp_path / "noisy")
    few = {"logits": np.asarray(known.logits[:200]), "labels": known.labels[:200], "names": known.names[:200]}
    noisy(predicted, tmp_path / "fewer", **few)
    noisy(predicted, tmp_path / "relabelled", labels=(known.labels + 1) % 10)
    (tmp_path / "text.pth").write_text("not a checkpoint")
    answer = run("compare", *(argument.format(predicted=predicted) for argument in arguments))
    assert answer.exit_code == code, answer.stderr
    assert said in answer.stderr
    assert answer.stderr.startswith("error: ")
    assert len(answer.stderr.splitlines()) <= 2
    assert not (tmp_path / "comparison").exists()


def test_models_of_different_data_are_refused_unless_some_is_given(run, tiny_run, tmp_path):
    from dataclasses import replace

    from vitscope.checkpoint.files import load_checkpoint, save_checkpoint

    checkpoint = load_checkpoint(tiny_run / "best.pth")
    (tmp_path / "other").mkdir()
    save_checkpoint(
        replace(checkpoint, data=checkpoint.data | {"split_seed": 9}), tmp_path / "other" / "best.pth"
    )
    answer = run("compare", tiny_run / "best.pth", "other/best.pth")
    assert answer.exit_code == 3
    assert "their test images differ" in answer.stderr
    assert "--data" in answer.stderr


@pytest.mark.slow
def test_a_comparison_is_not_compared(run, predicted, tmp_path):
    noisy(predicted, tmp_path / "noisy")
    assert run("compare", predicted, "noisy", "--quiet").exit_code == 0
    answer = run("compare", "comparison", "noisy")
    assert answer.exit_code == 3
    assert "comparison already" in answer.stderr


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["runs/a/best.pth", "runs/b/best.pth"], ["a", "b"]),
        (["a/evaluation-test", "b/predictions"], ["a", "b"]),
        (["runs/20260101T000000Z_vit_x/best.pth", "r/20260102T000000Z_res_x/last.pth"], ["vit_x", "res_x"]),
        (
            ["runs/20260101T000000Z_vit/best.pth", "runs/20260102T000000Z_vit/best.pth"],
            ["20260101T000000Z_vit", "20260102T000000Z_vit"],
        ),
        (["x/vit/best.pth", "y/vit/best.pth"], ["x/vit", "y/vit"]),
        (["timm:resnet18", "torchvision:resnet50"], ["resnet18", "resnet50"]),
        (["timm:resnet18", "torchvision:resnet18"], ["timm/resnet18", "torchvision/resnet18"]),
        (["a/best.pth", "a/evaluation-test"], ["a/best.pth", "a/evaluation-test"]),
        (["weights/one.safetensors", "two.pth"], ["one", "two"]),
        (["timm:a", "timm:a"], ["timm:a 1", "timm:a 2"]),
    ],
)
def test_names_are_short_and_distinct(sources, names):
    assert name_models(sources, None) == names


def test_names_that_are_given_are_trimmed():
    assert name_models(["a", "b"], "One, Two ") == ["One", "Two"]
    with pytest.raises(UsageError, match="2 names"):
        name_models(["a", "b"], "One,")


def test_help_has_an_example(run):
    answer = run("compare", "--help")
    assert answer.exit_code == 0
    assert "Example: vitscope compare" in " ".join(answer.stdout.split())
