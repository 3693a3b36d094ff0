from __future__ import annotations

import json

import numpy as np
import pytest

from tests.oracles.samples import digits
from vitscope.analysis.comparison import compare
from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import DataError, InputError, OutputError
from vitscope.inference.classifier import load
from vitscope.inference.prediction import predict
from vitscope.records.predictions import Predictions
from vitscope.report.comparison import Contender, check_contenders, report_comparison
from vitscope.report.pictures import find_pictures


@pytest.fixture(scope="module")
def images():
    return load_split(DataSpec("digits"), "test").take(range(0, 360, 4))


@pytest.fixture(scope="module")
def vit(tiny_run):
    return load(tiny_run / "best.pth")


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_models_and_predictions_together(vit, tiny_resnet, images, tmp_path):
    done = []
    contenders = [
        Contender("vit", "best.pth", vit),
        Contender("res/net", "other.pth", load(tiny_resnet)),
        Contender("before", "folder", predict(vit, images)),
    ]
    report = report_comparison(contenders, tmp_path / "c", images=images, progress=done.append)
    assert sum(done) == 2 * len(images)
    metrics = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert metrics == report.metrics()
    vit_row, resnet_row, before = metrics["models"]
    assert vit_row["parameters"] == sum(each.numel() for each in vit.parameters())
    assert resnet_row["multiply_adds"] > 0
    assert resnet_row["images_per_second"] > 0
    assert before["parameters"] is before["images_per_second"] is None
    assert report.comparison.difference("before", "vit").overlap.same == 1
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert manifest["format"] == "vitscope.comparison"
    assert [row["source"] for row in manifest["models"]] == ["best.pth", "other.pth", "folder"]
    assert manifest["models"][0]["provenance"]["data_digest"] == images.digest
    kept = Predictions.load(tmp_path / "c" / "predictions" / "2-res-net")
    assert len(kept) == len(images)
    names = files(tmp_path / "c")
    assert "figures/comparison.pdf" in names
    assert {"figures/disagreements-2-res-net.png", "figures/disagreements-3-before.png"} <= set(names)
    assert {"tables/costs.csv", "tables/mcnemar.tex"} <= set(names)
    assert report.notes == ()


@pytest.mark.slow
def test_predictions_alone_have_neither_costs_nor_pictures(vit, images, tmp_path):
    known = predict(vit, images)
    logits = np.random.default_rng(0).normal(size=(len(images), 10))
    other = Predictions(logits, known.labels, known.classes, known.names)
    report = report_comparison([Contender("a", "", known), Contender("b", "", other)], tmp_path / "c")
    assert report.notes[0].startswith("no gallery of disagreements")
    names = files(tmp_path / "c")
    assert {"figures/comparison.pdf", "figures/comparison.png"} <= set(names)
    assert not any("costs" in name or "disagreements-" in name or "predictions" in name for name in names)


def test_contenders_are_checked_before_any_is_run(vit, images, tmp_path):
    other = predict(vit, images.take(range(20)))
    with pytest.raises(InputError, match="a and b do not have the same images"):
        check_contenders([Contender("a", "", vit), Contender("b", "", other)], images)
    with pytest.raises(InputError, match="no images to run a on"):
        check_contenders([Contender("a", "", vit)])
    strange = type(images)(
        "x", "test", ("cat", "dog"), np.array([0]), ("0",), array=np.zeros((1, 1, 8, 8), "u1")
    )
    with pytest.raises(DataError, match="does not know the class 'cat'"):
        check_contenders([Contender("a", "", vit)], strange)


@pytest.mark.slow
def test_whole_or_not_at_all(images, vit, tmp_path):
    made = predict(vit, images)
    spoilt = Predictions(np.full_like(made.logits, np.nan), made.labels, made.classes, made.names)
    with pytest.raises(Exception, match="finite logits from every model"):
        report_comparison([Contender("a", "", made), Contender("b", "", spoilt)], tmp_path / "c")
    assert not list(tmp_path.iterdir())
    pair = [Contender("a", "", made), Contender("b", "", made)]
    report_comparison(pair, tmp_path / "c")
    with pytest.raises(OutputError, match="exists"):
        report_comparison(pair, tmp_path / "c")
    report_comparison(pair, tmp_path / "c", overwrite=True)


def test_pictures_are_found_by_name(images):
    rows = np.array([5, 2, 40])
    part = images.take(rows)
    pictures = find_pictures(images, part.names, part.labels)
    for place, row in enumerate(rows):
        np.testing.assert_array_equal(pictures(place), np.asarray(images.image(int(row))))
    assert find_pictures(images, (), part.labels) is None
    assert find_pictures(images, ("no such", *part.names[1:]), part.labels) is None
    # The names of a download only count: labels that are not those of one class each are of other data.
    wrong = np.arange(len(images)) % 10
    assert find_pictures(images, images.names, wrong) is None
    # Other numbers of the same classes, as of a model that knows more of them, are the same images.
    assert find_pictures(images, images.names, images.labels + 7) is not None


@pytest.mark.slow
def test_a_gallery_from_other_data_is_left_out_and_said(tmp_path, images):
    record, _ = digits()
    pair = {"a": record, "b": record}
    assert compare(pair, replicates=2).names == record.names
    report = report_comparison(
        [Contender(name, "", each) for name, each in pair.items()], tmp_path / "c", images=images
    )
    assert report.notes == ("no gallery of disagreements: the data given does not hold these images",)
