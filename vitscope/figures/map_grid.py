"""A grid of maps over their pictures: a row a picture, a column a method, a class or a difference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError
from vitscope.figures.arrangement import PAGE, narrow
from vitscope.figures.framing import framed
from vitscope.figures.lettering import folded, shorten, text_width
from vitscope.figures.montage import Sheet
from vitscope.figures.overlay import Scale, overlay, pixels, reduced, short, whole_pixels
from vitscope.figures.ramp import draw_ramp
from vitscope.figures.style import BLACK, GREY, LIGHT, figure_width, styled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box

__all__ = ["MapRow", "draw_map_grid", "pages"]

_EDGE, _SPACE = 0.06, 0.05  # inches: at both sides, between pictures
_LINE = 0.105  # inches of a line below a picture
_HEAD, _TITLE, _LEGEND, _BETWEEN = 0.2, 0.26, 0.54, 0.07
_RAMP = 0.16  # inches of a scale's colours, where two stand below each other
_WIDEST = 1.3  # inches of a picture, where there are few columns
_SIZE, _SMALL = 7.0, 6.0  # points
_DENSITY = 300  # pixels an inch: pictures with more are reduced, smaller ones repeat theirs up to it
_NOTE = "each map has its own scale, written below it"
_SIGNED_ENDS = ("against the class", "for it")


@dataclass(frozen=True, eq=False)
class MapRow:
    """A picture and the maps that are drawn over it, side by side.

    Attributes:
        picture: The whole picture, uint8, `[row, column, 3]` or `[row, column]`.
        maps: `[row, column]` each, one a column of the grid.
        scales: What the colours stand for, one a map; equal scales make maps comparable.
        lines: What is written below the picture: a text, or a name and what follows it, which is never cut.
        heading: What is written above the row; empty for nothing.
        box: What the model saw of the picture; None for all of it.

    Raises:
        InputError: There is not one scale a map.
    """

    picture: NDArray[np.uint8]
    maps: tuple[NDArray[np.floating], ...]
    scales: tuple[Scale, ...]
    lines: tuple[str | tuple[str, str], ...] = ()
    heading: str = ""
    box: Box | None = None

    def __post_init__(self) -> None:
        if not self.maps or len(self.maps) != len(self.scales):
            raise InputError(f"expected maps with a scale each, got {len(self.maps)} and {len(self.scales)}")

    @property
    def framed(self) -> tuple[NDArray[np.uint8], Box, str]:
        """The picture as it is drawn, its box in whole pixels there, and what was done to it, in words."""
        picture = pixels(self.picture)
        return framed(picture, whole_pixels(picture, self.box))


@styled
def draw_map_grid(
    rows: Sequence[MapRow],
    columns: Sequence[str],
    *,
    title: str | tuple[str, str] = "",
    note: str = _NOTE,
    signed_ends: tuple[str, str] = _SIGNED_ENDS,
) -> Figure:
    """Draw the pictures on the left, and each map over its picture in the column that it belongs to.

    Below a map stand the values that the ends of its colours stand for, at the foot the colours themselves.
    All pictures of a grid have one width; small ones keep their pixels.

    Args:
        rows: The rows, each with a map a column.
        columns: What the columns are called.
        title: A line above, or a name and what follows it, which is never cut; empty for none.
        note: Which maps have one scale, in words.
        signed_ends: What values below and above 0 mean.

    Returns:
        A new figure of column width.

    Raises:
        InputError: There is no row, or one has other than a map a column.
    """
    if not rows:
        raise InputError("expected at least one row of maps to draw, got none")
    if any(len(row.maps) != len(columns) for row in rows):
        raise InputError(f"expected {len(columns)} maps in each row, got another number")
    side = _side(len(columns) + 1)
    heights = [_height(row, side) for row in rows]
    names = [folded(name, 72 * side, size=_SIZE) for name in ("image", *columns)]
    head = (_TITLE if title else _EDGE) + _HEAD + _LINE * (max(map(len, names)) - 1)
    kinds = {scale.signed for row in rows for scale in row.scales}
    stacked = _RAMP * (len(kinds) - 1) if narrow() else 0.0
    sheet = Sheet(head + sum(heights) + _LEGEND + stacked)
    if title:
        line = _whole_line(title, 72 * (figure_width() - 0.3), size=8.5)
        sheet.text(figure_width() / 2, 0.14, line, size=8.5, ha="center")
    spare = figure_width() - 2 * _EDGE - (len(columns) + 1) * (side + _SPACE) + _SPACE
    lefts = _EDGE + spare / 2 + (side + _SPACE) * np.arange(len(columns) + 1)
    for left, lines in zip(lefts.tolist(), names, strict=True):
        for above, line in enumerate(reversed(lines)):
            sheet.text(left + side / 2, head - 0.09 - _LINE * above, line, size=_SIZE, ha="center")
    top = head
    for row, height in zip(rows, heights, strict=True):
        _draw_row(sheet, row, lefts.tolist(), (top, side, _down(row, side)))
        top += height
    _draw_legend(sheet, rows, (note, *signed_ends), top)
    return sheet.figure


def pages(rows: Sequence[MapRow], columns: int) -> Iterator[Sequence[MapRow]]:
    """Yield the rows in parts that fit on a page each, at least one row at a time.

    A page that begins below a heading has it once more, as continued.

    Args:
        rows: All rows.
        columns: How many maps a row has.
    """
    page: list[MapRow] = []
    used, heading = 0.0, ""
    side, room = _side(columns + 1), PAGE - _TITLE - _HEAD - _LINE - _LEGEND
    for row in rows:
        if page and used + _height(row, side) > room:
            yield page
            page, used = [], 0.0
        heading = row.heading or heading
        if not page and heading and not row.heading:
            page.append(replace(row, heading=f"{heading} (continued)"))
        else:
            page.append(row)
        used += _height(page[-1], side)
    yield page


def _side(panels: int) -> float:
    return min((figure_width() - 2 * _EDGE + _SPACE) / panels - _SPACE, _WIDEST)


def _down(row: MapRow, side: float) -> float:
    """Return the height of a row's pictures in inches, within reason; slimmer pictures are made to fit."""
    height, width = row.framed[0].shape[:2]
    return side * float(np.clip(height / width, 0.25, 1.25))


def _height(row: MapRow, side: float) -> float:
    heading = _LINE + 0.08 if row.heading else 0
    below = max(
        len(row.lines) + bool(row.framed[2]),
        *(len(folded(_range(scale), 72 * side, size=_SMALL)) for scale in row.scales),
    )
    return heading + _down(row, side) + _LINE * below + 0.03 + _BETWEEN


def _draw_row(sheet: Sheet, row: MapRow, lefts: Sequence[float], place: tuple[float, float, float]) -> None:
    """Draw a row whose panels begin at `lefts`; `place` is its top, and the panels' width and height."""
    top, side, down = place
    if row.heading:
        sheet.ax.plot([_EDGE, figure_width() - _EDGE], [top, top], color=LIGHT, linewidth=0.6)
        sheet.text(_EDGE, top + 0.09, row.heading, width=figure_width() - 2 * _EDGE, size=_SIZE)
        top += _LINE + 0.08
    picture, box = _fitted(row, round(_DENSITY * max(side, down)))
    sheet.picture(picture, (lefts[0], top, side, down), colour=LIGHT)
    for number, line in enumerate((*row.lines, row.framed[2]) if row.framed[2] else row.lines):
        at = (lefts[0] + side / 2, top + down + 0.07 + number * _LINE)
        colour = BLACK if number == 0 else GREY
        sheet.text(*at, _whole_line(line, 72 * side, size=_SMALL), size=_SMALL, color=colour, ha="center")
    for left, values, scale in zip(lefts[1:], row.maps, row.scales, strict=True):
        over = overlay(picture, values, box=box, scale=scale)
        sheet.picture(over, (left, top, side, down), colour=LIGHT)
        for number, line in enumerate(folded(_range(scale), 72 * side, size=_SMALL)):
            at = (left + side / 2, top + down + 0.07 + number * _LINE)
            sheet.text(*at, line, size=_SMALL, color=GREY, ha="center")


def _fitted(row: MapRow, fine: int) -> tuple[NDArray[np.uint8], Box]:
    """Return a picture and its box with about `fine` pixels: more of a map would not be seen in print."""
    picture, box, _ = row.framed
    left, top, right, bottom = box
    height, width = picture.shape[:2]
    times = fine // max(height, width)
    if times > 1:
        picture = picture.repeat(times, axis=0).repeat(times, axis=1)
        return picture, (left * times, top * times, right * times, bottom * times)
    return reduced(picture, (left, top, right, bottom), round(1.33 * fine))


def _whole_line(line: str | tuple[str, str], width: float, *, size: float) -> str:
    """Return a line in `width` points; of a name and what follows it, only the name is cut."""
    name, tail = (line, "") if isinstance(line, str) else line
    return shorten(name, width - text_width(tail, size), size=size) + tail


def _range(scale: Scale) -> str:
    if scale.low == scale.high:
        return f"{short(scale.low)} everywhere"
    if scale.signed:
        return f"± {short(scale.high)}{' and more' if scale.beyond else ''}"
    return " … ".join(scale.labels)


def _draw_legend(sheet: Sheet, rows: Sequence[MapRow], words: tuple[str, str, str], top: float) -> None:
    """Draw the colours of the kinds of maps that there are, with what their ends mean, and a note below.

    `words` are the note, and what the ends of signed maps mean.
    """
    note, below, above = words
    notes = [note]
    if any(scale.beyond for row in rows for scale in row.scales):
        notes.append("maps of pixels: one value in a hundred lies beyond the scale")
    kinds = sorted({scale.signed for row in rows for scale in row.scales})
    width = figure_width() / (1 if narrow() else len(kinds))
    for number, signed in enumerate(kinds):
        ends = (below, above) if signed else ("smallest", "largest")
        left, down = (0.0, _RAMP * number) if narrow() else (number * width, 0.0)
        place = (left + width / 2 - 0.6, top + 0.03 + down, 1.2, 0.1)
        draw_ramp(sheet, Scale(-1, 1, signed=signed), place, ends)
    top += _RAMP * (len(kinds) - 1) if narrow() else 0.0
    for number, line in enumerate(notes):
        at = (figure_width() / 2, top + 0.26 + 0.13 * number)
        sheet.text(*at, line, width=figure_width() - 2 * _EDGE, size=6.5, color=GREY, ha="center")
