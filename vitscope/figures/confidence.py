"""Histograms of the confidence of right and of wrong predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from vitscope.figures.style import BLACK, BLUE, GREY, LIGHT, VERMILLION, new_figure, owner, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.analysis.confidence import ConfidenceHistogram

__all__ = ["draw_confidence_histogram"]

_PALE = "#F6DBC8"  # vermillion at a quarter


@styled
def draw_confidence_histogram(result: ConfidenceHistogram, *, ax: Axes | None = None) -> Figure:
    """Draw the confidence of right predictions above the axis and of wrong ones below it.

    Each side is in per cent of its own images, so that few errors are seen beside many hits; the dashed lines
    are the means. The further both sides are apart, the better the confidence tells errors.

    Args:
        result: What `confidence_histogram` returns.
        ax: Axes to draw on; without them a figure is made.

    Returns:
        The figure drawn on.
    """
    if ax is None:
        ax = new_figure(2.9, width=3.4).subplots()
    handles = [
        _side(ax, result, result.right, mean=result.mean_right, up=True),
        _side(ax, result, result.wrong, mean=result.mean_wrong, up=False),
    ]
    ax.axhline(0, color=GREY, linewidth=0.6)
    # The two largest shares, each with a little room; a side without images keeps its half.
    tops = [float(_share(side).max()) or 1.0 for side in (result.right, result.wrong)]
    ax.set(xlim=(0, 1), ylim=(-1.06 * tops[1], 1.06 * tops[0]), xlabel="Confidence")
    ax.set_ylabel("Share of wrong | of right (%)")
    ax.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * abs(value):g}")
    ax.grid(axis="y", color=LIGHT, linewidth=0.5)
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1, handlelength=1.5)
    return owner(ax)


def _share(count: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(count / max(int(count.sum()), 1))


def _side(ax: Axes, result: ConfidenceHistogram, count: NDArray[np.int64], *, mean: float, up: bool) -> Patch:
    """Draw one histogram, the right ones up and plain, the wrong ones down and hatched."""
    colour, name = (BLUE, "right") if up else (VERMILLION, "wrong")
    height = _share(count) if up else -_share(count)
    # A hatch has the colour of the edge, and is seen on a paler face.
    style: dict[str, Any] = {"facecolor": colour, "edgecolor": "white"}
    if not up:
        style = {"facecolor": _PALE, "edgecolor": colour, "hatch": "/////"}
    ax.bar(result.edges[:-1], height, np.diff(result.edges), align="edge", linewidth=0.4, **style)
    said = ""
    if np.isfinite(mean):
        ends = (0.0, 1.0) if up else (0.0, -1.0)
        ax.plot([mean, mean], ends, color=BLACK, linewidth=0.9, linestyle=(0, (3, 2)))
        said = f", mean {mean:.3f} (dashed)"
    return Patch(linewidth=0.4, label=f"{name}: n = {int(count.sum()):,}{said}", **style)
