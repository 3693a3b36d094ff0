"""Maps averaged over a class, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from vitscope.figures.arrangement import narrow, page_height
from vitscope.figures.lettering import shorten, worded
from vitscope.figures.montage import Sheet
from vitscope.figures.overlay import Scale
from vitscope.figures.ramp import draw_ramp, place_pixels
from vitscope.figures.style import GREY, figure_width, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from vitscope.records.heatmap import Heatmap

__all__ = ["draw_class_maps"]

_MOST = 100  # classes that are drawn
_EDGE, _SPACE, _TOP, _FOOT, _LABEL = 0.1, 0.1, 0.3, 0.5, 0.28  # inches
_SIZE = 6.5  # points


@styled
def draw_class_maps(maps: Heatmap) -> Figure:
    """Draw one map a class, all in one scale, with the class's name and how many images it is the mean of.

    A square is a patch. The scale runs from the smallest value of all maps to the largest, so that equal
    colours are equal values in all panels. Of more than 100 classes, or than a page holds,
    the first are drawn.

    Args:
        maps: What `vitscope.explain.class_rollout.class_rollout` returns.

    Returns:
        A new figure of column width.
    """
    shown = maps.values[:_MOST]
    few = len(shown) <= 20
    columns = min(len(shown), (3 if few else 6) if narrow() else (5 if few else 10))
    width = (figure_width() - 2 * _EDGE + _SPACE) / max(columns, 3 if narrow() else 4) - _SPACE
    height = width * shown.shape[1] / shown.shape[2]
    rows = min(
        -(-len(shown) // columns), max(1, int((page_height() - _TOP - _FOOT) / (height + _LABEL + _SPACE)))
    )
    shown = shown[: rows * columns]
    foot = _TOP + rows * (height + _LABEL + _SPACE)
    sheet = Sheet(foot + _FOOT)
    scale = Scale.of(maps.values)
    left = (figure_width() - columns * (width + _SPACE) + _SPACE) / 2
    counts = cast("Sequence[int]", maps.options.get("images", ()))
    for place, values in enumerate(shown):
        row, column = divmod(place, columns)
        x, y = left + column * (width + _SPACE), _TOP + row * (height + _LABEL + _SPACE)
        name = shorten(worded(maps.names[place], "class"), 72 * width, size=_SIZE) if maps.names else ""
        sheet.text(x + width / 2, y + 0.08, name, size=_SIZE, ha="center")
        if counts:
            sheet.text(x + width / 2, y + 0.19, f"n = {counts[place]:,}", size=6, color=GREY, ha="center")
        colours = scale.colours(scale.share(values), bytes=True)[..., :3]
        place_pixels(sheet.ax, np.ascontiguousarray(colours), (x, y + _LABEL, width, height))
    more = "" if len(shown) == len(maps) else f", {len(shown)} of {len(maps):,} classes"
    sheet.text(figure_width() / 2, _TOP / 2, f"{maps.method.capitalize()}{more}", size=8, ha="center")
    low, high = scale.labels
    draw_ramp(sheet, scale, (figure_width() / 2 - 0.75, foot + 0.1, 1.5, 0.1), (low, high))
    note = "one scale for all classes"
    sheet.text(figure_width() / 2, foot + 0.34, note, size=_SIZE, color=GREY, ha="center")
    return sheet.figure
