"""Layers by heads: a panel each in one scale, and the animation by depth."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vitscope.errors import InputError
from vitscope.figures.animation import draw_depths, save_animation
from vitscope.figures.layers import draw_layers
from vitscope.figures.overlay import COLOURS
from vitscope.records.heatmap import Heatmap

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def head(layer, number, values=None):
    drawn = np.random.default_rng(layer * 10 + number).random((2, 4, 4), dtype=np.float32)
    return Heatmap(
        values=drawn if values is None else values,
        method="raw attention",
        options={"layer": layer, "head": number, "query": "mean of the patches"},
    )


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_row_a_layer_and_a_column_a_head():
    figure = draw_layers(
        [[head(layer, number) for number in (0, 2, 5)] for layer in (1, 3)],
        PICTURE,
        prediction=("_$cat%", 0.123),
    )
    shown = texts(figure)
    assert shown[:2] == [
        "Raw attention of the mean of the patches by layer and head",
        "predicted: _$cat% (12.3 %)",
    ]
    assert {"head 0", "head 2", "head 5", "layer 1", "layer 3"} <= set(shown)


def test_every_patch_has_the_colour_of_its_value_in_one_scale():
    """Two layers of two heads, 2 × 2 patches: the panels as one picture, read in the middle of each patch."""
    rng = np.random.default_rng(3)
    values = rng.random((2, 2, 1, 2, 2)).astype(np.float32)
    layers = [[head(layer, number, values[layer, number]) for number in range(2)] for layer in range(2)]
    figure = draw_layers(layers, PICTURE, box=(0, 0, 40, 40))
    joined = np.asarray(figure.axes[0].images[1].get_array())
    high = np.quantile(values, 0.99)
    low = values.min()
    side = (joined.shape[1] - (joined.shape[1] - 2 * 100)) // 2
    gap = joined.shape[1] - 2 * side
    for layer in range(2):
        for number in range(2):
            for row in range(2):
                for column in range(2):
                    at = (
                        layer * (side + gap) + row * side // 2 + side // 4,
                        number * (side + gap) + column * side // 2 + side // 4,
                    )
                    share = min((values[layer, number, 0, row, column] - low) / (high - low), 1)
                    expected = np.array(COLOURS(float(share))[:3]) * 255
                    np.testing.assert_allclose(joined[at], expected, atol=3)
    assert any("one scale for all layers and heads" in text for text in texts(figure))


def test_many_layers_and_heads_stay_in_the_figure():
    figure = draw_layers([[head(layer, number) for number in range(16)] for layer in range(24)], PICTURE)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(box.x0 > -0.5 and box.x1 < figure.bbox.width + 0.5 and box.y0 > 0 for box in boxes)
    assert not any(box.overlaps(other) for number, box in enumerate(boxes) for other in boxes[:number])


def test_deep_models_with_few_heads_stay_on_a_page():
    figure = draw_layers(
        [[head(layer, number) for number in range(3)] for layer in range(12)], PICTURE[:, :40]
    )
    assert figure.get_figheight() <= 8.8 + 1e-6


def test_layers_that_cannot_be_drawn():
    for layers in ([], [[]], [[head(0, 0)], [head(1, 0), head(1, 1)]]):
        with pytest.raises(InputError, match="equally many heads"):
            draw_layers(layers, PICTURE)
    with pytest.raises(InputError, match="image in 0 … 1"):
        draw_layers([[head(0, 0)]], PICTURE, image=2)


def depths(count):
    maps = [np.full((1, 2, 2), 0.1, np.float32) for _ in range(count)]
    for depth, values in enumerate(maps):
        values[0, 0, 0] = 0.1 + depth
    return [Heatmap(values=values, method="rollout") for values in maps]


def test_a_frame_a_depth_and_only_what_changes_changes():
    frames = draw_depths(depths(3), PICTURE, prediction=("x" * 200, 1.0))
    assert len(frames) == 3
    assert len({frame.shape for frame in frames}) == 1
    assert all(frame.dtype == np.uint8 for frame in frames)
    assert (frames[0] != frames[1]).any()
    assert (frames[0][:, 0] == 255).all()
    # The first depth is the same everywhere, and in the scale of all depths it is nearly at the dark end.
    later = frames[2].astype(int).sum()
    assert later != frames[0].astype(int).sum()


def test_the_gif_repeats_and_its_white_is_white(tmp_path):
    smooth = np.linspace(0, 255, 40 * 60).astype(np.uint8).reshape(40, 60)
    frames = draw_depths(depths(3), smooth)
    path = save_animation(frames, tmp_path / "a.gif")
    with Image.open(path) as image:
        assert image.n_frames == 3
        assert image.info["loop"] == 0
        durations = []
        for number in range(3):
            image.seek(number)
            durations.append(image.info["duration"])
            shown = np.asarray(image.convert("RGB")).astype(int)
            white = (frames[number] == 255).all(axis=2)
            assert (shown[white] == 255).all()
            assert np.abs(shown - frames[number]).mean() < 6
    assert durations[0] == durations[1] < durations[2]
    assert [item.name for item in tmp_path.iterdir()] == ["a.gif"]


def test_nothing_to_animate(tmp_path):
    with pytest.raises(InputError, match="at least one depth"):
        draw_depths([], PICTURE)
    with pytest.raises(InputError, match="at least one frame"):
        save_animation([], tmp_path / "a.gif")
