"""The inspection folder, and `vitscope inspect`: what is written, what is left out, and what is refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from vitscope.cli.main import app
from vitscope.data.sources import load_split
from vitscope.errors import CaptureError, InputError
from vitscope.inference.classifier import load
from vitscope.records.heads import HeadStatistics
from vitscope.records.lens import Lens
from vitscope.records.similarity import Similarity
from vitscope.report.inspection import Other, report_inspection

FIGURES = {"heads", "class_rollout", "positions", "filters", "lens", "cka"}


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def classifier(tiny_run):
    return load(tiny_run / "best.pth")


@pytest.fixture(scope="module")
def images(classifier):
    found = load_split(classifier.data, "test")
    return found.take(range(70))  # two minibatches


@pytest.fixture(scope="module")
def report(classifier, images, tmp_path_factory):
    return report_inspection(classifier, images, tmp_path_factory.mktemp("inspection") / "out")


@pytest.mark.slow
def test_the_folder_is_whole(report):
    names = {
        path.relative_to(report.folder).as_posix() for path in report.folder.rglob("*") if path.is_file()
    }
    assert {f"figures/{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")} <= names
    assert {f"records/{name}.npz" for name in FIGURES} <= names
    for table in ("head_entropy", "head_distance", "lens", "lens_probability", "cka", "filters"):
        assert {f"tables/{table}.csv", f"tables/{table}.tex"} <= names
    manifest = json.loads((report.folder / "manifest.json").read_text())
    assert manifest["format"] == "vitscope.inspection"
    assert manifest["provenance"]["data"] == "digits"


@pytest.mark.slow
def test_json_keys(report):
    found = json.loads((report.folder / "inspection.json").read_text())
    assert list(found) == [
        "model", "images", "parts", "absent", "heads", "class_rollout", "positions", "filters", "lens", "cka",
        "warnings",
    ]  # fmt: skip
    assert found["warnings"] == []
    assert found["images"] == found["lens"]["images"] == found["heads"]["images"] == 70
    assert found["absent"] == {}
    assert np.shape(found["heads"]["entropy"]["mean"]) == (2, 2)
    assert np.shape(found["lens"]["accuracy_interval"]) == (2, 2)
    assert np.shape(found["cka"]["values"]) == (2, 2)
    assert found["cka"]["minibatches"] == 2
    assert sum(found["class_rollout"]["images"]) == 70


@pytest.mark.slow
def test_numbers_agree_between_files(report, classifier, images):
    lens = Lens.load(report.folder / "records" / "lens.npz")
    predicted = classifier(classifier.prepare(images.pixels(classifier.preprocessing))).argmax(1).numpy()
    assert report.found["lens"]["accuracy"][-1] == pytest.approx(np.mean(predicted == images.labels))
    assert lens.names == images.names
    heads = HeadStatistics.load(report.folder / "records" / "heads.npz")
    with (report.folder / "tables" / "head_entropy.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["entropy"]) for row in rows] == heads.means["entropy"].ravel().tolist()
    assert float(rows[0]["entropy_low"]) < float(rows[0]["entropy"]) < float(rows[0]["entropy_high"])
    similarity = Similarity.load(report.folder / "records" / "cka.npz")
    assert similarity.values[0, 1] == report.found["cka"]["values"][0][1]


@pytest.mark.slow
def test_two_models(classifier, images, tiny_resnet, tmp_path):
    other = Other(load(tiny_resnet), ("tiny", "resnet"))
    made = report_inspection(classifier, images.take(range(12)), tmp_path / "out", parts=["cka"], other=other)
    assert list(made.similarities) == ["cka", "cka_between", "cka_other"]
    between = made.found["cka_between"]
    assert between["models"] == ["tiny", "resnet"]
    assert np.shape(between["values"]) == (2, 8)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["other"]["digest"] == other.model.digest


@pytest.mark.slow
def test_a_network_of_convolutions(tiny_resnet, images, tmp_path):
    model = load(tiny_resnet)
    made = report_inspection(model, images.take(range(8)), tmp_path / "out")
    assert made.found["parts"] == ["filters", "cka"]
    assert made.found["warnings"] == [
        "CKA over 8 images is noisy: layers that have nothing in common are within ±0.35 of 0 by chance alone"
    ]
    assert set(made.found["absent"]) == {"heads", "class-rollout", "positions", "lens"}
    with pytest.raises(CaptureError, match="no transformer blocks"):
        report_inspection(model, images.take(range(8)), tmp_path / "none", parts=["lens"])
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_too_few_images(tiny_resnet, images, tmp_path):
    classifier = load(tiny_resnet)
    made = report_inspection(classifier, images.take(range(3)), tmp_path / "out")
    assert "at least 4 images" in made.found["absent"]["cka"]
    with pytest.raises(InputError, match="at least 4 images"):
        report_inspection(classifier, images.take(range(3)), tmp_path / "none", parts=["cka"])
    with pytest.raises(InputError, match="need images"):
        report_inspection(classifier, None, tmp_path / "none")
    with pytest.raises(InputError, match="need images"):
        report_inspection(classifier, images.take([]), tmp_path / "none")


@pytest.mark.slow
def test_the_command(tiny_run, tmp_path):
    answer = run(
        "inspect",
        tiny_run / "best.pth",
        "--limit",
        20,
        "--only",
        "heads,lens",
        "--out",
        tmp_path / "out",
        "--json",
    )
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert found["parts"] == ["heads", "lens"]
    assert found["images"] == 20
    assert found["folder"] == str(tmp_path / "out")
    assert run("inspect", tiny_run / "best.pth", "--out", tmp_path / "out").exit_code == 5
    again = run(
        "inspect",
        tiny_run / "best.pth",
        "--only",
        "filters",
        "--out",
        tmp_path / "out",
        "--overwrite",
        "--quiet",
    )
    assert again.exit_code == 0
    assert again.stderr == ""
    assert not (tmp_path / "out" / "figures" / "heads.pdf").exists()


@pytest.mark.slow
def test_the_command_says_what_does_not_apply(tiny_resnet, tmp_path):
    answer = run("inspect", tiny_resnet, "--limit", 10, "--out", tmp_path / "out")
    assert answer.exit_code == 0
    assert "no heads: this model has no attention\n" in answer.stderr
    assert "8 x 8 layers" in answer.stdout
    refused = run("inspect", tiny_resnet, "--limit", 10, "--only", "heads", "--out", tmp_path / "none")
    assert (refused.exit_code, refused.stderr.splitlines()[-2]) == (3, "error: this model has no attention")


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--only", "head"], 2, "error: --only has no 'head'"),
        (
            ["--only", "lens", "--with", "best.pth"],
            2,
            "error: --with compares by CKA, which --only leaves out",
        ),
        (["--overwrite"], 2, "error: --overwrite needs --out"),
    ],
)
def test_requests_that_make_no_sense(arguments, code, line):
    """They are refused before the model is looked for."""
    answer = run("inspect", "missing.pth", *arguments)
    assert (answer.exit_code, answer.stderr.splitlines()[0]) == (code, line)
