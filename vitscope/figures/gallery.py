"""A gallery of images with what was predicted of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Rectangle

from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.errors import InputError
from vitscope.figures.lettering import shorten, text_width
from vitscope.figures.style import BLUE, COLUMN_WIDTH, GREY, VERMILLION, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from vitscope.records.predictions import Predictions

    Images = Sequence[NDArray[np.uint8]] | NDArray[np.uint8] | Callable[[int], NDArray[np.uint8]]

__all__ = ["draw_gallery", "draw_notice"]

_ACROSS = 4
_SIZE = 7.0  # points
_SPACE, _CAPTION = 0.05, 0.36  # inches between images, and below them
_SMALL = 256  # pixels up to which every pixel is shown as a square


@styled
def draw_gallery(
    images: Images,
    source: Predictions | Outcomes,
    indices: ArrayLike,
    *,
    title: str = "",
) -> Figure:
    """Draw images in rows of four, each with its predicted class, confidence and true class.

    A right prediction has a blue frame and a tick, a wrong one a vermillion frame and a cross. Images keep
    their proportions, and small ones their pixels.

    Args:
        images: uint8 `[row, column]` or `[row, column, 3]` by the index of the prediction: a sequence, an
            array, or a function of the index.
        source: Predictions, or their outcomes.
        indices: Which rows of the predictions, `[image]`, at least one.
        title: A line above; empty for none.

    Returns:
        A new figure of column width.

    Raises:
        InputError: There is no index, or an image is not uint8, grey or RGB.
    """
    chosen = np.asarray(indices, dtype=np.int64)
    if chosen.ndim != 1 or not chosen.size:
        raise InputError(f"expected at least one index of an image to draw, got {chosen.shape}")
    rows = outcomes(source)
    pictures = [_pixels(images, index) for index in chosen.tolist()]
    # All cells are alike, as tall as the tallest image needs within reason, so that captions stand in line.
    tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures)
    ratio = min(max(tallest, 0.5), 1.25)
    places, figure = _grid(len(pictures), ratio, title=title)
    for ax, picture, index in zip(places, pictures, chosen.tolist(), strict=True):
        colour = _caption(ax, rows, index)
        _draw_image(ax, picture, ratio=ratio, colour=colour)
    return figure


@styled
def draw_notice(text: str) -> Figure:
    """Return a small figure that says plainly why there is nothing to draw."""
    figure = new_figure(1.0)
    figure.text(0.5, 0.5, text, ha="center", va="center", size=9)
    return figure


def _pixels(images: Images, index: int) -> NDArray[np.uint8]:
    pixels = np.asarray(images(index) if callable(images) else images[index])
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype != np.uint8 or not pixels.size or (pixels.ndim != 2 and pixels.shape[2:] != (3,)):
        raise InputError(
            f"expected image {index} as uint8 [row, column] or [row, column, 3], "
            f"got {pixels.dtype} {list(pixels.shape)}"
        )
    return pixels


def _grid(count: int, ratio: float, *, title: str) -> tuple[list[Axes], Figure]:
    """Return axes whose height is `ratio` of their width, in rows of four with room for captions below."""
    down = -(-count // _ACROSS)
    side = (COLUMN_WIDTH - (_ACROSS + 1) * _SPACE) / _ACROSS
    step = ratio * side + _CAPTION
    head = 0.3 if title else _SPACE
    height = head + down * step
    figure = new_figure(height)
    figure.set_layout_engine("none")
    axes = []
    for place in range(count):
        row, column = divmod(place, _ACROSS)
        left, top = _SPACE + column * (side + _SPACE), height - head - row * step
        box = (left / COLUMN_WIDTH, (top - ratio * side) / height, side / COLUMN_WIDTH, ratio * side / height)
        axes.append(figure.add_axes(box))
    if title:
        figure.text(0.5, 1 - 0.15 / height, title, ha="center", va="center", size=9)
    return axes, figure


def _draw_image(ax: Axes, pixels: NDArray[np.uint8], *, ratio: float, colour: str) -> None:
    """Draw the image in a frame, undistorted, as large as fits into axes `ratio` times as high as wide."""
    height, width = pixels.shape[:2]
    small = max(height, width) <= _SMALL
    interpolation = "nearest" if small else "antialiased"
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation=interpolation)
    ax.set_axis_off()
    # The view has the shape of the axes; the image stands on its lower edge, next to the caption.
    across = max(width, height / ratio)
    ax.set(
        aspect="auto",
        xlim=((width - 1 - across) / 2, (width - 1 + across) / 2),
        ylim=(height - 0.5, height - 0.5 - ratio * across),
    )
    ax.add_patch(
        Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor=colour, linewidth=1.5, clip_on=False)
    )


def _caption(ax: Axes, rows: Outcomes, index: int) -> str:
    """Write what was predicted and what is true below the axes; return the colour of right or wrong."""
    if not rows.finite[index]:
        mark, colour, name, confidence = "✗", VERMILLION, "not finite", ""
    else:
        mark, colour = ("✓", BLUE) if rows.correct[index] else ("✗", VERMILLION)
        name, confidence = rows.classes[rows.predicted[index]], f" ({100 * rows.confidence[index]:.0f} %)"
    width = 72 * COLUMN_WIDTH / _ACROSS * 0.94
    name = shorten(name, width - text_width(f"{mark} {confidence}", _SIZE), size=_SIZE)
    truth = shorten(rows.classes[rows.labels[index]], width - text_width("true: ", _SIZE), size=_SIZE)
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "size": _SIZE}
    place |= {"ha": "center", "va": "top", "annotation_clip": False}
    ax.annotate(f"{mark} {name}{confidence}", (0.5, 0), xytext=(0, -3), color=colour, **place)
    ax.annotate(f"true: {truth}", (0.5, 0), xytext=(0, -12), color=GREY, **place)
    return colour
