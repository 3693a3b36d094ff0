"""A grid of maps over their pictures: a row a picture, a column a method, a class or a difference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vitscope.errors import InputError
from vitscope.figures.arrangement import narrow, page_height
from vitscope.figures.framing import as_fine, framed
from vitscope.figures.lettering import folded, printable, shorten, text_width
from vitscope.figures.map_legend import draw_map_legend, legend_height, scale_range
from vitscope.figures.montage import Sheet
from vitscope.figures.overlay import Scale, overlay, pixels, whole_pixels
from vitscope.figures.style import BLACK, GREY, LIGHT, figure_width, styled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box

__all__ = ["MapRow", "draw_map_grid", "pages"]

_EDGE, _SPACE = 0.06, 0.05  # inches: at both sides, between pictures
_LINE = 0.105  # inches of a line below a picture
_HEAD, _TITLE, _TITLE_LINE, _BETWEEN = 0.2, 0.26, 0.14, 0.07
_WIDEST = 1.3  # inches of a picture, where there are few columns
_NARROWEST, _OF_NARROW = 0.5, 0.7  # inches of a picture, below which maps go on in a further line
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


class _Plan(NamedTuple):
    """How the pictures stand: how many side by side, how wide, and in how many lines those of a row."""

    across: int
    side: float
    lines: int

    @classmethod
    def of(cls, panels: int, *, lines: int | None = None) -> _Plan:
        room = figure_width() - 2 * _EDGE + _SPACE
        if lines is None:
            most = max(2, int(room / ((_OF_NARROW if narrow() else _NARROWEST) + _SPACE)))
            lines = -(-panels // most)
        across = -(-panels // lines)
        return cls(across, min(room / across - _SPACE, _WIDEST), lines)

    @property
    def lefts(self) -> list[float]:
        """The left edges of the pictures of a line."""
        spare = figure_width() - 2 * _EDGE - self.across * (self.side + _SPACE) + _SPACE
        return [_EDGE + spare / 2 + (self.side + _SPACE) * place for place in range(self.across)]


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
    All pictures of a grid have one width; small ones keep their pixels. Where the paper is too narrow for all
    maps side by side, those of a picture stand in several lines, each under its name, if a page holds that.

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
    names = ("image", *columns)
    plan = _fitting(rows, names)
    titles = _titles(title)
    top = _TITLE + _TITLE_LINE * (len(titles) - 1) if titles else _EDGE
    top += _names_height(names, plan) if plan.lines == 1 else 0.0
    scales = [scale for row in rows for scale in row.scales]
    sheet = Sheet(top + sum(_height(row, plan) for row in rows) + legend_height(scales, note))
    for number, line in enumerate(titles):
        sheet.text(figure_width() / 2, 0.14 + _TITLE_LINE * number, line, size=8.5, ha="center")
    if plan.lines == 1:
        _draw_names(sheet, names, plan, top)
    for row in rows:
        _draw_row(sheet, row, names, plan, top)
        top += _height(row, plan)
    draw_map_legend(sheet, scales, (note, *signed_ends), top)
    return sheet.figure


def _titles(title: str | tuple[str, str]) -> list[str]:
    """Return the lines of a title: a text on one or two, a name with what follows it on one."""
    room = 72 * (figure_width() - 0.3)
    if isinstance(title, str):
        return folded(title, room, size=8.5) if title else []
    name, tail = title
    return [shorten(name, room - text_width(tail, 8.5), size=8.5) + tail]


def pages(rows: Sequence[MapRow], columns: int) -> Iterator[Sequence[MapRow]]:
    """Yield the rows in parts that fit on a page each, at least one row at a time.

    A page that begins below a heading has it once more, as continued.

    Args:
        rows: All rows.
        columns: How many maps a row has.
    """
    page: list[MapRow] = []
    used, heading = 0.0, ""
    plan = _Plan.of(columns + 1)
    # The title and the note may need a second line.
    foot = legend_height([scale for row in rows for scale in row.scales], _NOTE) + _LINE
    room = page_height() - _TITLE - _TITLE_LINE - _HEAD - _LINE - foot
    for row in rows:
        if page and used + _height(row, plan) > room:
            yield page
            page, used = [], 0.0
        heading = row.heading or heading
        if not page and heading and not row.heading:
            page.append(replace(row, heading=f"{heading} (continued)"))
        else:
            page.append(row)
        used += _height(page[-1], plan)
    yield page


def _fitting(rows: Sequence[MapRow], names: Sequence[str]) -> _Plan:
    """Return the plan with pictures wide enough, or of as many lines as a page holds."""
    plan = _Plan.of(len(names))
    while plan.lines > 1 and sum(_height(row, plan) for row in rows) > page_height() - _TITLE - 0.7:
        plan = _Plan.of(len(names), lines=plan.lines - 1)
    return plan


def _names_height(names: Sequence[str], plan: _Plan) -> float:
    return _HEAD + _LINE * (max(len(folded(name, 72 * plan.side, size=_SIZE)) for name in names) - 1)


def _draw_names(sheet: Sheet, names: Sequence[str], plan: _Plan, bottom: float) -> None:
    """Write the names of a line of pictures above them."""
    for left, name in zip(plan.lefts, names, strict=False):
        for above, line in enumerate(reversed(folded(name, 72 * plan.side, size=_SIZE))):
            sheet.text(left + plan.side / 2, bottom - 0.09 - _LINE * above, line, size=_SIZE, ha="center")


def _down(row: MapRow, side: float) -> float:
    """Return the height of a row's pictures in inches, within reason; slimmer pictures are made to fit."""
    height, width = row.framed[0].shape[:2]
    return side * float(np.clip(height / width, 0.25, 1.25))


def _below(row: MapRow, width: float) -> list[list[str]]:
    """Return the lines below each picture of a row: the image's own, and of each map its values."""
    note = (row.framed[2],) if row.framed[2] else ()
    own = [part for line in (*row.lines, *note) for part in _parts(line, width)]
    return [own, *(folded(scale_range(scale), width, size=_SMALL) for scale in row.scales)]


def _height(row: MapRow, plan: _Plan) -> float:
    below = _below(row, 72 * plan.side)
    above = _HEAD + _LINE if plan.lines > 1 else 0.0  # names of at most two lines
    lines = sum(
        max(map(len, below[first : first + plan.across])) for first in range(0, len(below), plan.across)
    )
    heading = _LINE + 0.08 if row.heading else 0
    return heading + plan.lines * (above + _down(row, plan.side) + 0.03 + _BETWEEN) + _LINE * lines


def _draw_row(sheet: Sheet, row: MapRow, names: Sequence[str], plan: _Plan, top: float) -> None:
    """Draw a row whose upper edge is at `top`, line by line."""
    if row.heading:
        sheet.ax.plot([_EDGE, figure_width() - _EDGE], [top, top], color=LIGHT, linewidth=0.6)
        sheet.text(_EDGE, top + 0.09, row.heading, width=0.99 * figure_width() - 2 * _EDGE, size=_SIZE)
        top += _LINE + 0.08
    side, down = plan.side, _down(row, plan.side)
    picture, box = as_fine(*row.framed[:2], round(_DENSITY * max(side, down)))
    overs = (
        overlay(picture, values, box=box, scale=scale)
        for values, scale in zip(row.maps, row.scales, strict=True)
    )
    panels = list(zip(names, (picture, *overs), _below(row, 72 * side), strict=True))
    for first in range(0, len(panels), plan.across):
        line = panels[first : first + plan.across]
        if plan.lines > 1:
            top += _HEAD + _LINE
            _draw_names(sheet, [name for name, _, _ in line], plan, top)
        for left, (_, shown, below) in zip(plan.lefts, line, strict=False):
            sheet.picture(shown, (left, top, side, down), colour=LIGHT)
            for number, text in enumerate(below):
                at = (left + side / 2, top + down + 0.07 + number * _LINE)
                colour = BLACK if shown is picture and number == 0 else GREY
                sheet.text(*at, text, size=_SMALL, color=colour, ha="center")
        top += down + _LINE * max(len(below) for _, _, below in line) + 0.03 + _BETWEEN


def _parts(line: str | tuple[str, str], width: float) -> list[str]:
    """Return a line in `width` points; what follows a name is never cut, but goes below a name too long."""
    name, tail = (line, "") if isinstance(line, str) else line
    if text_width(printable(name) + tail, _SMALL) <= width:
        return [printable(name) + tail]
    return [shorten(name, width, size=_SMALL), *([tail.strip()] if tail else [])]
