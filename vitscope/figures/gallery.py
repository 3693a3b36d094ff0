"""A gallery of images with what was predicted of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.errors import InputError
from vitscope.figures.arrangement import page_height
from vitscope.figures.lettering import folded, printable, shorten, text_width
from vitscope.figures.montage import Sheet, picture_at
from vitscope.figures.style import BLUE, GREY, VERMILLION, figure_width, new_figure, points, styled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from vitscope.analysis.labels import LabelIssues
    from vitscope.figures.montage import Images
    from vitscope.records.predictions import Predictions

__all__ = ["draw_gallery", "draw_label_issues", "draw_notice"]

_ACROSS = 4
_SHOWN = 16
_SIZE = 7.0  # points
_SLIMMEST = 0.7  # inches of an image and the space beside it
_SPACE, _CAPTION, _LINE = 0.05, 0.36, 0.125  # inches between images, below them, and of a further line


class _Cells(NamedTuple):
    """How many images stand in a row, their width and height in inches, and whether confidence is apart."""

    across: int
    side: float
    down: float
    apart: bool

    @property
    def step(self) -> float:
        """Inches from one row to the next."""
        return self.down + _CAPTION + (_LINE if self.apart else 0)


@styled
def draw_gallery(
    images: Images,
    source: Predictions | Outcomes,
    indices: ArrayLike,
    *,
    title: str = "",
) -> Figure:
    """Draw images with predicted class, confidence and true class, four in a row, or more to stay on a page.

    The confidence stands below the class where not all names have the room beside it.
    A right prediction has a blue frame and a tick, a wrong one a vermillion frame and a cross. Images keep
    their proportions, and small ones their pixels; one that is more than ten times as long as wide is shown
    without its middle, with a break and its size. An image whose file cannot be read is a box that says so.

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
    pictures = [picture_at(images, index) for index in chosen.tolist()]
    # All cells are alike, as tall as the tallest image needs within reason, so that captions stand in line.
    tallest = max((each.shape[0] / each.shape[1] for each in pictures if each is not None), default=1.0)
    titles = folded(title, 72 * (figure_width() - 2 * _SPACE), size=9) if title else []
    head = 0.3 + 0.15 * (len(titles) - 1) if titles else _SPACE
    cells = _fitting(rows, chosen.tolist(), min(max(tallest, 0.5), 1.25), page_height() - head)
    side, down = cells.side, cells.down
    sheet = Sheet(head + -(-len(pictures) // cells.across) * cells.step)
    for number, line in enumerate(titles):
        sheet.text(figure_width() / 2, 0.15 + 0.15 * number, line, size=9, ha="center")
    for place, (picture, index) in enumerate(zip(pictures, chosen.tolist(), strict=True)):
        row, column = divmod(place, cells.across)
        left, top = _SPACE + column * (side + _SPACE), head + row * cells.step
        colour, lines = _caption(rows, index, 72 * side, apart=cells.apart)
        sheet.picture(picture, (left, top, side, down), colour=colour)
        for number, line in enumerate(lines):
            x, y = left + side / 2, top + down + 3 / 72 + _LINE * number
            shade = GREY if number == len(lines) - 1 else colour
            sheet.text(x, y, line, size=_SIZE, color=shade, ha="center", va="top")
    return sheet.figure


def draw_label_issues(images: Images, source: Predictions | Outcomes, result: LabelIssues) -> Figure:
    """Draw the sixteen images whose labels are believed least, with what the model takes them for.

    Args:
        images: As `draw_gallery` takes them.
        source: The predictions that `result` was made of, or their outcomes.
        result: What `label_issues` returns.
    """
    if not len(result):
        return draw_notice(f"No label is doubtful among {result.n:,} images.")
    shown = result.image[:_SHOWN]
    title = f"{len(shown)} of {len(result):,} doubtful labels, the least believed first"
    return draw_gallery(images, source, shown, title=title)


@styled
def draw_notice(text: str) -> Figure:
    """Return a small figure that says plainly why there is nothing to draw."""
    figure = new_figure(1.0)
    figure.text(0.5, 0.5, text, ha="center", va="center", size=points(9))
    return figure


def _fitting(rows: Outcomes, chosen: list[int], ratio: float, room: float) -> _Cells:
    """Return four cells in a row, or as many more as keep all of them in `room` inches, if any do.

    Args:
        rows: The outcomes.
        chosen: The images.
        ratio: How high an image is, in its widths.
        room: Inches from top to bottom.
    """
    most = max(_ACROSS, int(figure_width() / _SLIMMEST))
    plans = []
    for across in range(_ACROSS, most + 1):
        side = (figure_width() - (across + 1) * _SPACE) / across
        plans.append(_Cells(across, side, ratio * side, _crowded(rows, chosen, 72 * side)))
        if -(-len(chosen) // across) * plans[-1].step <= room:
            return plans[-1]
    return plans[0]


def _said(rows: Outcomes, index: int) -> tuple[str, str, str]:
    """Return the mark of right or wrong, what was predicted, and with which confidence."""
    if not rows.finite[index]:
        return "✗", "not finite", ""
    name, confidence = rows.classes[rows.predicted[index]], f"{100 * rows.confidence[index]:.0f} %"
    return "✓" if rows.correct[index] else "✗", name, confidence


def _crowded(rows: Outcomes, chosen: Iterable[int], width: float) -> bool:
    """Return whether a prediction's name and its confidence are wider than `width` points."""
    lines = ("{} {} ({})".format(*_said(rows, index)) for index in chosen)
    return any(text_width(printable(line), _SIZE) > width for line in lines)


def _caption(rows: Outcomes, index: int, width: float, *, apart: bool) -> tuple[str, tuple[str, ...]]:
    """Return the colour of right or wrong, and what was predicted and what is true in `width` points."""
    mark, name, confidence = _said(rows, index)
    beside = f" ({confidence})" if confidence and not apart else ""
    name = shorten(name, width - text_width(f"{mark} {beside}", _SIZE), size=_SIZE)
    truth = shorten(rows.classes[rows.labels[index]], width - text_width("true: ", _SIZE), size=_SIZE)
    below = (f"({confidence})" if confidence else "",) if apart else ()
    return BLUE if mark == "✓" else VERMILLION, (f"{mark} {name}{beside}", *below, f"true: {truth}")
