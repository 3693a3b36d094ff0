"""How far models make the same predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import Normalize

from vitscope.figures.lettering import plain, shorten
from vitscope.figures.style import contrasting, new_figure, owner, points, sequential_map, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from vitscope.analysis.agreement import Agreement, Overlap

__all__ = ["draw_agreement", "draw_overlap"]


@styled
def draw_agreement(
    agreement: Agreement, *, names: tuple[str, ...] | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the share of images on which each two models make the same prediction.

    Args:
        agreement: A comparison's `agreement`.
        names: What to call the models; their names otherwise.
        ax: Axes to draw on; without them a small figure is made.

    Returns:
        The figure drawn on.
    """
    count = len(agreement.models)
    ax = ax or new_figure(2.6, width=3.0).subplots()
    # The diagonal is 1 whatever the models: the colours are for the others.
    shares = np.where(np.eye(count, dtype=bool), np.nan, agreement.same)
    low = float(np.nanmin(shares))
    image = ax.imshow(np.ma.masked_invalid(shares), cmap=sequential_map(), norm=Normalize(low - 0.1, 1.0))
    _write(ax, image, shares, [[f"{100 * value:.0f}" for value in row] for row in shares])
    labels = [shorten(name, 70, size=7) for name in names or agreement.models]
    upright = max(map(len, labels)) <= 3
    ax.set_xticks(range(count), labels, rotation=0 if upright else 90)
    ax.set_yticks(range(count), labels)
    _finish(ax)
    ax.set_title("Same prediction (%)", size=points(8))
    return owner(ax)


@styled
def draw_overlap(
    overlap: Overlap, *, names: tuple[str, str] = ("model", "reference"), ax: Axes | None = None
) -> Figure:
    """Draw the two-by-two table of right and wrong that McNemar's test is made from.

    Args:
        overlap: A difference's `overlap`.
        names: What to call the model and the reference.
        ax: Axes to draw on; without them a small figure is made.

    Returns:
        The figure drawn on.
    """
    ax = ax or new_figure(2.4, width=2.6).subplots()
    wrong = overlap.wrong_alike + overlap.wrong_apart
    counts = np.array([[overlap.both_right, overlap.only_reference], [overlap.only_model, wrong]])
    shares = counts / overlap.n
    image = ax.imshow(shares, cmap=sequential_map(), norm=Normalize(0, 1))
    texts = [
        [f"{100 * share:.1f} %\n{number:,}" for share, number in zip(*rows, strict=True)]
        for rows in zip(shares, counts, strict=True)
    ]
    if wrong:
        texts[1][1] += f"\n({overlap.wrong_alike:,} alike)"
    _write(ax, image, shares, texts)
    model, reference = (shorten(name, 50, size=7.5) for name in names)
    ax.set_xticks([0, 1], [f"{model} right", f"{model} wrong"])
    ax.set_yticks([0, 1], [f"{reference} right", f"{reference} wrong"], rotation=90, va="center")
    _finish(ax)
    ax.set_title(f"Same prediction: {100 * overlap.same:.1f} %", size=points(8))
    return owner(ax)


def _write(ax: Axes, image: AxesImage, shares: NDArray[np.float64], texts: list[list[str]]) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if np.isnan(share):
            continue
        colour = contrasting(image.to_rgba(np.array([share])).tolist()[0])
        text = texts[row][column]
        ax.text(column, row, text, ha="center", va="center", color=colour, size=points(7))


def _finish(ax: Axes) -> None:
    ax.tick_params(length=0)
    plain([*ax.get_xticklabels(), *ax.get_yticklabels()])
    for spine in ax.spines.values():
        spine.set_visible(False)
