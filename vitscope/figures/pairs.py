"""Pairs of classes that are taken for each other, in images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError
from vitscope.figures.arrangement import narrow, page_height
from vitscope.figures.lettering import folded, shorten_pair, text_width
from vitscope.figures.montage import Sheet, picture_at
from vitscope.figures.style import BLUE, GREY, LIGHT, VERMILLION, figure_width, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.analysis.confusion import ConfusionPair
    from vitscope.analysis.pairs import PairSamples
    from vitscope.figures.montage import Images

__all__ = ["draw_pairs"]

_EDGE, _SPACE, _MIDDLE = 0.05, 0.04, 0.1  # inches: at both sides, between images, between the four groups
_LETTERS, _BETWEEN = 0.3, 0.12  # inches for two lines above a row of images, and below it
_NAMES = 0.13  # inches of a line with both names, where groups are too narrow for them
_HEAD = 0.28
_SLIMMEST = 0.22  # inches of an image
_SIZE = 6.5  # points


@styled
def draw_pairs(images: Images, classes: Sequence[str], pairs: Sequence[PairSamples]) -> Figure:
    """Draw a row a pair: class A right, A taken for B, B taken for A, and B right.

    Above the middle groups stand the number of images, their share of the true class and its Wilson 95 %
    interval; where the paper is narrow a line above has the names, and groups say A and B. Right images have
    blue frames, wrong ones vermillion frames; images keep their proportions, as in `draw_gallery`.

    Args:
        images: uint8 images by the index of the prediction: a sequence, an array, or a function of the index.
        classes: The class names.
        pairs: What `pair_samples` returns, at least one pair.

    Returns:
        A new figure of column width.

    Raises:
        InputError: There is no pair, or an image is not uint8, grey or RGB.
    """
    if not pairs:
        raise InputError("expected at least one pair of classes to draw, got none")
    references = max(1, *(max(len(pair.first), len(pair.second)) for pair in pairs))
    taken = max(1, *(max(len(pair.first_taken), len(pair.second_taken)) for pair in pairs))
    counts = (references, taken, taken, references)
    side = (figure_width() - 2 * _EDGE - 3 * _MIDDLE - (sum(counts) - 4) * _SPACE) / sum(counts)
    which = f"The {len(pairs)} most confused pairs" if len(pairs) > 1 else "The most confused pair"
    title = f"{which} of classes; images drawn at random (seed {pairs[0].seed})"
    lines = folded(title, 72 * (figure_width() - 0.1), size=8)
    head = _HEAD + 0.13 * (len(lines) - 1)
    above = _LETTERS + (_NAMES if narrow() else 0)
    tallest = (page_height() - head) / len(pairs) - above - _BETWEEN
    side = min(side, 0.75, max(tallest, _SLIMMEST))
    step = side + above + _BETWEEN
    sheet = Sheet(head + len(pairs) * step)
    for number, line in enumerate(lines):
        sheet.text(figure_width() / 2, 0.12 + 0.13 * number, line, size=8, ha="center")
    # Groups end where their images could: the letters above need the room of a whole group.
    widths = [count * side + (count - 1) * _SPACE for count in counts]
    spare = (figure_width() - 2 * _EDGE - sum(widths)) / 3
    lefts = _EDGE + np.concatenate([[0.0], np.cumsum(np.array(widths[:-1]) + spare)])
    rooms = [*(width + spare - _SPACE for width in widths[:-1]), widths[-1]]  # of the letters above
    for number, pair in enumerate(pairs):
        top = head + number * step
        if number:
            rule = top - 0.4 * _BETWEEN
            sheet.ax.plot([_EDGE, figure_width() - _EDGE], [rule, rule], color=LIGHT, linewidth=0.5)
        names = (classes[pair.forward.true], classes[pair.forward.predicted])
        if narrow():
            names = _name(sheet, names, top)
        groups = (pair.first, pair.first_taken, pair.second_taken, pair.second)
        for place, drawn in enumerate(groups):
            left = float(lefts[place])
            _letters(sheet, names, pair, place, (left, top + above - _LETTERS, rooms[place], _LETTERS))
            _row(sheet, images, drawn, (left, top + above, side, side), wrong=place in (1, 2))
    return sheet.figure


def _name(sheet: Sheet, names: tuple[str, str], top: float) -> tuple[str, str]:
    """Write the names of both classes on one line, and return what stands for them below it."""
    # On a screen each letter's width is rounded to pixels: a line of letters grows by up to 3 %.
    room = 0.97 * 72 * (figure_width() - 2 * _EDGE) - text_width("A: , B: ", _SIZE)
    first, second = shorten_pair(*names, room, size=_SIZE)
    sheet.text(_EDGE, top + 0.07, f"A: {first}, B: {second}", size=_SIZE)
    return "A", "B"


def _letters(
    sheet: Sheet,
    names: tuple[str, str],
    pair: PairSamples,
    place: int,
    box: tuple[float, float, float, float],
) -> None:
    """Write what a group of images shows: the class, or which is taken for which and how often."""
    left, top, width, _ = box
    if place in (0, 3):
        name = names[0] if place == 0 else names[1]
        sheet.text(left, top + 0.08, name, width=width, size=_SIZE, color=BLUE)
        sheet.text(left, top + 0.2, "✓ right", width=width, size=6, color=GREY)
        return
    direction = pair.forward if place == 1 else pair.backward
    room = 72 * width - text_width("✗  → ", _SIZE)
    true, predicted = shorten_pair(*(names if place == 1 else names[::-1]), room, size=_SIZE)
    sheet.text(left, top + 0.08, f"✗ {true} → {predicted}", width=width, size=_SIZE, color=VERMILLION)
    for line in _frequencies(direction):
        if text_width(line, 6) <= 72 * width:
            sheet.text(left, top + 0.2, line, size=6, color=GREY)
            return


def _frequencies(pair: ConfusionPair) -> tuple[str, ...]:
    """Return the count, share and interval in words, from the longest form to the shortest."""
    if not np.isfinite(pair.share):
        return ("no images of the class",)
    count = f"{pair.count:,} image{'' if pair.count == 1 else 's'}"
    share = f"{100 * pair.share:.1f} %"
    interval = f"[{100 * pair.low:.1f}, {100 * pair.high:.1f}]"
    return (f"{count}, {share} {interval}", f"{pair.count:,}: {share} {interval}", f"{pair.count:,}: {share}")


def _row(
    sheet: Sheet,
    images: Images,
    drawn: NDArray[np.int64],
    box: tuple[float, float, float, float],
    *,
    wrong: bool,
) -> None:
    left, top, width, height = box
    if not drawn.size:
        sheet.text(left, top + height / 2, "none", color=GREY)
    for column, index in enumerate(drawn.tolist()):
        place = (left + column * (width + _SPACE), top, width, height)
        sheet.picture(picture_at(images, index), place, colour=VERMILLION if wrong else BLUE)
