"""The risk-coverage curve: the error rate where a model may decline the images it is unsure of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from vitscope.figures.arrangement import folded_title
from vitscope.figures.style import (
    BLUE,
    GREY,
    LIGHT,
    VERMILLION,
    figure_width,
    new_figure,
    owner,
    points,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vitscope.analysis.selective import RiskCoverage

__all__ = ["draw_risk_coverage"]

_FIRST = 0.02  # the share of images below which a risk is of too few to be drawn


@styled
def draw_risk_coverage(result: RiskCoverage, *, ax: Axes | None = None) -> Figure:
    """Draw the error rate among the surest images over their share, with the best ranking and a random one.

    The band is Wilson's 95 % interval at each coverage. The dashed line is the risk if every wrong image
    ranked below every right one, the dotted one that of a random order; what lies between the curve and the
    dashed line is the excess. The curve begins at 2 % coverage, and the axis of risk is scaled to what is
    right of it: to the left a single image decides.

    Args:
        result: What `risk_coverage` returns.
        ax: Axes to draw on; without them a figure is made.

    Returns:
        The figure drawn on.
    """
    if ax is None:
        ax = new_figure(2.9, width=3.6).subplots()
    coverage = result.covered / result.n
    overall = result.errors / result.n
    ax.fill_between(
        coverage, *result.interval.T, color=BLUE, alpha=0.18, linewidth=0, label="95 % interval", zorder=2
    )
    ax.axhline(overall, color=GREY, linewidth=1.0, linestyle=(0, (1, 1.5)), label="random order", zorder=2.5)
    ax.plot(
        coverage,
        result.optimal_risk,
        color=VERMILLION,
        linewidth=1.0,
        linestyle=(0, (4, 2)),
        label="best order",
        zorder=5,
        clip_on=False,
    )
    by = {"maximum": "largest logit", "margin": "margin of logits"}.get(result.by, result.by)
    marker = "o" if len(coverage) == 1 else ""
    drawn = result.covered >= _FIRST * result.n
    ax.plot(
        coverage[drawn],
        result.risk[drawn],
        color=BLUE,
        marker=marker,
        markersize=4,
        label=f"by {by}",
        zorder=4,
        clip_on=False,
    )
    _scale(ax, result)
    _title(ax, result)
    return owner(ax)


def _scale(ax: Axes, result: RiskCoverage) -> None:
    drawn = result.covered >= _FIRST * result.n
    top = max(float(result.interval[drawn, 1].max()), result.errors / result.n, 1e-4)
    ax.set(xlim=(0, 1), ylim=(0, 1.35 * top))
    ax.set(xlabel="Coverage (% of images kept)", ylabel="Risk (% wrong)")
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, 1.35 * top)
    ax.set_yticks([tick for tick in ticks if 0 <= tick <= min(1.0, 1.35 * top)])
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.6g}")
    ax.grid(color=LIGHT, linewidth=0.5)
    handles, labels = ax.get_legend_handles_labels()
    order = [3, 0, 2, 1]  # down the columns: the curve and its band, then what it lies between
    ax.legend(
        [handles[index] for index in order],
        [labels[index] for index in order],
        loc="upper left",
        ncols=2,
        handlelength=2.0,
        columnspacing=1.2,
        frameon=True,
        framealpha=0.85,
        edgecolor="none",
    )


def _title(ax: Axes, result: RiskCoverage) -> None:
    area = f"AURC {100 * result.aurc:.2f} %"
    if result.aurc_interval is not None:
        low, high = (100 * bound for bound in result.aurc_interval)
        area += f" [{low:.2f}, {high:.2f}]"
    title = f"{area}, excess {100 * result.excess:.2f} % (n = {result.n:,})"
    ax.set_title(folded_title(title, figure_width() - 0.7, size=8), size=points(8))
