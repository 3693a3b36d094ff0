from __future__ import annotations

import time

import matplotlib as mpl
import numpy as np
import pytest

from tests.oracles.samples import digits, made
from vitscope.analysis.evaluation import evaluate
from vitscope.analysis.superclasses import Superclasses
from vitscope.errors import ImageError
from vitscope.figures.evaluation import save_evaluation_figures

NUMBERS = ("per_class", "confusion", "reliability", "confidence", "risk_coverage")
PICTURES = (
    "samples",
    "misclassified",
    "confident_errors",
    "uncertain_hits",
    "class_gallery",
    "confused_pairs",
)


def _files(names):
    return [f"{name}.{kind}" for name in names for kind in ("pdf", "png")]


@pytest.mark.slow
def test_writes_every_figure_twice(tmp_path):
    predictions, images = digits()
    before = dict(mpl.rcParams)
    written = save_evaluation_figures(evaluate(predictions, replicates=0), images, tmp_path / "figures")
    assert [path.name for path in written] == _files(NUMBERS + PICTURES)
    assert all(path.stat().st_size > 1000 for path in written)
    beside = [f"{name}.{kind}" for name in NUMBERS + PICTURES for kind in ("csv", "tex")]
    names = [path.name for path in (tmp_path / "figures").iterdir()]
    assert sorted(names) == sorted([*_files(NUMBERS + PICTURES), *beside, "captions.json", "drawings"])
    for path in written[::2]:
        assert b"/Type3" not in path.read_bytes()
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
def test_without_images_the_numbers_alone(tmp_path):
    predictions, _ = digits()
    written = save_evaluation_figures(evaluate(predictions, replicates=0), None, tmp_path)
    assert [path.name for path in written] == _files(NUMBERS)


@pytest.mark.slow
def test_superclasses_have_figures_and_an_order(tmp_path):
    predictions, _ = digits()
    superclasses = Superclasses(predictions.classes, ("even", "odd"), np.arange(10) % 2)
    evaluation = evaluate(predictions, superclasses=superclasses, replicates=0)
    written = save_evaluation_figures(evaluation, None, tmp_path)
    names = _files((*NUMBERS, "per_superclass", "superclass_confusion"))
    assert [path.name for path in written] == [*names, "class_order.csv"]
    groups = [line.split(",")[2] for line in written[-1].read_text().splitlines()]
    assert groups[0] == "group"
    assert len(set(groups[1:6])) == len(set(groups[6:])) == 1  # one superclass after the other
    assert sorted(groups[1:]) == ["even"] * 5 + ["odd"] * 5


@pytest.mark.slow
def test_many_classes_are_ordered(tmp_path):
    evaluation = evaluate(made(np.eye(31)[np.roll(np.arange(31), 1)], np.arange(31)), replicates=0)
    written = save_evaluation_figures(evaluation, None, tmp_path)
    assert written[-1].name == "class_order.csv"
    assert len(written[-1].read_text().splitlines()) == 32


@pytest.mark.slow
@pytest.mark.parametrize("right", [True, False], ids=["all right", "all wrong"])
def test_nothing_to_show_is_said(tmp_path, right):
    evaluation = evaluate(made(np.eye(3), [0, 1, 2] if right else [1, 2, 0]), replicates=0)
    written = save_evaluation_figures(evaluation, [np.zeros((8, 8), np.uint8)] * 3, tmp_path)
    assert [path.name for path in written] == _files(NUMBERS + PICTURES)


@pytest.mark.slow
def test_images_that_are_not_finite_are_never_asked_for(tmp_path):
    evaluation = evaluate(made([[np.nan, 0.0], [1.0, 0.0]], [0, 1]), replicates=0)
    asked = []

    def image(index):
        asked.append(index)
        return np.zeros((4, 6, 3), np.uint8)

    save_evaluation_figures(evaluation, image, tmp_path)
    assert set(asked) == {1}


@pytest.mark.slow
def test_images_that_cannot_be_read_do_not_stop_it(tmp_path):
    predictions, _ = digits()

    def image(index):
        raise ImageError(f"cannot read image {index}: there is no such file")

    written = save_evaluation_figures(evaluate(predictions, replicates=0), image, tmp_path)
    assert [path.name for path in written] == _files(NUMBERS + PICTURES)


@pytest.mark.slow
def test_ten_thousand_images_in_seconds(tmp_path):
    predictions, images = digits()
    rows = np.arange(10_000) % len(predictions)
    many = made(predictions.logits[rows], predictions.labels[rows])
    start = time.process_time()
    save_evaluation_figures(evaluate(many, replicates=0), lambda index: images[rows[index]], tmp_path)
    assert time.process_time() - start < 25  # about 6 s on an idle core
