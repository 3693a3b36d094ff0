"""Bad input: one line, one hint at most, the right exit code, nothing written."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from vitscope.cli.main import app


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Run a command that must fail, and return its error line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITSCOPE_CHECKPOINT", raising=False)

    def run(code, *arguments):
        before = set(tmp_path.rglob("*"))
        answer = CliRunner().invoke(app, [str(argument) for argument in arguments])
        lines = [
            line
            for line in answer.stderr.splitlines()
            if not line.startswith(("checkpoint: ", "vit-micro on"))
        ]
        assert answer.exit_code == code, answer.output
        assert answer.stdout == ""
        assert lines[0].startswith("error: ")
        assert all(line.startswith("hint: ") for line in lines[1:])
        assert len(lines) <= 2
        assert "Traceback" not in answer.output
        assert set(tmp_path.rglob("*")) == before
        return "\n".join(lines)

    return run


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("canary"),)


def cut(checkpoint, path):
    content = checkpoint.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def zipped(_, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "hello")


BAD_CHECKPOINTS = {
    "folder": lambda _, path: path.mkdir(),
    "empty": lambda _, path: path.write_bytes(b""),
    "text": lambda _, path: path.write_text("hello\n"),
    "html": lambda _, path: path.write_text("<!doctype html><title>404</title>"),
    "lfs": lambda _, path: path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"
    ),
    "cut": cut,
    "zip": zipped,
    "pickle": lambda _, path: path.write_bytes(pickle.dumps(Payload())),
    "torch payload": lambda _, path: torch.save(Payload(), path),
    "bare state": lambda _, path: torch.save({"weight": torch.ones(2)}, path),
    "whole module": lambda _, path: torch.save(torch.nn.Linear(2, 2), path),
}


@pytest.mark.parametrize("kind", BAD_CHECKPOINTS)
@pytest.mark.parametrize("command", ["evaluate", "attention"])
def test_bad_checkpoints(refused, tiny_run, tmp_path, kind, command):
    path = tmp_path / "bad.pth"
    BAD_CHECKPOINTS[kind](tiny_run / "best.pth", path)
    arguments = [path] if command == "evaluate" else ["--index", "0", "--checkpoint", path]
    assert "bad.pth" in refused(3, command, *arguments)
    assert not (tmp_path / "canary").exists()


def test_missing_checkpoint(refused):
    assert "nothing.pth" in refused(3, "evaluate", "nothing.pth")


def test_weights_that_are_not_finite(refused, tiny_run, tmp_path):
    from dataclasses import replace

    from vitscope.checkpoint.files import load_checkpoint, save_checkpoint

    good = load_checkpoint(tiny_run / "best.pth")
    state = {name: tensor.clone() for name, tensor in good.state.items()}
    next(iter(state.values())).fill_(float("nan"))
    save_checkpoint(replace(good, state=state), tmp_path / "nan.pth")
    assert "NaN" in refused(6, "evaluate", "nan.pth")


BAD_IMAGES = {
    "missing.png": lambda path: None,
    "empty.png": lambda path: path.write_bytes(b""),
    "text.png": lambda path: path.write_text("hello"),
    "cut.png": lambda path: path.write_bytes(_png()[:100]),
}


def _png():
    import io

    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(
        stream, "PNG"
    )
    return stream.getvalue()


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images(refused, tiny_run, tmp_path, name):
    BAD_IMAGES[name](tmp_path / name)
    assert name in refused(
        3, "attention", "--rollout", name, "--checkpoint", tiny_run / "best.pth", "--out", "o"
    )


@pytest.mark.slow
def test_a_model_without_attention(refused, tiny_resnet):
    for how in ("--rollout", "--raw"):
        message = refused(3, "attention", how, "--index", "0", "--checkpoint", tiny_resnet, "--out", "o")
        assert "no attention" in message
        assert "grad-cam" in message.lower()


def _folder(root, counts):
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (16, 16), (index, 2 * index, 90)).save(root / name / f"{index}.png")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [({}, ""), ({"cat": 5}, "class"), ({"cat": 5, "dog": 0}, "dog"), ({"cat": 5, "dog": 1}, "dog")],
)
def test_bad_folders(refused, tmp_path, counts, expected):
    root = tmp_path / "data"
    root.mkdir()
    _folder(root, counts)
    assert expected in refused(3, "train", "--data", root, "--out", "o")


def test_a_broken_image_in_a_folder(refused, tmp_path):
    _folder(tmp_path / "data", {"cat": 20, "dog": 20})
    for path in (tmp_path / "data" / "dog").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    assert ".png" in refused(3, "train", "--data", "data", "--out", "o")


def test_data_of_other_classes(refused, tiny_run, tmp_path):
    _folder(tmp_path / "data", {"cat": 20, "dog": 20})
    assert "classes" in refused(3, "evaluate", tiny_run / "best.pth", "--data", "data", "--out", "o")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "vit-tyni"], "vit-tiny"),
        (["train", "--set", "optimiser.lr=1"], "optimizer.lr"),
        (["train", "--set", "lr=1"], "optimizer.lr"),
        (["train", "--set", "epochs"], "key=value"),
        (["train", "--set", "epochs=many"], "epochs"),
        (["train", "--set", "optimizer=1"], "optimizer.lr"),
        (["train", "--set", "optimizer.lr=nan"], "optimizer.lr"),
        (["train", "--epochs", "0"], "epochs"),
        (["train", "--config", "missing.yaml"], "missing.yaml"),
        (["train", "--device", "abacus"], "abacus"),
        (["train", "--set", "augment.flip=true"], "digits"),
        (["train", "--nonsense"], "--nonsense"),
        (["evaluate", "--split", "dev"], "dev"),
        (["evaluate", "--batch-size", "0"], "--batch-size"),
        (["attention", "--rollout", "--raw", "--index", "0"], "--raw"),
        (["attention", "--method", "relevance", "--layer", "2", "--index", "0"], "--layers"),
        (["attention"], "no image"),
        (["dance"], "dance"),
    ],
)
def test_requests_that_make_no_sense(refused, arguments, expected):
    assert expected in refused(2, *arguments)


def test_unknown_data_and_near_misses(refused):
    assert "cifar10" in refused(3, "train", "--data", "cifar-10", "--out", "o")
    assert "model" in refused(3, "train", "--set", "model.name=resnet81", "--out", "o")


def test_indices_and_layers_out_of_range(refused, tiny_run):
    checkpoint = ["--checkpoint", tiny_run / "best.pth", "--out", "o"]
    assert "0-359" in refused(2, "attention", "--index", "400", *checkpoint)
    assert "0-7" in refused(2, "attention", "--index", "a-b", *checkpoint)
    assert "layer" in refused(2, "attention", "--raw", "--layer", "9", "--index", "0", *checkpoint)


def test_an_output_that_exists(refused, tiny_run, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "precious.txt").write_text("keep")
    for arguments in (
        ["train", "--epochs", "1"],
        ["evaluate", tiny_run / "best.pth"],
        ["attention", "--index", "0", "--checkpoint", tiny_run / "best.pth"],
    ):
        assert "exists" in refused(5, *arguments, "--out", "o")
        assert "not made by vitscope" in refused(5, *arguments, "--out", "o", "--overwrite")
    assert (tmp_path / "o" / "precious.txt").read_text() == "keep"


def test_an_output_that_cannot_be_written(refused, tiny_run, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments in (["train", "--epochs", "1"], ["evaluate", tiny_run / "best.pth"]):
        refused(4, *arguments, "--out", "file/o")


def test_no_such_gpu(refused, tiny_run):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert "cuda" in refused(4, "evaluate", tiny_run / "best.pth", "--device", "cuda")


def test_a_bug_is_one_line_and_a_traceback_on_request(monkeypatch, tiny_run):
    def explode(*_, **__):
        raise RuntimeError("[/red] $\\frac{1}{2}$\nsecond line \x1b[31m")

    monkeypatch.setattr("vitscope.inference.classifier.load", explode)
    answer = CliRunner().invoke(app, ["evaluate", str(tiny_run / "best.pth")])
    assert answer.exit_code == 1
    assert answer.stderr.splitlines()[0] == "error: RuntimeError: [/red] $\\frac{1}{2}$ second line ?[31m"
    answer = CliRunner().invoke(app, ["evaluate", str(tiny_run / "best.pth"), "--debug"])
    assert "Traceback" in answer.stderr


@pytest.mark.slow
def test_json_keeps_hostile_class_names_exactly(tmp_path, monkeypatch):
    """Names with markup, formulas and control letters go through training, evaluation and attention."""
    monkeypatch.chdir(tmp_path)
    names = ["$\\frac", "[red]x[bold]", "=1+1", "<script>alert(1)", "😀 émoji", "x" * 200]
    generator = np.random.default_rng(0)
    for index, name in enumerate(names):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(12):
            pixels = generator.integers(20 * index, 20 * index + 60, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    runner = CliRunner()
    tiny = [
        "--set",
        "model.width=24",
        "--set",
        "model.depth=1",
        "--set",
        "model.heads=2",
        "--set",
        "model.patch_size=2",
    ]
    answer = runner.invoke(
        app, ["train", "vit-micro", "--data", "data", "--epochs", "1", *tiny, "--out", "run"]
    )
    assert answer.exit_code == 0, answer.stderr
    answer = runner.invoke(app, ["evaluate", "run/best.pth", "--json"])
    assert answer.exit_code == 0, answer.stderr
    assert {row["class"] for row in json.loads(answer.stdout)["per_class"]} == set(names)
    answer = runner.invoke(app, ["evaluate", "run/best.pth"])
    assert answer.exit_code == 0, answer.stderr
    answer = runner.invoke(app, ["attention", "--index", "0-1", "--checkpoint", "run/best.pth"])
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.slow
def test_odd_indices(refused, tiny_run):
    checkpoint = ["--checkpoint", tiny_run / "best.pth", "--out", "o"]
    for text in ("0-99999999999", "0-99999999999999999999999", "5,7-0", "٣", "", "1-", "-1"):
        refused(2, "attention", f"--index={text}", *checkpoint)


def test_odd_names(refused, tiny_run):
    checkpoint = ["--checkpoint", tiny_run / "best.pth"]
    assert "empty" in refused(2, "attention", "", *checkpoint)
    refused(3, "attention", "x" * 300, *checkpoint)
    refused(3, "attention", "**.png", *checkpoint)
    refused(3, "train", "--resume", "x" * 300)
    refused(4, "train", "--epochs", "1", "--out", "x" * 300)
    refused(2, "train", "--resume", tiny_run, "--overwrite")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("evaluate", "best.pth", "--out", "--json"), "--out has no value: --json follows"),
        (("explain", "--errors", "--checkpoint", "best.pth"), "--errors has no value: --checkpoint follows"),
        (("train", "digits", "--set", "--out", "runs"), "--set has no value: --out follows"),
    ],
)
def test_an_option_is_no_value(refused, words, said):
    assert said in refused(2, *words)
