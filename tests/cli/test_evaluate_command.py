"""`vitscope evaluate`: what it can be asked for, and what it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.oracles.samples import digits
from vitscope.analysis.evaluation import evaluate
from vitscope.records.predictions import Predictions


@pytest.fixture
def arrays(tmp_path):
    """Logits, labels and class names as files of any program."""
    record, _ = digits()
    np.save(tmp_path / "logits.npy", record.logits)
    np.save(tmp_path / "labels.npy", record.labels)
    (tmp_path / "names.txt").write_text("\n".join(record.classes))
    return "--logits", tmp_path / "logits.npy", "--labels", tmp_path / "labels.npy"


@pytest.mark.slow
def test_logits_of_any_program(run, arrays, tmp_path):
    answer = run("evaluate", *arrays, "--classes", "names.txt", "--out", "out", "--json", "--conformal", 0.2)
    assert answer.exit_code == 0, answer.stderr
    metrics = json.loads(answer.stdout)
    record, _ = digits()
    expected = evaluate(record).metrics()
    assert {key: metrics[key] for key in expected} == json.loads(json.dumps(expected))
    assert metrics["conformal_n"] + metrics["conformal_n_calibration"] == len(record)
    assert "prediction sets: fitted on 449 of the images" in answer.stderr
    loaded = Predictions.load(tmp_path / "out" / "predictions")
    np.testing.assert_array_equal(loaded.logits, record.logits)


@pytest.mark.slow
def test_neither_torch_nor_a_model_is_needed_for_predictions(arrays, tmp_path):
    code = (
        "import sys; from vitscope.cli.main import app\n"
        f"try: app(['evaluate', *{[str(word) for word in arrays]!r}, '--out', 'out'])\n"
        "except SystemExit as leave: assert not leave.code, leave.code\n"
        "heavy = {'torch', 'torchvision', 'timm', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "accuracy" in answer.stdout


@pytest.mark.slow
def test_everything_at_once_and_again_from_its_folder(run, tiny_run, tmp_path):
    (tmp_path / "groups.csv").write_text(
        "class,superclass\n" + "\n".join(f"{digit},{'odd' if digit % 2 else 'even'}" for digit in range(10))
    )
    wishes = ("--conformal", 0.1, "--superclasses", "groups.csv", "--bins", 10, "--calibrate")
    checkpoint = tmp_path / "best.pth"
    checkpoint.write_bytes((tiny_run / "best.pth").read_bytes())
    runs = ("--ood", _noise(tmp_path / "noise"), "--kinds", "fog", "--limit", 120)
    answer = run("evaluate", "best.pth", *wishes, *runs, "--out", "first")
    assert answer.exit_code == 0, answer.stderr
    for words in (
        "superclass accuracy",
        "temperature",
        "prediction sets for 90.0% coverage",
        "foreign images, ",
        "mean error on corrupted images",
    ):
        assert words in answer.stdout
    first = json.loads((tmp_path / "first" / "metrics.json").read_text())
    assert first["n"] == 120
    assert first["temperature_n"] == first["conformal_n_calibration"] == 120
    assert first["ece_bins"] == 10
    assert (tmp_path / "temperature.json").is_file()  # beside the checkpoint
    figures = {path.stem for path in (tmp_path / "first" / "figures").glob("*.pdf")}
    assert {"calibration", "conformal", "corruptions", "corruption_examples", "per_superclass"} <= figures

    answer = run("evaluate", "first", *wishes, "--out", "second")
    assert answer.exit_code == 0, answer.stderr
    second = json.loads((tmp_path / "second" / "metrics.json").read_text())
    assert not (tmp_path / "first" / "evaluation").exists()
    left_out = ("open_sets", "corruption", "mce")
    assert second == {key: value for key, value in first.items() if not key.startswith(left_out)}


def _noise(folder):
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(30):
        Image.fromarray(rng.integers(256, size=(8, 8), dtype=np.uint8)).save(folder / f"{index}.png")
    return folder


@pytest.mark.slow
def test_half_precision_changes_no_prediction(run, tiny_run, evaluated, tmp_path):
    answer = run("evaluate", tiny_run / "best.pth", "--out", "half", "--half")
    assert answer.exit_code == 0, answer.stderr
    folders = evaluated, tmp_path / "half"
    whole, half = (Predictions.load(folder / "predictions") for folder in folders)
    assert half.logits.dtype == np.float16
    assert half.logits.max() == 0
    np.testing.assert_array_equal(half.predicted, whole.predicted)
    one, other = (json.loads((folder / "metrics.json").read_text()) for folder in folders)
    for key in ("nll", "brier", "ece"):
        assert one[key] == pytest.approx(other[key], abs=1e-3)


FILES = ("--logits", "logits.npy", "--labels", "labels.npy")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--labels", "labels.npy"), 2, "go with --logits"),
        (("--logits", "logits.npy"), 2, "--logits needs --labels"),
        (("best.pth", *FILES), 2, "one too many"),
        (
            (*FILES, "--corruptions"),
            2,
            "--corruptions needs a model",
        ),
        ((*FILES, "--ood", "digits"), 2, "--ood needs a model"),
        ((*FILES, "--calibrate"), 3, "no held-out predictions"),
        (("--logits", "logits.npy", "--labels", "none.npy"), 3, "no such file"),
        (
            (*FILES, "--data", "digits"),
            3,
            "does not hold the images",
        ),
        (("--conformal", "1.5"), 2, "expected --conformal between 0 and 1"),
        (("--kinds", "rain"), 2, "there is no corruption 'rain'"),
        (("--half", "--ood", "digits"), 2, "--ood needs"),
        (("--held-out", "digits"), 2, "--held-out goes with"),
        (("timm:no_such_model",), 3, "no_such_model"),
        (("none.pth",), 3, "none.pth"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_says_what_does_not_go_together(run, arrays, arguments, code, message):
    answer = run("evaluate", *arguments)
    assert answer.exit_code == code, answer.stderr
    assert message in answer.stderr
    assert len(answer.stderr.strip().splitlines()) <= 3


def test_a_model_without_data_asks_for_some(run, tmp_path):
    import timm
    import torch

    model = timm.create_model("test_vit.r160_in1k", pretrained=False)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    answer = run("evaluate", "timm:test_vit.r160_in1k", "--weights", "weights.pth")
    assert answer.exit_code == 3, answer.stderr
    assert "does not know its data" in answer.stderr
    assert "--data" in answer.stderr


@pytest.mark.slow
def test_names_for_a_model_of_a_library(run, tmp_path):
    import timm
    import torch
    from PIL import Image

    torch.manual_seed(0)
    model = timm.create_model("test_vit.r160_in1k", pretrained=False, num_classes=2)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(3):
            pixels = rng.integers(256, size=(20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{index}.png")
    known = ("timm:test_vit.r160_in1k", "--weights", "weights.pth", "--data", "pets")
    answer = run("evaluate", *known)
    assert answer.exit_code == 3
    assert "--classes FILE" in answer.stderr
    (tmp_path / "names.txt").write_text("dog\ncat\n")
    answer = run("evaluate", *known, "--classes", "names.txt", "--out", "out", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["n"] == 6
    assert Predictions.load(tmp_path / "out" / "predictions").labels.tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.slow
def test_an_evaluation_goes_beside_the_one_it_is_made_of(run, arrays, tmp_path):
    assert run("evaluate", *arrays, "--out", "first", "--quiet").exit_code == 0
    answer = run("evaluate", "first", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["folder"] == str(tmp_path / "evaluation")
