from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from tests.oracles.samples import digits, made
from vitscope.analysis.samples import sample_indices
from vitscope.errors import InputError
from vitscope.figures.gallery import draw_gallery, draw_notice

BLUE, VERMILLION = "#0072b2", "#d55e00"


def _frame(ax):
    return next(patch for patch in ax.patches if isinstance(patch, Rectangle))


def test_says_what_was_predicted_of_each():
    predictions, images = digits()
    chosen = sample_indices(predictions)
    before = dict(mpl.rcParams)
    figure = draw_gallery(images, predictions, chosen, title="Sixteen digits")
    assert len(figure.axes) == 16
    assert [text.get_text() for text in figure.texts] == ["Sixteen digits"]
    for ax, index in zip(figure.axes, chosen, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), images[index])
        right = predictions.predicted[index] == predictions.labels[index]
        said, truth = (text.get_text() for text in ax.texts)
        share = 100 * predictions.probabilities[index].max()
        name = predictions.classes[predictions.predicted[index]]
        assert said == f"{'✓' if right else '✗'} {name} ({share:.0f} %)"
        assert truth == f"true: {predictions.classes[predictions.labels[index]]}"
        colour = BLUE if right else VERMILLION
        assert to_hex(_frame(ax).get_edgecolor()) == to_hex(ax.texts[0].get_color()) == colour
    assert dict(mpl.rcParams) == before


def test_misclassified_are_all_marked_wrong():
    predictions, images = digits()
    figure = draw_gallery(images, predictions, sample_indices(predictions, only="wrong"))
    assert all(ax.texts[0].get_text().startswith("✗") for ax in figure.axes)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 1), (5, 2), (16, 4)])
def test_rows_of_four(count, rows):
    predictions, images = digits()
    figure = draw_gallery(images, predictions, range(count))
    assert len(figure.axes) == count
    assert len({round(ax.get_position().y0, 6) for ax in figure.axes}) == rows
    assert figure.get_figwidth() == 5.5


SHAPES = [(8, 200), (200, 8), (1, 1), (30, 40), (3000, 20), (17, 17)]


@pytest.mark.parametrize("shapes", [SHAPES, SHAPES[:1], SHAPES[1:2], SHAPES[3:4]])
def test_images_keep_their_proportions_and_stay_apart(shapes):
    images = [np.full(shape if i % 2 else (*shape, 3), 99, np.uint8) for i, shape in enumerate(shapes)]
    figure = draw_gallery(images, made(np.eye(6), range(6)), range(len(images)), title="shapes")
    figure.draw_without_rendering()
    frames = []
    for ax, image in zip(figure.axes, images, strict=True):
        box = ax.images[0].get_window_extent()
        assert box.height / box.width == pytest.approx(image.shape[0] / image.shape[1], rel=1e-6)
        place = ax.get_window_extent()
        assert box.x0 >= place.x0 - 1e-6
        assert box.y1 <= place.y1 + 1e-6
        assert box.y0 == pytest.approx(place.y0)
        captions = [text.get_window_extent() for text in ax.texts]
        assert captions[0].y1 <= box.y0
        frames += [box, *captions]
    assert not any(a.overlaps(b) for i, a in enumerate(frames) for b in frames[:i])
    width, height = figure.get_size_inches() * figure.dpi
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in frames)


def test_pixels_of_small_images_are_squares():
    images = [np.zeros((8, 8), np.uint8), np.zeros((600, 600), np.uint8)]
    figure = draw_gallery(images, made(np.eye(2), [0, 1]), [0, 1])
    assert [ax.images[0].get_interpolation() for ax in figure.axes] == ["nearest", "antialiased"]


def test_dark_grey_images_are_not_stretched():
    figure = draw_gallery([np.full((4, 4), 10, np.uint8)], made([[1.0, 0.0]], [0]), [0])
    assert figure.axes[0].images[0].get_clim() == (0, 255)


def test_long_and_odd_names_fit_their_cells():
    names = (r"$\frac$ " * 9, "[/red]" * 20, "日本" * 40, "W" * 255)
    logits = np.eye(4)[[1, 0, 3, 2]]
    images = [np.zeros((8, 8), np.uint8)] * 4
    figure = draw_gallery(images, made(logits, range(4), classes=names), range(4))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for ax in figure.axes for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert boxes[0].x0 >= 0
    assert boxes[-1].x1 <= 5.5 * 300


def test_rows_that_are_not_finite_are_wrong_and_say_so():
    ax = draw_gallery([np.zeros((2, 2), np.uint8)], made([[np.nan, 0.0]], [0]), [0]).axes[0]
    assert ax.texts[0].get_text() == "✗ not finite"


def test_asks_a_function_only_for_what_it_shows():
    asked = []

    def image(index):
        asked.append(index)
        return np.zeros((3, 3, 1), np.uint8)

    draw_gallery(image, made(np.eye(5), range(5)), [1, 3])
    assert asked == [1, 3]


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
