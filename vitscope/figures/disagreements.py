"""Images on which two models differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitscope.analysis.samples import draw_rows
from vitscope.figures.arrangement import page_height
from vitscope.figures.lettering import shorten, text_width
from vitscope.figures.model_accuracy import letter
from vitscope.figures.montage import Sheet, picture_at
from vitscope.figures.style import BLACK, BLUE, GREY, LIGHT, VERMILLION, figure_width, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vitscope.analysis.comparison import Comparison
    from vitscope.analysis.outcomes import Outcomes
    from vitscope.figures.montage import Images

__all__ = ["draw_disagreements"]

_MOST_ACROSS, _NARROWEST = 5, 0.95  # images in a row, and inches of one
_EDGE, _SPACE = 0.05, 0.06  # inches: at both sides, and between images
_TITLE, _HEAD, _CAPTION, _BETWEEN = 0.42, 0.24, 0.42, 0.1  # inches
_LOWEST = 0.4  # inches of height that an image has at least
_SIZE = 6.5  # points


@styled
def draw_disagreements(
    images: Images, comparison: Comparison, model: str, reference: str, *, count: int = 5, seed: int = 42
) -> Figure:
    """Draw images that one of two models has right and the other wrong, and that they mistake differently.

    Three groups, each drawn at random; below an image stand what both models say of it, with a tick or a
    cross and the confidence, and its true class. Images keep their proportions, as in `draw_gallery`.

    Args:
        images: uint8 images by their index in the predictions: a sequence, an array, or a function of the
            index; only those that are shown are asked for.
        comparison: What `compare` returns.
        model: A model's name.
        reference: Another's.
        count: How many images of each group at most; more than five go into further rows.
        seed: The seed that chooses them.

    Returns:
        A new figure of column width.

    Raises:
        UsageError: There is no such model.
    """
    found = comparison.disagreement(model, reference)
    places = [comparison.models.index(name) for name in (model, reference)]
    names = [letter(place) for place in places]
    groups = {
        f"{names[0]} right, {names[1]} wrong": found.only_model,
        f"{names[1]} right, {names[0]} wrong": found.only_reference,
        "Both wrong, in different ways": found.wrong_apart,
    }
    drawn = [draw_rows(rows, count, seed=(seed, number)) for number, rows in enumerate(groups.values())]
    pictures = {index: picture_at(images, index) for chosen in drawn for index in chosen.tolist()}
    # Rows are as tall as the tallest image needs, at most as tall as wide, or as a page allows.
    tallest = max(
        (each.shape[0] / each.shape[1] for each in pictures.values() if each is not None), default=1
    )
    lines = sum(_rows(len(rows)) for rows in drawn)
    room = (page_height() - _TITLE - 2 * _BETWEEN - len(drawn) * _HEAD) / max(lines, 1) - _CAPTION
    down = min(_side() * min(max(tallest, 0.5), 1), max(room, _LOWEST))
    heights = [_HEAD + _rows(len(rows)) * (down + _CAPTION) if rows.size else 2 * _HEAD for rows in drawn]
    sheet = Sheet(_TITLE + sum(heights) + 2 * _BETWEEN)
    _title(sheet, comparison, places, seed)
    top = _TITLE
    for (what, rows), chosen, height in zip(groups.items(), drawn, heights, strict=True):
        share = f"{len(rows):,} of {comparison.n:,} images ({100 * len(rows) / comparison.n:.1f} %)"
        sheet.ax.plot([_EDGE, figure_width() - _EDGE], [top, top], color=LIGHT, linewidth=0.6)
        sheet.text(_EDGE, top + 0.12, f"{what}: {share}", size=7.5)
        if not chosen.size:
            sheet.text(_EDGE, top + 1.5 * _HEAD, "none", color=GREY)
        for number, index in enumerate(chosen.tolist()):
            row, column = divmod(number, _across())
            x, y = _EDGE + column * (_side() + _SPACE), top + _HEAD + row * (down + _CAPTION)
            sheet.picture(pictures[index], (x, y, _side(), down), colour=GREY)
            _caption(sheet, comparison, places, index, at=(x, y + down))
        top += height + _BETWEEN
    return sheet.figure


def _across() -> int:
    """Return how many images stand in a row: fewer where the paper is narrow, never smaller letters."""
    return min(_MOST_ACROSS, int((figure_width() - 2 * _EDGE) / _NARROWEST))


def _side() -> float:
    return (figure_width() - 2 * _EDGE - (_across() - 1) * _SPACE) / _across()


def _rows(count: int) -> int:
    return -(-count // _across())


def _title(sheet: Sheet, comparison: Comparison, places: list[int], seed: int) -> None:
    half = (figure_width() - 2 * _EDGE) / 2
    for column, place in enumerate(places):
        line = f"{letter(place)}: {comparison.models[place]}"
        sheet.text(_EDGE + column * half, 0.12, line, width=half - 0.1, size=8)
    sheet.text(_EDGE, 0.3, f"Images drawn at random (seed {seed})", size=_SIZE, color=GREY)


def _caption(
    sheet: Sheet, comparison: Comparison, places: list[int], index: int, *, at: tuple[float, float]
) -> None:
    """Write what both models say of an image, and its true class, below its lower left corner."""
    x, y = at
    width = 72 * _side() - 1.5  # points; no two captions touch
    for line, place in enumerate(places):
        said, colour = _said(comparison.outcomes[place], index, letter(place), width)
        sheet.text(x, y + 0.08 + 0.12 * line, said, size=_SIZE, color=colour)
    rows = comparison.outcomes[0]
    truth = shorten(rows.classes[rows.labels[index]], width - text_width("true: ", _SIZE), size=_SIZE)
    sheet.text(x, y + 0.32, f"true: {truth}", size=_SIZE, color=BLACK)


def _said(rows: Outcomes, index: int, name: str, width: float) -> tuple[str, str]:
    """Return what a model says of an image in `width` points, and the colour of right or wrong."""
    mark, colour = ("✓", BLUE) if rows.correct[index] else ("✗", VERMILLION)
    before, after = f"{name} {mark} ", f" {100 * rows.confidence[index]:.0f} %"
    room = width - text_width(before + after, _SIZE)
    return f"{before}{shorten(rows.classes[rows.predicted[index]], room, size=_SIZE)}{after}", colour
