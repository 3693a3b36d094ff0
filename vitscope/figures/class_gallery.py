"""A gallery by class: what is recognised of each class, and what is taken for something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.errors import InputError
from vitscope.figures.arrangement import page_height
from vitscope.figures.lettering import folded, text_width
from vitscope.figures.montage import Sheet, picture_at
from vitscope.figures.style import BLUE, GREY, LIGHT, VERMILLION, figure_width, styled

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.analysis.samples import ClassSamples
    from vitscope.figures.montage import Images
    from vitscope.records.predictions import Predictions

__all__ = ["draw_class_gallery"]

_NAME = 0.95  # inches for a class's name and accuracy
_EDGE, _SPACE, _MIDDLE = 0.05, 0.05, 0.12  # inches: at both sides, between images, between right and wrong
_CAPTION, _BETWEEN = 0.12, 0.06  # inches below an image, and from there to the next row
_HEAD = 0.5
_LEAST, _LINE = 1.6, 0.13  # inches for what stands above the right images, and of a title's second line
_SLIMMEST = 0.36  # inches of an image: where the paper is narrow, fewer are drawn
_WIDEST = 0.75  # inches of an image, where there are few
_SIZE = 6.0  # points


@styled
def draw_class_gallery(images: Images, source: Predictions | Outcomes, samples: ClassSamples) -> Figure:
    """Draw a row a class: its name and accuracy, right examples on the left and wrong ones on the right.

    Under a right example stands the confidence, under a wrong one the class it was taken for; `none`
    where there is no such image. Images keep their proportions, as in `draw_gallery`.

    Args:
        images: uint8 images by the index of the prediction: a sequence, an array, or a function of the index.
        source: Predictions, or their outcomes.
        samples: What `class_samples` returns of the same predictions.

    Returns:
        A new figure of column width, at most a page high up to 20 classes.

    Raises:
        InputError: There is no class, or an image is not uint8, grey or RGB.
    """
    if not len(samples.index):
        raise InputError("expected samples of at least one class to draw, got none")
    rows = outcomes(source)
    room = (figure_width() - _NAME - 2 * _EDGE - _MIDDLE) / 2
    most = max(1, *(len(drawn) for drawn in (*samples.right, *samples.wrong)))
    most = min(most, int(room / (_SLIMMEST + _SPACE)))
    width = min(_WIDEST, room / most - _SPACE)
    title = folded(_title(samples), 72 * (figure_width() - 0.1), size=8)
    head = _HEAD + _LINE * (len(title) - 1)
    down = max(0.2, min(width, (page_height() - head) / len(samples.index) - _CAPTION - _BETWEEN))
    step = down + _CAPTION + _BETWEEN
    sheet = Sheet(head + len(samples.index) * step)
    starts = (_EDGE + _NAME, _EDGE + _NAME + max(most * (width + _SPACE), min(_LEAST, room)) + _MIDDLE)
    for number, line in enumerate(title):
        sheet.text(figure_width() / 2, 0.12 + _LINE * number, line, size=8, ha="center")
    _groups(sheet, starts, head - 0.13)
    for row, index in enumerate(samples.index.tolist()):
        top = head + row * step
        if row:
            rule = top - 0.75 * _BETWEEN
            sheet.ax.plot([_EDGE, figure_width() - _EDGE], [rule, rule], color=LIGHT, linewidth=0.5)
        _name(sheet, samples, row, rows.classes[index], top + down / 2)
        for start, drawn in zip(starts, (samples.right[row], samples.wrong[row]), strict=True):
            box = (start, top, width, down)
            _examples(sheet, images, rows, drawn[:most], box)
    return sheet.figure


def _title(samples: ClassSamples) -> str:
    shown = len(samples.index)
    if shown == samples.n_classes:
        which = "All classes, the lowest accuracy first"
    else:
        which = f"The {shown} classes of the lowest accuracy, of {samples.n_classes:,}"
    return f"{which}; images drawn at random (seed {samples.seed})"


def _groups(sheet: Sheet, starts: tuple[float, float], y: float) -> None:
    """Write what the images of both groups are, in as many words as there is room for."""
    right = ("✓ right, with the confidence", "✓ right, confidence", "✓ right")
    wrong = ("✗ wrong, with the class it was taken for", "✗ wrong, taken for")
    rooms = (starts[1] - starts[0] - 0.05, figure_width() - _EDGE - starts[1])
    for lines, start, room, colour in zip((right, wrong), starts, rooms, (BLUE, VERMILLION), strict=True):
        line = next((each for each in lines if text_width(each, 7) <= 72 * room), lines[-1])
        sheet.text(start, y, line, color=colour)


def _name(sheet: Sheet, samples: ClassSamples, row: int, name: str, middle: float) -> None:
    share = samples.correct[row] / samples.n[row]
    sheet.text(_EDGE, middle - 0.055, name, width=_NAME - 0.08)
    text = f"{100 * share:.1f} % of {samples.n[row]:,}"
    sheet.text(_EDGE, middle + 0.07, text, width=_NAME - 0.08, size=_SIZE, color=GREY)


def _examples(
    sheet: Sheet,
    images: Images,
    rows: Outcomes,
    drawn: NDArray[np.int64],
    box: tuple[float, float, float, float],
) -> None:
    left, top, width, down = box
    if not drawn.size:
        sheet.text(left + width / 2, top + down / 2, "none", color=GREY, ha="center")
    for column, index in enumerate(drawn.tolist()):
        x = left + column * (width + _SPACE)
        hit = bool(rows.correct[index])
        colour = BLUE if hit else VERMILLION
        sheet.picture(picture_at(images, index), (x, top, width, down), colour=colour)
        line = f"{100 * rows.confidence[index]:.0f} %" if hit else rows.classes[rows.predicted[index]]
        sheet.text(
            x + width / 2,
            top + down + 0.03,
            line,
            width=width,
            size=_SIZE,
            color=colour,
            ha="center",
            va="top",
        )
