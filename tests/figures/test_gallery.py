from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from tests.oracles.samples import digits, made
from vitscope.analysis.samples import sample_indices
from vitscope.errors import ImageError, InputError
from vitscope.figures.gallery import draw_gallery, draw_notice

BLUE, VERMILLION = "#0072b2", "#d55e00"


def _parts(figure):
    """The pictures, their frames, and the two lines below each, in the order of the images."""
    (ax,) = figure.axes
    frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    lines = [text for text in ax.texts if text.get_va() == "top"]
    return ax.images, frames, list(zip(lines[::2], lines[1::2], strict=True))


def test_says_what_was_predicted_of_each():
    predictions, images = digits()
    chosen = sample_indices(predictions)
    before = dict(mpl.rcParams)
    figure = draw_gallery(images, predictions, chosen, title="Sixteen digits")
    pictures, frames, captions = _parts(figure)
    assert len(pictures) == 16
    assert figure.axes[0].texts[0].get_text() == "Sixteen digits"
    for picture, frame, (said, truth), index in zip(pictures, frames, captions, chosen, strict=True):
        shown = np.asarray(picture.get_array())
        times = len(shown) // 8
        np.testing.assert_array_equal(shown[::times, ::times, 0], images[index])
        right = predictions.predicted[index] == predictions.labels[index]
        share = 100 * predictions.probabilities[index].max()
        name = predictions.classes[predictions.predicted[index]]
        assert said.get_text() == f"{'✓' if right else '✗'} {name} ({share:.0f} %)"
        assert truth.get_text() == f"true: {predictions.classes[predictions.labels[index]]}"
        colour = BLUE if right else VERMILLION
        assert to_hex(frame.get_edgecolor()) == to_hex(said.get_color()) == colour
    assert dict(mpl.rcParams) == before


def test_misclassified_are_all_marked_wrong():
    predictions, images = digits()
    figure = draw_gallery(images, predictions, sample_indices(predictions, only="wrong"))
    assert all(said.get_text().startswith("✗") for said, _ in _parts(figure)[2])


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 1), (5, 2), (16, 4)])
def test_rows_of_four(count, rows):
    predictions, images = digits()
    figure = draw_gallery(images, predictions, range(count))
    pictures, _, _ = _parts(figure)
    assert len(pictures) == count
    assert len({round(picture.get_extent()[2], 6) for picture in pictures}) == rows
    assert figure.get_figwidth() == 5.5


SHAPES = [(8, 60), (60, 8), (1, 1), (30, 40), (3000, 400), (17, 17)]


@pytest.mark.parametrize("shapes", [SHAPES, SHAPES[:1], SHAPES[1:2], SHAPES[3:4]])
def test_images_keep_their_proportions_and_stay_apart(shapes):
    images = [np.full(shape if i % 2 else (*shape, 3), 99, np.uint8) for i, shape in enumerate(shapes)]
    figure = draw_gallery(images, made(np.eye(6), range(6)), range(len(images)), title="shapes")
    figure.draw_without_rendering()
    boxes = []
    pictures, _, captions = _parts(figure)
    for picture, lines, image in zip(pictures, captions, images, strict=True):
        box = picture.get_window_extent()
        assert box.height / box.width == pytest.approx(image.shape[0] / image.shape[1], rel=1e-6)
        below = [line.get_window_extent() for line in lines]
        assert below[0].y1 <= box.y0
        boxes += [box, *below]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    width, height = figure.get_size_inches() * figure.dpi
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)


def test_long_and_odd_names_fit_their_cells():
    names = (r"$\frac$ " * 9, "[/red]" * 20, "日本\n" * 40, "W" * 255)
    logits = np.eye(4)[[1, 0, 3, 2]]
    images = [np.zeros((8, 8), np.uint8)] * 4
    figure = draw_gallery(images, made(logits, range(4), classes=names), range(4), title="T" * 255)
    figure.set_dpi(300)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert (
        len(boxes) == 1 + 4 * 3
    )  # the title, and of each image the class, the confidence and the true class
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= 5.5 * 300


def test_rows_that_are_not_finite_are_wrong_and_say_so():
    figure = draw_gallery([np.zeros((2, 2), np.uint8)], made([[np.nan, 0.0]], [0]), [0])
    assert figure.axes[0].texts[0].get_text() == "✗ not finite"


def test_asks_a_function_only_for_what_it_shows():
    asked = []

    def image(index):
        asked.append(index)
        return np.zeros((3, 3, 1), np.uint8)

    draw_gallery(image, made(np.eye(5), range(5)), [1, 3])
    assert asked == [1, 3]


def test_an_image_that_cannot_be_read_is_a_box_that_says_so():
    def image(index):
        if index:
            raise ImageError("cannot read image b.png: it is cut")
        return np.zeros((3, 3), np.uint8)

    figure = draw_gallery(image, made(np.eye(2), [0, 1]), [0, 1])
    (ax,) = figure.axes
    assert len(ax.images) == 1
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("cannot be read") == 1
    assert "✓ class 1 (73 %)" in texts


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((3, 3)),
        np.zeros((3, 3, 4), np.uint8),
        np.zeros(3, np.uint8),
        np.zeros((0, 3), np.uint8),
        np.zeros((2, 3, 3, 3), np.uint8),
    ],
)
def test_refuses_what_is_no_image(image):
    with pytest.raises(InputError, match="expected image 0 as uint8"):
        draw_gallery([image], made([[1.0]], [0]), [0])


def test_refuses_nothing():
    with pytest.raises(InputError, match="at least one index"):
        draw_gallery([], made([[1.0]], [0]), [])


def test_a_notice_is_plain_text():
    figure = draw_notice("No image is misclassified: all 7 predictions are right.")
    assert [text.get_text() for text in figure.texts] == [
        "No image is misclassified: all 7 predictions are right."
    ]
