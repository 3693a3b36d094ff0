"""Every figure of an evaluation in the narrowest column, for few and many classes with long names."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from tests.oracles.samples import made
from vitscope.analysis.evaluation import evaluate
from vitscope.figures.evaluation import evaluation_exhibits
from vitscope.figures.style import drawing, paper_style

LONG = "a class with a very long name indeed, the one that is called number"


def _predictions(classes):
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, 400)
    logits = random.normal(size=(400, classes)) + 2.5 * np.eye(classes)[labels]
    return made(logits, labels, classes=tuple(f"{LONG} {index}" for index in range(classes)))


def _texts(figure):
    """Return the lines that are seen, each with its box in pixels; ticks beyond an axis are not drawn."""
    hidden = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    hidden |= {tick.label1, tick.label2}
    seen = [text for text in figure.findobj(Text) if text not in hidden]
    return [
        (text, text.get_window_extent()) for text in seen if text.get_visible() and text.get_text().strip()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
def test_nothing_is_cut_hidden_or_too_small(classes):
    predictions = _predictions(classes)
    images = np.zeros((400, 8, 8), np.uint8)
    with paper_style("acl"):
        for exhibit in evaluation_exhibits(evaluate(predictions), images):
            figure = exhibit.draw()
            with drawing():
                figure.draw_without_rendering()
                texts = _texts(figure)
            page = figure.bbox
            for text, box in texts:
                said = f"{exhibit.name}: {text.get_text()}"
                assert text.get_size() >= 6, said
                inside = (box.x0, box.y0, page.x1 - box.x1, page.y1 - box.y1)
                assert min(inside) > -1.5, said
            for (text, box), (other, beside) in itertools.combinations(texts, 2):
                across = min(box.x1, beside.x1) - max(box.x0, beside.x0)
                up = min(box.y1, beside.y1) - max(box.y0, beside.y0)
                # Boxes have room above and below the letters.
                overlap = across > 2 and up > 3.5
                assert not overlap, f"{exhibit.name}: {text.get_text()!r} and {other.get_text()!r}"
