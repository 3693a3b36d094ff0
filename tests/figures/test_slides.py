"""Slides are wide and low: what can be arranged otherwise fits on one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.embedded import made
from vitscope.analysis.calibration import reliability
from vitscope.analysis.confusion import confusion
from vitscope.figures.confusion import draw_confusion
from vitscope.figures.embedding import draw_embedding
from vitscope.figures.gallery import draw_gallery
from vitscope.figures.reliability import draw_reliability
from vitscope.figures.style import current_style, paper_style
from vitscope.records.predictions import Predictions

NAMES = tuple(f"class {index}" for index in range(10))


@pytest.fixture(scope="module")
def drawings():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 10
    logits = rng.normal(size=(200, 10)) + 3 * np.eye(10)[labels]
    record = Predictions(logits, labels, NAMES, tuple(map(str, range(200))))
    images = rng.integers(0, 255, size=(16, 32, 32, 3), dtype=np.uint8)
    return {
        "gallery": lambda: draw_gallery(images, record, range(16), title="16 images"),
        "confusion": lambda: draw_confusion(confusion(record)),
        "reliability": lambda: draw_reliability(reliability(record)),
        "embedding": lambda: draw_embedding(made(400, NAMES), color="correct"),
    }


@pytest.mark.parametrize("name", ["gallery", "confusion", "reliability", "embedding"])
def test_none_is_higher_than_a_slide(drawings, name):
    with paper_style("slides", "page"):
        figure = drawings[name]()
        assert figure.get_figheight() <= 7.0 + 1e-6
        assert figure.get_figwidth() <= current_style().width + 1e-6
        figure.draw_without_rendering()
        page = figure.bbox
        for text in figure.findobj(lambda each: hasattr(each, "get_text") and each.get_text().strip()):
            box = text.get_window_extent()
            if text.get_visible() and box.width:
                assert page.x0 - 1 <= box.x0 <= box.x1 <= page.x1 + 1, text.get_text()
                assert page.y0 - 1 <= box.y0 <= box.y1 <= page.y1 + 1, text.get_text()


def test_points_grow_with_the_letters(drawings):
    sizes = {}
    for venue in ("neurips", "slides"):
        with paper_style(venue):
            (first, *_) = drawings["embedding"]().axes[0].collections
            sizes[venue] = float(first.get_sizes()[0])
    assert sizes["slides"] == pytest.approx(sizes["neurips"] * 1.75**2, rel=0.2)
