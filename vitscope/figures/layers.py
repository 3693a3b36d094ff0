"""Layers and heads: raw attention in a panel each, a row a layer, a column a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError
from vitscope.figures.arrangement import page_height
from vitscope.figures.lettering import folded, shorten, text_width, worded
from vitscope.figures.montage import Sheet
from vitscope.figures.overlay import Scale, pixels, short, whole_pixels
from vitscope.figures.ramp import draw_ramp, place_pixels
from vitscope.figures.style import GREY, LIGHT, figure_width, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box
    from vitscope.records.heatmap import Heatmap

__all__ = ["draw_layers"]

_EDGE, _SPACE = 0.06, 0.03  # inches: at the sides, between panels
_LABEL = 0.5  # inches for a layer's number
_TOP, _HEADS, _FOOT, _LINE = 0.72, 0.18, 0.45, 0.12
_WIDEST, _THUMB = 0.9, 0.6  # inches of a panel, and of the picture
_SIZE = 6.5  # points


@styled
def draw_layers(
    layers: Sequence[Sequence[Heatmap]],
    picture: NDArray[np.uint8],
    *,
    image: int = 0,
    box: Box | None = None,
    prediction: tuple[str, float] | None = None,
) -> Figure:
    """Draw the raw attention of each layer and head, a square a patch, all in one scale.

    The scale ends at the value that one in a hundred exceeds, since a few patches often have most of a row;
    what is larger has the last colour, and the figure says so. The layer at the input is above. Panels have
    the proportions of what the model saw; the picture stands in the corner.

    Args:
        layers: A layer a row: one record a head, as `raw_attention` returns, of equally many heads.
        picture: The whole picture, uint8, `[row, column, 3]` or `[row, column]`.
        image: Which of the records' images it is.
        box: What the model saw of the picture; None for all of it.
        prediction: The predicted class's name and its confidence, 0 to 1, for the title.

    Returns:
        A new figure of column width.

    Raises:
        InputError: There is no layer, the layers have different numbers of heads, there is no such image, the
            picture is not an array of pixels, or the box is outside it.
    """
    across = len(layers[0]) if layers else 0
    if not across or any(len(heads) != across for heads in layers):
        raise InputError("expected layers with equally many heads, at least one of each")
    if not 0 <= image < len(layers[0][0]):
        raise InputError(f"expected an image in 0 … {len(layers[0][0]) - 1}, got {image}")
    picture = pixels(picture)
    left, top, right, bottom = whole_pixels(picture, box)
    shape = float(np.clip((bottom - top) / (right - left), 0.25, 2.5))
    maps = [head.values[image] for heads in layers for head in heads]
    scale = Scale.of(*maps, beyond=0.01)
    note = _note(scale, max(float(each.max()) for each in maps))
    foot = _FOOT + _LINE * (len(note) - 1)
    room = (
        (figure_width() - 2 * _EDGE - _LABEL) / across,
        (page_height() - _TOP - _HEADS - foot) / len(layers) / shape,
    )
    side = min(min(room) - _SPACE, _WIDEST)
    down = side * shape
    start = _EDGE + (figure_width() - 2 * _EDGE - _LABEL - across * (side + _SPACE)) / 2
    sheet = Sheet(_TOP + _HEADS + len(layers) * (down + _SPACE) + foot)
    sheet.picture(picture, (_EDGE, 0.06, _THUMB, _THUMB), colour=LIGHT)
    _title(sheet, layers[0][0], prediction)
    _head_names(sheet, layers[0], start, side)
    for row, heads in enumerate(layers):
        y = _TOP + _HEADS + row * (down + _SPACE) + down / 2
        sheet.text(start, y, f"layer {heads[0].options.get('layer')}", size=_SIZE)
    panels = [[_panel(head.values[image], scale, down / side) for head in heads] for heads in layers]
    extent = (across * (side + _SPACE) - _SPACE, len(layers) * (down + _SPACE) - _SPACE)
    place_pixels(sheet.ax, _joined(panels, _SPACE / side), (start + _LABEL, _TOP + _HEADS, *extent))
    _foot(sheet, scale, note, _TOP + _HEADS + extent[1])
    return sheet.figure


def _head_names(sheet: Sheet, heads: Sequence[Heatmap], start: float, side: float) -> None:
    """Write the heads' numbers above their columns, the word once where these are slim."""
    if side <= 0.5:
        sheet.text(start, _TOP + 0.1, "head", size=_SIZE)
    for column, head in enumerate(heads):
        x = start + _LABEL + column * (side + _SPACE) + side / 2
        word = "head " if side > 0.5 else ""
        sheet.text(x, _TOP + 0.1, f"{word}{head.options.get('head')}", size=_SIZE, ha="center")


def _title(sheet: Sheet, head: Heatmap, prediction: tuple[str, float] | None) -> None:
    left = _EDGE + _THUMB + 0.12
    width = figure_width() - left - _EDGE
    query = head.options.get("query", "class token")
    sheet.text(left, 0.22, f"Raw attention of the {query} by layer and head", width=width, size=8.5)
    if prediction is not None:
        tail = f" ({100 * prediction[1]:.1f} %)"
        room = 72 * width - text_width(f"predicted: {tail}", 7.5)
        name = shorten(worded(prediction[0], "class"), room, size=7.5)
        sheet.text(left, 0.42, f"predicted: {name}{tail}", size=7.5, color=GREY)


def _panel(values: NDArray[np.float32], scale: Scale, shape: float) -> NDArray[np.uint8]:
    """Return a map in colours, each patch an even patch, `shape` times as tall as wide."""
    rows, columns = values.shape
    # Enough pixels for the proportions to be right to a percent.
    wide = columns * max(1, round(100 / columns))
    tall = max(rows, round(wide * shape))
    at = np.ix_(np.arange(tall) * rows // tall, np.arange(wide) * columns // wide)
    coloured: NDArray[np.uint8] = scale.colours(scale.share(values), bytes=True)[..., :3][at]
    return coloured


def _joined(panels: Sequence[Sequence[NDArray[np.uint8]]], gap: float) -> NDArray[np.uint8]:
    """Return all panels as one picture with white between them; `gap` is in widths of a panel.

    Hundreds of pictures would take many times as long to draw as one.
    """
    tall, wide = panels[0][0].shape[:2]
    between = max(1, round(gap * wide))
    shape = (len(panels) * (tall + between) - between, len(panels[0]) * (wide + between) - between, 3)
    joined = np.full(shape, 255, dtype=np.uint8)
    for row, line in enumerate(panels):
        for column, panel in enumerate(line):
            top, left = row * (tall + between), column * (wide + between)
            joined[top : top + tall, left : left + wide] = panel
    return joined


def _note(scale: Scale, largest: float) -> list[str]:
    note = "one scale for all layers and heads"
    if scale.beyond:
        note += f"; one value in a hundred is larger than its end, the largest {short(largest)}"
    return folded(note, 72 * (figure_width() - 2 * _EDGE), size=_SIZE)


def _foot(sheet: Sheet, scale: Scale, note: Sequence[str], top: float) -> None:
    middle = figure_width() / 2
    low, high = scale.labels
    draw_ramp(sheet, scale, (middle - 0.6, top + 0.1, 1.2, 0.1), (low, high))
    for number, line in enumerate(note):
        sheet.text(middle, top + 0.32 + _LINE * number, line, size=_SIZE, color=GREY, ha="center")
