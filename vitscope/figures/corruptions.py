"""Figures of robustness to corruptions: errors over severity, and what the corruptions look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from vitscope.data.corruptions.kinds import CORRUPTIONS, SEVERITIES
from vitscope.errors import InputError
from vitscope.figures.arrangement import folded_title, narrow, page_height
from vitscope.figures.montage import Sheet
from vitscope.figures.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    VERMILLION,
    figure_width,
    new_figure,
    owner,
    points,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.analysis.corruption import CorruptionResult

__all__ = ["draw_corruption_examples", "draw_corruptions"]

_STYLES = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (ORANGE, "D"), (PURPLE, "v"))
_DASHES = (0, (4, 2))
_PANEL, _NARROW_LEGEND = 1.95, 0.2  # inches of height, and what a legend with an entry a line takes more
_MEANS = "means"
_DODGE = 0.08  # severities between the curves of a panel
_LABEL, _SPACE, _BETWEEN = 0.98, 0.03, 0.12  # inches: of a row's name, between pictures, between blocks
_HEAD, _SIZE = 0.18, 6.5  # inches of the columns' names, and points
_ONE_BLOCK = 6  # rows that stand in one block


@styled
def draw_corruptions(result: CorruptionResult, *, ax: Axes | None = None) -> Figure:
    """Draw the error over severity, a curve a kind with Wilson 95 % intervals, and a panel a family.

    Curves begin at severity 0 with the error on clean images, whose interval is the grey band. Where room is
    left, a last panel has the families' means.

    Args:
        result: What `corruption` returns.
        ax: Axes for the families' means alone; without them a figure of column width is made.

    Returns:
        The figure drawn on.
    """
    if ax is not None:
        _panel(ax, result, _MEANS, limit=_limit(result))
        _labels(ax)
        return owner(ax)
    panels = list(result.families)
    if len(panels) > 1 and len(panels) % 2:
        panels.append(_MEANS)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    # Legends of narrow panels have an entry a line.
    figure = new_figure((_PANEL + (_NARROW_LEGEND if narrow() and columns > 1 else 0)) * rows + 0.45)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place, family in zip(grid.flat, panels, strict=True):
        _panel(place, result, family, limit=_limit(result))
    for place in grid[-1]:
        place.set_xlabel("Severity")
    for place in grid[:, 0]:
        place.set_ylabel("Error (%)")
    figure.suptitle(folded_title(_title(result), figure_width() - 0.3, size=8), size=points(8))
    return figure


def _title(result: CorruptionResult) -> str:
    parts = [f"clean {_percent(result.clean_error, result.clean_interval)}"]
    main = [family for family in result.families if family != "extra"]
    if main:
        count = sum(len(result.family_kinds(family)) for family in main)
        text = _percent(result.corruption_error, result.corruption_error_interval)
        parts.append(f"mean of {count} kind{'s' if count > 1 else ''} {text}")
    if result.mce is not None:
        parts.append(f"mCE {100 * result.mce:.1f} %")
    return f"Error: {', '.join(parts)}\nn = {result.n:,}, images by {result.generator}"


def _percent(value: float, interval: Sequence[float]) -> str:
    if not np.isfinite([value, *interval]).all():
        return "n/a"
    low, high = (100 * bound for bound in interval)
    return f"{100 * value:.1f} % [{low:.1f}, {high:.1f}]"


def _limit(result: CorruptionResult) -> float:
    """Return the top of all axes: above the highest interval, at most a little above 1."""
    highest = max(float(np.nanmax(result.interval, initial=0.0)), result.clean_interval[1], 0.01)
    return min(1.03, 1.08 * highest)


def _panel(ax: Axes, result: CorruptionResult, family: str, *, limit: float) -> None:
    ax.axhspan(*(100 * bound for bound in result.clean_interval), color=LIGHT, linewidth=0, zorder=0)
    ax.axhline(100 * result.clean_error, color=GREY, linewidth=0.8, linestyle=_DASHES, zorder=1)
    names = result.families if family == _MEANS else result.family_kinds(family)
    for place, name in enumerate(names):
        colour, marker = _STYLES[place]
        # Side by side, so that intervals do not hide each other.
        x = np.array(result.severities) + _DODGE * (place - (len(names) - 1) / 2)
        if family == _MEANS:
            error, title = result.family_error(name), name
        else:
            row = result.kinds.index(name)
            error, title = result.error[row], CORRUPTIONS[name].title
            ax.vlines(x, *(100 * result.interval[row].T), color=colour, linewidth=0.9, zorder=2)
        ax.plot([0, x[0]], [100 * result.clean_error, 100 * error[0]], color=colour, linewidth=1.1, zorder=3)
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 3.8, "markeredgewidth": 0}
        ax.plot(x, 100 * error, label=title, linewidth=1.1, zorder=4, clip_on=False, **style)
    ax.set(xlim=(-0.3, max(result.severities) + 0.3), ylim=(0, 100 * limit))
    ax.set_xticks([0, *result.severities], ["clean", *map(str, result.severities)])
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.grid(axis="y", color=LIGHT, linewidth=0.5)
    columns = 1 if narrow() and len(names) > 1 else 3 if len(names) > 4 else 2
    _legend(ax, "Family means" if family == _MEANS else family.capitalize(), columns=columns)


def _legend(ax: Axes, title: str, *, columns: int) -> None:
    """Name the curves above the axes, below the panel's title."""
    style: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2}
    style |= {
        "ncols": columns,
        "handlelength": 1.6,
        "columnspacing": 1.0,
        "handletextpad": 0.5,
        "labelspacing": 0.25,
    }
    ax.legend(title=title, title_fontsize=points(8), alignment="left", fontsize=points(6.5), **style)


def _labels(ax: Axes) -> None:
    ax.set_xlabel("Severity")
    ax.set_ylabel("Error (%)")


@styled
def draw_corruption_examples(
    examples: Mapping[str, Sequence[NDArray[np.uint8]]],
    *,
    clean: NDArray[np.uint8] | None = None,
    severities: Sequence[int] = SEVERITIES,
) -> Figure:
    """Draw one image under each corruption, a row a kind and a column a severity, in one block or two.

    Where the paper is narrow there is one block; pictures are as small as a page asks for.

    Args:
        examples: Pictures by kind, one a severity: uint8 `[row, column]` or `[row, column, 3]`.
        clean: The picture as it is, which then stands above.
        severities: What the columns are.

    Returns:
        A new figure of column width.

    Raises:
        InputError: There is no kind, or a kind does not have a picture a severity.
    """
    short = [kind for kind, pictures in examples.items() if len(pictures) != len(severities)]
    if short or not examples or not severities:
        what = f"{len(examples[short[0]])} of {short[0]}" if short else "none"
        raise InputError(f"expected {len(severities)} pictures a kind, got {what}")
    blocks = 1 if len(examples) <= _ONE_BLOCK or narrow() else 2
    down = -(-len(examples) // blocks)
    width = (figure_width() - 2 * _SPACE - (blocks - 1) * _BETWEEN) / blocks
    ratio = _ratio(next(iter(examples.values()))[0])
    rows = down if clean is None else down + 1
    highest = (page_height() - _HEAD - _SPACE) / rows - _SPACE
    side = min(0.8, (width - _LABEL) / len(severities) - _SPACE, highest / ratio)
    tall = side * ratio
    head = _HEAD if clean is None else _HEAD + tall + _SPACE
    sheet = Sheet(head + down * (tall + _SPACE) + _SPACE)
    if clean is not None:
        sheet.text(_SPACE, _SPACE + tall / 2, "clean", width=_LABEL, size=_SIZE)
        sheet.picture(np.asarray(clean), (_SPACE + _LABEL, _SPACE, side, tall), colour=LIGHT)
    for place, (kind, pictures) in enumerate(examples.items()):
        block, row = divmod(place, down)
        left, top = _SPACE + block * (width + _BETWEEN), head + row * (tall + _SPACE)
        sheet.text(left, top + tall / 2, CORRUPTIONS[kind].title, width=_LABEL - 0.03, size=_SIZE)
        if not row:
            sheet.text(left, head - _HEAD / 2, "severity", size=_SIZE, color=GREY)
        for column, (severity, picture) in enumerate(zip(severities, pictures, strict=True)):
            x = left + _LABEL + column * (side + _SPACE)
            sheet.picture(np.asarray(picture), (x, top, side, tall), colour=LIGHT)
            if not row:
                sheet.text(x + side / 2, head - _HEAD / 2, str(severity), size=_SIZE, ha="center", color=GREY)
    return sheet.figure


def _ratio(picture: NDArray[np.uint8]) -> float:
    """Return height over width, within reason."""
    height, width = picture.shape[:2]
    return float(min(max(height / width, 0.5), 2.0))
