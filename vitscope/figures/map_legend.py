"""The legend of a grid of maps: the colours, what their ends mean, and the values below each map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitscope.figures.arrangement import narrow
from vitscope.figures.lettering import folded
from vitscope.figures.overlay import Scale, short
from vitscope.figures.ramp import draw_ramp
from vitscope.figures.style import GREY, figure_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitscope.figures.montage import Sheet

__all__ = ["draw_map_legend", "legend_height", "scale_range"]

_EDGE = 0.06  # inches at both sides
_FOOT, _NOTE = 0.28, 0.13  # inches without the notes, and of a line of them
_RAMP = 0.16  # inches of a scale's colours, where two stand below each other


def legend_height(scales: Sequence[Scale], note: str) -> float:
    """Return the inches that the legend of maps in these scales takes with a note, at least two lines."""
    kinds = {scale.signed for scale in scales}
    lines = max(2, len(_notes(scales, note)))
    return _FOOT + _NOTE * lines + (_RAMP * (len(kinds) - 1) if narrow() else 0.0)


def _notes(scales: Sequence[Scale], note: str) -> list[str]:
    """Return the lines of the note, and of what is to be known of the scales."""
    notes = [note]
    if any(scale.beyond for scale in scales):
        notes.append("maps of pixels: one value in a hundred lies beyond the scale")
    room = 72 * (figure_width() - 2 * _EDGE)
    return [line for each in notes for line in folded(each, room, size=6.5)]


def scale_range(scale: Scale) -> str:
    """Return the values that the ends of a scale stand for, in words."""
    if scale.low == scale.high:
        return f"{short(scale.low)} everywhere"
    if scale.signed:
        return f"± {short(scale.high)}{' and more' if scale.beyond else ''}"
    return " … ".join(scale.labels)


def draw_map_legend(sheet: Sheet, scales: Sequence[Scale], words: tuple[str, str, str], top: float) -> None:
    """Draw the colours of the kinds of maps that there are, with what their ends mean, and a note below.

    `words` are the note, and what the ends of signed maps mean.
    """
    note, below, above = words
    kinds = sorted({scale.signed for scale in scales})
    width = figure_width() / (1 if narrow() else len(kinds))
    for number, signed in enumerate(kinds):
        ends = (below, above) if signed else ("smallest", "largest")
        left, down = (0.0, _RAMP * number) if narrow() else (number * width, 0.0)
        place = (left + width / 2 - 0.6, top + 0.03 + down, 1.2, 0.1)
        draw_ramp(sheet, Scale(-1, 1, signed=signed), place, ends)
    top += _RAMP * (len(kinds) - 1) if narrow() else 0.0
    for number, line in enumerate(_notes(scales, note)):
        at = (figure_width() / 2, top + 0.26 + _NOTE * number)
        sheet.text(*at, line, size=6.5, color=GREY, ha="center")
