from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from tests.oracles.samples import digits, made
from vitscope.analysis.samples import class_samples
from vitscope.errors import ImageError, InputError
from vitscope.figures.class_gallery import draw_class_gallery

BLUE, VERMILLION = "#0072b2", "#d55e00"


def _frames(figure):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def test_a_row_a_class_with_right_and_wrong_examples():
    predictions, images = digits()
    samples = class_samples(predictions)
    figure = draw_class_gallery(images, predictions, samples)
    (ax,) = figure.axes
    expected = [
        (row, index)
        for row, (right, wrong) in enumerate(zip(samples.right, samples.wrong, strict=True))
        for index in (*right.tolist(), *wrong.tolist())
    ]
    assert len(ax.images) == len(expected)
    tops = {}
    for picture, frame, (row, index) in zip(ax.images, _frames(figure), expected, strict=True):
        left, right, bottom, top = picture.get_extent()
        assert bottom - top == pytest.approx(right - left)
        tops.setdefault(row, set()).add(round(top, 6))
        hit = predictions.predicted[index] == predictions.labels[index]
        assert to_hex(frame.get_edgecolor()) == (BLUE if hit else VERMILLION)
        shown = np.asarray(picture.get_array())
        times = len(shown) // 8
        np.testing.assert_array_equal(shown[::times, ::times, 0], images[index])
    assert all(len(places) == 1 for places in tops.values())
    assert sorted(tops, key=lambda row: min(tops[row])) == list(range(len(samples.index)))
    texts = [text.get_text() for text in ax.texts]
    for index, n, correct in zip(samples.index, samples.n, samples.correct, strict=True):
        assert predictions.classes[index] in texts
        assert f"{100 * correct / n:.1f} % of {n}" in texts
    assert texts[0] == "All classes, the lowest accuracy first; images drawn at random (seed 42)"


@pytest.mark.slow
@pytest.mark.parametrize(("width", "least"), [(2, 0.49), (20, 0.28)])
def test_fits_on_a_page_without_overlap(width, least):
    labels = np.repeat(np.arange(width), 10)
    predicted = np.where(np.arange(10 * width) % 10 < 5, labels, (labels + 1) % width)
    names = tuple("W" * 200 + str(index) for index in range(width))
    predictions = made(np.eye(width)[predicted], labels, classes=names)
    figure = draw_class_gallery(
        [np.zeros((8, 12), np.uint8)] * len(labels), predictions, class_samples(predictions)
    )
    assert figure.get_figheight() < 9.5
    figure.set_dpi(300)
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [text.get_window_extent() for text in ax.texts] + [
        patch.get_window_extent() for patch in ax.patches
    ]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= 5.5 * 300
    assert min(box.y0 for box in boxes) >= 0
    assert all(text.get_size() >= 6 for text in ax.texts)
    assert ax.images[0].get_extent()[1] - ax.images[0].get_extent()[0] >= least


def test_more_classes_than_shown_and_missing_examples_are_said():
    width = 21
    labels = np.arange(width)
    predicted = np.where(labels == 3, 4, labels)
    predictions = made(np.eye(width)[predicted], labels)
    images = [np.zeros((4, 4), np.uint8)] * width
    texts = [
        text.get_text()
        for text in draw_class_gallery(images, predictions, class_samples(predictions)).axes[0].texts
    ]
    assert texts[0].startswith("The 20 classes of the lowest accuracy, of 21; images drawn at random")
    assert texts.count("none") == 20
    assert "class 3" in texts
    assert "class 20" not in texts


def test_an_image_that_cannot_be_read_is_said():
    def image(index):
        raise ImageError("cut")

    predictions = made(np.eye(2), [0, 1])
    figure = draw_class_gallery(image, predictions, class_samples(predictions))
    assert len(figure.axes[0].images) == 0
    assert [text.get_text() for text in figure.axes[0].texts].count("cannot be read") == 2


def test_refuses_nothing():
    predictions = made(np.eye(2), [0, 1])
    with pytest.raises(InputError, match="at least one class"):
        draw_class_gallery([], predictions, class_samples(predictions, classes=0))
