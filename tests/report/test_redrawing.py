from __future__ import annotations

import json
import re
from functools import partial

import numpy as np
import pytest

from vitscope.data.sources import DataSpec, load_split
from vitscope.figures.redrawing import redraw
from vitscope.inference.classifier import load
from vitscope.inference.prediction import predict
from vitscope.records.predictions import Predictions
from vitscope.report.attention import AttentionView, report_attention
from vitscope.report.comparison import Contender, report_comparison
from vitscope.report.explanation import report_explanation
from vitscope.report.faithfulness import Question, report_faithfulness
from vitscope.report.inspection import report_inspection
from vitscope.report.subjects import Subject


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    """A folder with one of every kind of report in it, whose figures are few and small."""
    folder = tmp_path_factory.mktemp("run")
    model = load(tiny_run / "best.pth")
    images = load_split(DataSpec("digits"), "test").take(range(0, 360, 9))
    subject = Subject("deep/$a_1.png", partial(images.image, 0), label=int(images.labels[0]))
    report_attention(model, [subject], folder / "attention", view=AttentionView("raw"))
    report_attention(model, [subject], folder / "layers", view=AttentionView("raw", layers=((0, -1),)))
    report_explanation(model, [subject], folder / "pages", methods=["rollout", "relevance"])
    report_explanation(model, [subject], folder / "sides", methods=["relevance"], targets=("predicted", 3))
    report_explanation(model, [subject], folder / "single", methods=["relevance"])
    known = predict(model, images)
    logits = np.random.default_rng(0).normal(size=(len(images), 10))
    other = Predictions(logits, known.labels, known.classes, known.names)
    models = [Contender("a", "", known), Contender("{b}", "", other)]
    report_comparison(models, folder / "comparison", images=images)
    question = Question(methods=("rollout",), metrics=("deletion", "insertion"))
    report_faithfulness(model, images.take(range(4)), folder / "faithfulness", question=question)
    report_inspection(model, images, folder / "inspection", parts=("filters", "lens", "cka"))
    return folder


@pytest.mark.slow
def test_every_figure_is_drawn_again_byte_for_byte(run, tmp_path):
    found = redraw(run, tmp_path)
    assert not found.left_out
    first = {path.relative_to(run) for path in run.rglob("*.p[dn][fg]")}
    assert len(first) == 2 * len(found.names) == 2 * 12
    for path in first:
        place = [part for part in path.parts if part != "figures"]
        assert tmp_path.joinpath(*place).read_bytes() == (run / path).read_bytes(), path


@pytest.mark.slow
def test_every_figure_has_a_caption_with_its_n_its_data_and_its_latex(run):
    seen = 0
    for path in run.rglob("captions.json"):
        for name, caption in json.loads(path.read_text()).items():
            seen += 1
            assert re.search(r"n = [1-9]", caption), caption
            assert "Data: digits" in caption or "$a_1.png" in caption or "Model: " in caption, caption
            assert len((path.parent / f"{name}.csv").read_text().splitlines()) > 1
            assert r"\caption{" in (path.parent / f"{name}.tex").read_text()
    assert seen == 12
