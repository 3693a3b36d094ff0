from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from tests.oracles.samples import digits, made
from vitscope.analysis.pairs import pair_samples
from vitscope.errors import InputError
from vitscope.figures.pairs import draw_pairs

BLUE, VERMILLION = "#0072b2", "#d55e00"


def test_four_groups_a_pair_with_numbers():
    predictions, images = digits()
    pairs = pair_samples(predictions)
    figure = draw_pairs(images, predictions.classes, pairs)
    (ax,) = figure.axes
    texts = [text.get_text() for text in ax.texts]
    assert texts[0] == "The 6 most confused pairs of classes; images drawn at random (seed 42)"
    expected = []
    for pair in pairs:
        a, b = (predictions.classes[index] for index in (pair.forward.true, pair.forward.predicted))
        assert f"✗ {a} → {b}" in texts
        assert f"✗ {b} → {a}" in texts
        each = pair.forward
        plural = "" if each.count == 1 else "s"
        interval = f"[{100 * each.low:.1f}, {100 * each.high:.1f}]"
        assert f"{each.count} image{plural}, {100 * each.share:.1f} % {interval}" in texts
        groups = ((pair.first, BLUE), (pair.first_taken, VERMILLION), (pair.second_taken, VERMILLION))
        for rows, colour in (*groups, (pair.second, BLUE)):
            expected += [(index, colour) for index in rows.tolist()]
    frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    for picture, frame, (index, colour) in zip(ax.images, frames, expected, strict=True):
        shown = np.asarray(picture.get_array())
        times = len(shown) // 8
        np.testing.assert_array_equal(shown[::times, ::times, 0], images[index])
        assert to_hex(frame.get_edgecolor()) == colour
        left, right, bottom, top = picture.get_extent()
        assert bottom - top == pytest.approx(right - left)


def test_long_names_fit_and_nothing_overlaps():
    predictions, images = digits()
    names = tuple("W" * 100 + name for name in predictions.classes)
    figure = draw_pairs(images, names, pair_samples(predictions))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [text.get_window_extent() for text in ax.texts] + [
        patch.get_window_extent() for patch in ax.patches
    ]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= 5.5 * 300
    assert all(text.get_size() >= 6 for text in ax.texts)
    assert sum("…" in text.get_text() for text in ax.texts) == 24


def test_one_pair_and_what_there_is_none_of():
    # The second class has no image of its own.
    predictions = made(np.eye(2)[[1, 1]], [0, 0])
    figure = draw_pairs([np.zeros((4, 4), np.uint8)] * 2, predictions.classes, pair_samples(predictions))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0].startswith("The most confused pair of classes;")
    assert texts.count("none") == 3
    assert "no images of the class" in texts
    assert len(figure.axes[0].images) == 2


def test_refuses_nothing():
    with pytest.raises(InputError, match="at least one pair"):
        draw_pairs([], ("a",), ())
