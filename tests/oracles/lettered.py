"""What is wrong with a figure's letters, from the boxes in which they are drawn: cut, covered, too small."""

from __future__ import annotations

import itertools

from matplotlib.axes import Axes
from matplotlib.text import Text

from vitscope.figures.style import drawing

__all__ = ["faults", "seen_texts"]

_DPI = 300  # as files are written: letters are a little wider at less
_POINT = _DPI / 72
_BEYOND = 0.7 * _POINT  # pixels that a box may lie beyond the paper or over another
_ABOVE = 1.3 * _POINT  # boxes have room above and below the letters


def seen_texts(figure):
    """The lines that are drawn, each with its box in pixels; ticks beyond an axis are not."""
    hidden = set()
    for ax in figure.findobj(Axes):
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not (ax.axison and low - 1e-9 <= tick.get_loc() <= high + 1e-9):
                    hidden |= {tick.label1, tick.label2}
    texts = [text for text in figure.findobj(Text) if text not in hidden and text.get_visible()]
    return [(text, text.get_window_extent()) for text in texts if text.get_text().strip()]


def faults(figure, *, smallest=6.0):
    """Return what is cut off, over another text or under so many points, in words."""
    figure.set_dpi(_DPI)
    with drawing():
        figure.draw_without_rendering()
        texts = seen_texts(figure)
    page, found = figure.bbox, []
    for text, box in texts:
        if text.get_size() < smallest - 1e-9:
            found.append(f"{text.get_size():.2f} points: {text.get_text()!r}")
        if min(box.x0, box.y0, page.x1 - box.x1, page.y1 - box.y1) < -_BEYOND:
            found.append(f"cut off: {text.get_text()!r}")
    for (text, box), (other, beside) in itertools.combinations(texts, 2):
        across = min(box.x1, beside.x1) - max(box.x0, beside.x0)
        up = min(box.y1, beside.y1) - max(box.y0, beside.y0)
        if across > _BEYOND and up > _ABOVE:
            found.append(f"over each other: {text.get_text()!r} and {other.get_text()!r}")
    return found
