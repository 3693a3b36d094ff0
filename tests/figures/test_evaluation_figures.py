from __future__ import annotations

import time

import matplotlib as mpl
import numpy as np
import pytest

from tests.oracles.samples import digits, made
from vitscope.analysis.evaluation import evaluate
from vitscope.figures.evaluation import save_evaluation_figures

NAMES = ("per_class", "confusion", "reliability", "samples", "misclassified")


def test_writes_five_figures_twice(tmp_path):
    predictions, images = digits()
    before = dict(mpl.rcParams)
    written = save_evaluation_figures(evaluate(predictions), images, tmp_path / "figures")
    assert [path.name for path in written] == [f"{name}.{kind}" for name in NAMES for kind in ("pdf", "png")]
    assert all(path.stat().st_size > 1000 for path in written)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(
        path.name for path in written
    )
    for path in written[::2]:
        assert b"/Type3" not in path.read_bytes()
    assert dict(mpl.rcParams) == before


def test_nothing_misclassified_is_said(tmp_path):
    evaluation = evaluate(made(np.eye(3), [0, 1, 2]))
    save_evaluation_figures(evaluation, [np.zeros((8, 8), np.uint8)] * 3, tmp_path)
    assert (tmp_path / "misclassified.png").is_file()


def test_images_that_are_not_finite_are_never_asked_for(tmp_path):
    evaluation = evaluate(made([[np.nan, 0.0], [1.0, 0.0]], [0, 1]))
    asked = []

    def image(index):
        asked.append(index)
        return np.zeros((4, 6, 3), np.uint8)

    save_evaluation_figures(evaluation, image, tmp_path)
    assert set(asked) == {1}


@pytest.mark.slow
def test_ten_thousand_images_in_seconds(tmp_path):
    predictions, images = digits()
    rows = np.arange(10_000) % len(predictions)
    many = made(predictions.logits[rows], predictions.labels[rows])
    start = time.process_time()
    save_evaluation_figures(evaluate(many), lambda index: images[rows[index]], tmp_path)
    assert time.process_time() - start < 15  # about 3 s on an idle core
