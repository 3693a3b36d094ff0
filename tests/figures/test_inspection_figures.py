"""Figures of heads, places, filters, layers and classes: what is drawn where, not pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from vitscope.analysis.lens import lens_by_layer
from vitscope.figures.class_maps import draw_class_maps
from vitscope.figures.files import save_figure
from vitscope.figures.filters import draw_filters
from vitscope.figures.heads import draw_head_statistics
from vitscope.figures.layer_names import short_names
from vitscope.figures.lens import draw_lens
from vitscope.figures.positions import draw_position_similarity
from vitscope.figures.similarity import draw_similarity
from vitscope.records.filters import Filters
from vitscope.records.heads import HeadStatistics
from vitscope.records.heatmap import Heatmap
from vitscope.records.lens import Lens
from vitscope.records.positions import PositionSimilarity
from vitscope.records.similarity import Similarity

HOSTILE = r"$\frac{a}" + "x" * 255
RANDOM = np.random.default_rng(1)


def statistics(layers=4, heads=3, names=("entropy", "class_entropy", "distance", "pixel_distance")):
    means = {name: RANDOM.uniform(1, 2, size=(layers, heads)) for name in names}
    return HeadStatistics(
        means=means,
        errors={name: np.full_like(each, 0.1) for name, each in means.items()},
        layers=tuple(f"network.blocks.{number}.attn" for number in range(layers)),
        grid=(2, 3),
        patch=(4.0, 4.0),
        tokens=7,
        images=20,
    )


def similarity(rows=3, columns=2, models=("one", "two")):
    return Similarity(
        RANDOM.uniform(size=(rows, columns)),
        np.full((rows, columns), 0.01),
        layers=tuple(f"blocks.{number}" for number in range(rows)),
        others=tuple(f"layer{number}.0" for number in range(1, columns + 1)),
        models=models,
        images=40,
        batches=2,
    )


def lens(layers=3, images=20):
    truth = RANDOM.uniform(size=(layers, images))
    return Lens(
        truth=truth,
        final=truth,
        predicted=np.tile(np.arange(images) % 2, (layers, 1)),
        labels=np.zeros(images, dtype=np.int64),
        layers=tuple(f"blocks.{number}" for number in range(layers)),
        classes=("a", "b"),
    )


def class_maps(classes=3, names=None):
    values = RANDOM.uniform(size=(classes, 2, 4)).astype(np.float32)
    names = names or tuple(f"class {number}" for number in range(classes))
    return Heatmap(values, method="rollout, class mean", options={"images": [7] * classes}, names=names)


def written(figure):
    axes = [text.get_text() for ax in figure.axes for text in ax.texts]
    return axes + [ax.get_title(where) for ax in figure.axes for where in ("center", "left")]


def test_a_dot_a_head_at_its_layer():
    record = statistics()
    figure = draw_head_statistics(record)
    assert len(figure.axes) == 3
    for ax, name in zip(figure.axes, ("entropy", "class_entropy", "pixel_distance"), strict=True):
        dots = next(line for line in ax.lines if line.get_marker() == "o")
        places, values = dots.get_data()
        np.testing.assert_allclose(values, record.means[name].ravel())
        np.testing.assert_array_equal(np.round(places), np.repeat(range(4), 3))
        uniform = next(line for line in ax.lines if line.get_linestyle() == "--")
        assert uniform.get_ydata()[0] == pytest.approx(record.uniform(name))
        assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2", "3"]
        assert ax.get_ylim()[1] > record.uniform(name)


def test_what_uniform_attention_has():
    record = statistics()
    places = [(row, column) for row in range(2) for column in range(3)]
    mean = sum(math.dist(one, other) for one in places for other in places) / 36
    assert record.uniform("entropy") == pytest.approx(math.log(7))
    assert record.uniform("distance") == pytest.approx(mean)
    assert record.uniform("pixel_distance") == pytest.approx(4 * mean)


def test_heads_without_numbers_are_left_out():
    record = statistics(layers=2, heads=2, names=("entropy",))
    record.means["entropy"][1, 1] = np.nan
    figure = draw_head_statistics(record, figure=Figure(figsize=(3, 2)))
    dots = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert len(dots.get_xdata()) == 3


def test_a_panel_for_each_patch():
    values = RANDOM.uniform(-1, 1, size=(2, 3, 2, 3))
    figure = draw_position_similarity(PositionSimilarity(values, name=HOSTILE, prefix=1))
    ax = figure.axes[0]
    picture = ax.images[0].get_array()
    # A gap of one between panels of 2 x 3.
    assert picture.shape == (5, 11)
    np.testing.assert_allclose(picture[3:5, 4:7], values[1, 1])
    assert np.ma.getmaskarray(picture)[2].all()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3"]
    assert ax.images[0].get_clim() == (pytest.approx(values.min()), 1)
    figure.draw_without_rendering()


def test_large_grids_have_a_panel_for_some_patches():
    values = np.ones((30, 2, 30, 2))
    ax = draw_position_similarity(PositionSimilarity(values, name="pos_embed")).axes[0]
    labels = [int(label.get_text()) for label in ax.get_yticklabels()]
    assert len(labels) == 14
    assert (labels[0], labels[-1]) == (1, 30)


def test_zero_is_grey_and_the_largest_weight_is_black_or_white():
    values = np.zeros((2, 2, 2, 3))
    values[0, 0, 0] = (0.5, -0.5, 0.25)
    figure = draw_filters(Filters(values, kind="kernels", name=HOSTILE, total=2))
    pixels = [image.get_array() for image in figure.axes[0].images]
    assert pixels[0][0, 0].tolist() == [255, 0, 191]
    assert pixels[1].ravel().tolist() == [128] * 12
    assert any("±0.5" in text for text in written(figure))


def test_components_say_what_they_explain():
    record = Filters(
        np.ones((2, 2, 2, 1)), kind="components", name="proj", total=9, variance=np.array([0.625, 0.25])
    )
    texts = written(draw_filters(record))
    assert {"62.5 %", "25.0 %"} <= set(texts)
    assert any("2 principal components" in text and "88 %" in text for text in texts)


def test_of_many_kernels_the_first_are_drawn():
    figure = draw_filters(Filters(RANDOM.normal(size=(200, 3, 3, 3)), kind="kernels", name="stem", total=200))
    assert len(figure.axes[0].images) == 128
    assert "128 of 200 kernels of stem" in written(figure)


def test_curves_of_the_lens_and_images_by_how_they_end():
    record = lens()
    curves = lens_by_layer(record, replicates=50)
    left, right = draw_lens(curves, record).axes
    for line, name in zip(left.lines, ("accuracy", "true_class", "final_class"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), curves.values[name])
    assert len(left.collections) == 3
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels == ["ends right: 6 of 10", "ends wrong: 6 of 10", "chance"]
    np.testing.assert_allclose(right.lines[0].get_ydata(), record.truth[:, 0])
    np.testing.assert_allclose(right.lines[6].get_ydata(), record.truth[:, 1])


def test_layers_along_both_axes():
    record = similarity()
    record.values[0, 0] = np.nan
    figure = draw_similarity(record)
    ax = figure.axes[0]
    np.testing.assert_allclose(ax.images[0].get_array().filled(-1)[1:], record.values[1:])
    assert ax.images[0].get_clim() == (0, 1)
    assert ax.images[0].origin == "lower"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["layer1.0", "layer2.0"]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("Block of one", "Layer of two")
    assert len(ax.texts) == 5


def test_many_layers_and_hostile_names():
    figure = draw_similarity(similarity(60, 50, models=(HOSTILE, "two")))
    ax = figure.axes[0]
    assert not ax.texts
    assert len(ax.get_yticklabels()) < 40
    figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (["net.blocks.0", "net.blocks.1"], (["0", "1"], "Block")),
        (["net.blocks.0.attn", "net.blocks.1.attn"], (["0", "1"], "Block")),
        (["encoder.layer_0", "encoder.layer_1"], (["0", "1"], "Block")),
        (["layer1.0", "layer1.1", "layer2.0"], (["layer1.0", "layer1.1", "layer2.0"], "Layer")),
        (["net.stages.3"], (["3"], "Layer")),
        (["blocks.0"], (["0"], "Block")),
        (["head"], (["head"], "Layer")),
    ],
)
def test_short_names(layers, expected):
    assert short_names(layers) == expected


def test_one_scale_for_all_classes():
    record = class_maps(3, names=("ant", HOSTILE, "cat"))
    figure = draw_class_maps(record)
    panels = [image.get_array() for image in figure.axes[0].images if image.get_array().shape[:2] == (2, 4)]
    assert len(panels) == 3
    flat, values = np.concatenate(panels).reshape(-1, 3).tolist(), record.values.reshape(-1)
    order = np.argsort(values)
    # The smallest value of all is the darkest of all, the largest the brightest.
    assert sum(flat[order[0]]) == min(map(sum, flat))
    assert sum(flat[order[-1]]) == max(map(sum, flat))
    assert {"ant", "cat", "n = 7", "one scale for all classes"} <= set(written(figure))


def test_of_many_classes_the_first_are_drawn():
    texts = written(draw_class_maps(class_maps(120)))
    assert any("100 of 120 classes" in text for text in texts)


def test_one_can_be_saved(tmp_path):
    pdf, png = save_figure(draw_filters(Filters(np.ones((1, 2, 2, 3)), "kernels", "stem", 1)), tmp_path / "f")
    assert pdf.stat().st_size > 1000
    assert png.stat().st_size > 1000
