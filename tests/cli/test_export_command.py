"""`vitscope export`, and `vitscope train` with its logs and its weights."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import vitscope


def test_an_export_predicts_as_the_checkpoint(run, tiny_run, tmp_path):
    answer = run("export", tiny_run / "best.pth", "--out", "w.safetensors")
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout.startswith("w.safetensors: vitscope:vit-micro as safetensors")
    assert "next: vitscope evaluate w.safetensors" in answer.stderr
    one, other = (vitscope.load(path) for path in (tiny_run / "best.pth", "w.safetensors"))
    images = vitscope.load_split(other.data, "test")
    found, expected = vitscope.predict(other, images), vitscope.predict(one, images)
    np.testing.assert_array_equal(found.logits, expected.logits)


def test_it_goes_beside_the_checkpoint(run, tiny_run, tmp_path):
    (tmp_path / "best.pth").write_bytes((tiny_run / "best.pth").read_bytes())
    answer = run("export", "--format", "timm", "--half", "--json")
    assert answer.exit_code == 0, answer.stderr
    made = json.loads(answer.stdout)
    assert (made["path"], made["half"], made["format"]) == ("best-timm", True, "timm")
    assert {item.name for item in (tmp_path / "best-timm").iterdir()} == {
        "config.json",
        "manifest.json",
        "model.safetensors",
    }
    again = run("export", "--format", "timm")
    assert (again.exit_code, again.stdout) == (5, "")
    assert run("export", "--format", "timm", "--overwrite", "--quiet").stderr == ""


@pytest.mark.slow
def test_onnx(run, tiny_run):
    answer = run("export", tiny_run / "best.pth", "--out", "m.onnx", "--pixels")
    assert answer.exit_code == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[2] == "opset 18; input pixels: uint8 batch x 1 x 8 x 8"
    assert lines[3] == "output logits: float32 batch x 10"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "expected --format"),
        (("--out", "w.pth"), 2, "expected --format"),
        (("--format", "onnx", "--out", "w.pth"), 2, "ends in .onnx"),
        (("--format", "onnx", "--half"), 2, "not for onnx"),
        (("--format", "timm", "--pixels"), 2, "for onnx"),
        (("--format", "safetensors", "--out", "best.safetensors"), 2, "the model itself"),
    ],
)
def test_refused(run, arguments, code, message):
    answer = run("export", "best.safetensors", *arguments)
    assert answer.exit_code == code
    assert message in answer.stderr


def test_without_onnx(run, tiny_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    answer = run("export", tiny_run / "best.pth", "--format", "onnx", "--out", "m.onnx")
    assert answer.exit_code == 4
    assert "hint: pip install 'vitscope[onnx]'" in answer.stderr


def test_a_log_whose_package_is_missing_is_refused_before_any_work(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    answer = run("train", "--log", "wandb", "--out", "run")
    assert answer.exit_code == 4
    assert "hint: pip install 'vitscope[wandb]'" in answer.stderr
    assert not list(tmp_path.iterdir())
    assert run("train", "--log", "mlflow").exit_code == 2


@pytest.mark.slow
def test_weights_of_a_run_go_into_its_settings(run, tiny_run, tmp_path):
    weights = str(tiny_run / "best.pth")
    small = ("--set", "model.width=24", "--set", "model.depth=2", "--set", "model.heads=2")
    answer = run(
        *("train", "--epochs", 1, *small, "--set", "data.limit=60"),
        *("--weights", weights, "--out", "run", "--log", "tensorboard"),
    )
    assert answer.exit_code == 0, answer.stderr
    assert f"weights: {weights}" in (tmp_path / "run" / "config.yaml").read_text()
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    refused = run("train", "--resume", "run", "--weights", weights)
    assert (refused.exit_code, "--weights cannot be given" in refused.stderr) == (2, True)
