"""Attention maps: over the picture they explain, and a panel for every head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Rectangle

from vitscope.errors import InputError
from vitscope.figures.arrangement import inches
from vitscope.figures.framing import framed, with_room
from vitscope.figures.lettering import plain, shorten, shorten_pair, worded
from vitscope.figures.overlay import Scale, enlarged, overlay, pixels, reduced, whole, whole_pixels
from vitscope.figures.style import LIGHT, figure_width, new_figure, points, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box
    from vitscope.records.heatmap import Heatmap

__all__ = ["draw_attention_maps", "draw_heads"]

_FINE = 500  # pixels of a panel in print: pictures with more are smoothed, others show their pixels
_MOST = 1500  # pixels of a panel: of larger pictures no more are drawn
_MOST_PER_ROW, _NARROWEST = 5, 0.95  # panels in a row, and inches of one


@styled
def draw_attention_maps(
    heatmap: Heatmap,
    picture: NDArray[np.uint8],
    *,
    image: int = 0,
    box: Box | None = None,
    prediction: tuple[str, float] | None = None,
    explained: str = "",
    figure: Figure | None = None,
) -> Figure:
    """Draw a picture, its map and both over each other, side by side, as fine as the picture or as print.

    Colours run from the map's smallest value to its largest, for each image alone, and the colour bar has
    both; those of a signed map are symmetric about 0. The map is enlarged bilinearly to the box; outside it
    the overlay shows the picture dimmed.

    Args:
        heatmap: The maps.
        picture: The whole picture, uint8, `[row, column, 3]` or `[row, column]`.
        image: Which of the heatmap's images it is.
        box: What the model saw of the picture; None for all of it.
        prediction: The predicted class's name and its confidence, 0 to 1, for the title.
        explained: The class that the map explains, for the title; empty where it explains none.
        figure: An empty figure to draw on; without it one of column width is made.

    Returns:
        The figure drawn on.

    Raises:
        InputError: The picture is not an array of pixels, or the box is outside it.
    """
    picture, values, box, note = _checked(heatmap, picture, image, box)
    figure = figure or new_figure(_height(picture, panels=3) + 0.5)
    left, middle, right = np.atleast_1d(figure.subplots(1, 3))
    scale = Scale.fitting(values, signed=heatmap.signed)
    _show(left, picture, note or "image")
    drawn = _show_map(middle, values, picture, scale=scale, box=box)
    _name(middle, heatmap.method)
    _show(right, overlay(picture, values, box=box, scale=scale), "overlay")
    if box != whole(picture):
        for ax in (left, right):
            _outline(ax, box)
    note = "colours from this image's smallest value to its largest"
    if heatmap.signed:
        note = "orange: for the class, blue: against it; its own scale, symmetric about 0"
    if scale.beyond:
        note += "; 1 % of values lie beyond"
    _bar(figure, drawn, [left, middle, right], scale, note)
    _title(figure, prediction, explained)
    return figure


@styled
def draw_heads(
    heads: Sequence[Heatmap],
    picture: NDArray[np.uint8],
    *,
    image: int = 0,
    box: Box | None = None,
    prediction: tuple[str, float] | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw a picture and the attention of each head of one layer, all heads in one scale.

    A single record, of heads that were fused, is drawn as `draw_attention_maps` does.

    Args:
        heads: One record a head, as `raw_attention` returns.
        picture: The whole picture, uint8, `[row, column, 3]` or `[row, column]`.
        image: Which of the records' images it is.
        box: What the model saw of the picture; None for all of it.
        prediction: The predicted class's name and its confidence, 0 to 1, for the title.
        figure: An empty figure to draw on; without it one of column width is made.

    Returns:
        The figure drawn on.

    Raises:
        InputError: There is no head, the picture is not an array of pixels, or the box is outside it.
    """
    if not heads:
        raise InputError("expected the attention of at least one head, got none")
    if len(heads) == 1:
        return draw_attention_maps(
            heads[0], picture, image=image, box=box, prediction=prediction, figure=figure
        )
    maps = [_checked(head, picture, image, box)[1] for head in heads]
    picture, _, seen, part = _checked(heads[0], picture, image, box)
    columns = min(len(heads) + 1, _MOST_PER_ROW, int(figure_width() / _NARROWEST))
    rows = -(-(len(heads) + 1) // columns)
    figure = figure or new_figure(rows * _height(picture, panels=columns) + 0.5)
    axes = list(np.atleast_1d(figure.subplots(rows, columns)).flat)
    scale = Scale.of(*maps)
    _show(axes[0], picture, part or "image")
    if seen != whole(picture):
        _outline(axes[0], seen)
    for ax, head, values in zip(axes[1:], heads, maps, strict=False):
        drawn = _show_map(ax, values, picture, scale=scale, box=seen)
        _name(ax, _head_name(head))
    for ax in axes[len(heads) + 1 :]:
        ax.set_axis_off()
    _bar(figure, drawn, axes, scale, f"{_layer_name(heads[0])}, one scale for all heads")
    _title(figure, prediction, "")
    return figure


def _checked(
    heatmap: Heatmap, picture: NDArray[np.uint8], image: int, box: Box | None
) -> tuple[NDArray[np.uint8], NDArray[np.float32], Box, str]:
    """Return the picture as it is drawn, the map, its box there, and what was done to the picture."""
    if not 0 <= image < len(heatmap):
        raise InputError(f"expected an image in 0 … {len(heatmap) - 1}, got {image}")
    picture = pixels(picture)
    whole_pixels(picture, box)
    picture, box, note = framed(picture, box or whole(picture))
    values = heatmap.values[image]
    picture, box = reduced(*with_room(picture, box, values.shape, limit=_MOST), _MOST)
    return picture, values, box, note


def _height(picture: NDArray[np.uint8], *, panels: int) -> float:
    """Return the inches that a row of panels needs, its names included."""
    height, width = picture.shape[:2]
    return figure_width() / panels * float(np.clip(height / width, 0.25, 2.5)) + 0.2


def _show(ax: Axes, picture: NDArray[np.uint8], name: str) -> None:
    ax.imshow(picture, interpolation=_interpolation(picture))
    _name(ax, name)


def _interpolation(picture: NDArray[np.uint8]) -> str:
    return "antialiased" if max(picture.shape[:2]) > _FINE else "none"


def _show_map(
    ax: Axes, values: NDArray[np.float32], picture: NDArray[np.uint8], *, scale: Scale, box: Box
) -> AxesImage:
    """Show the map where it belongs in the frame of the picture."""
    left, top, right, bottom = whole_pixels(picture, box)
    drawn = ax.imshow(
        enlarged(values, width=right - left, height=bottom - top),
        cmap=scale.colours,
        vmin=scale.low,
        vmax=scale.high if scale.high > scale.low else scale.low + 1,
        extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5),
        interpolation=_interpolation(picture),
    )
    height, width = picture.shape[:2]
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), facecolor=LIGHT)
    return drawn


def _name(ax: Axes, name: str) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    plain([ax.set_title(shorten(name, min(110, 72 * figure_width() / 3), size=8), fontsize=points(8), pad=3)])


def _outline(ax: Axes, box: Box) -> None:
    left, top, right, bottom = box
    corner = (left - 0.5, top - 0.5)
    # White under black is seen on any picture.
    for colour, width in (("white", 1.6), ("black", 0.6)):
        ax.add_patch(
            Rectangle(corner, right - left, bottom - top, fill=False, edgecolor=colour, linewidth=width)
        )


def _bar(figure: Figure, drawn: AxesImage, axes: list[Axes], scale: Scale, note: str) -> None:
    bar = figure.colorbar(drawn, ax=axes, location="bottom", fraction=0.04, pad=0.02, aspect=40, shrink=0.6)
    if scale.low == scale.high:
        bar.set_ticks([scale.low], labels=scale.labels[:1])
        note = "the same value everywhere"
    else:
        low, high = scale.labels
        middle = {0.0: "0"} if scale.signed else {}
        ticks = {scale.low: low, **middle, scale.high: high}
        bar.set_ticks(list(ticks), labels=list(ticks.values()))
    bar.outline.set_visible(False)
    width = inches(figure)[0] * 72
    plain([bar.ax.set_xlabel(shorten(note, 0.9 * width, size=7), fontsize=points(7), labelpad=1)])


def _title(figure: Figure, prediction: tuple[str, float] | None, explained: str) -> None:
    if prediction is None:
        return
    name, confidence = worded(prediction[0], "class"), prediction[1]
    room = inches(figure)[0] * 72 - 110
    if not explained:
        text = f"predicted: {shorten(name, room, size=9)}  ({100 * confidence:.1f} %)"
    else:
        name, explained = shorten_pair(name, worded(explained, "class"), room - 40, size=9)
        text = f"predicted: {name}  ({100 * confidence:.1f} %), explained: {explained}"
    plain([figure.suptitle(text, fontsize=points(9))])


def _head_name(head: Heatmap) -> str:
    return f"head {head.options.get('head')}"


def _layer_name(head: Heatmap) -> str:
    return f"{head.method}, layer {head.options.get('layer')} ({head.options.get('name')})"
