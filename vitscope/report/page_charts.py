"""The page's charts: where lines, areas and points stand; the template draws them as inline SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.report.page_axes import SHARES, Chart, Field, Mark, round_steps
from vitscope.report.page_text import tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vitscope.analysis.calibration import Reliability
    from vitscope.analysis.confidence import ConfidenceHistogram
    from vitscope.analysis.perturbation_curves import MeanCurve
    from vitscope.analysis.selective import RiskCoverage
    from vitscope.analysis.smoothing import SmoothCalibration

__all__ = ["draw_curves", "draw_histogram", "draw_reliability", "draw_risk"]


def draw_reliability(bins: Reliability, smooth: SmoothCalibration) -> Chart:
    """Draw accuracy over confidence: bins with Wilson intervals, the consistency band, the smooth curve."""
    field = Field((0, 1), (0, 1))
    left, right = bins.edges[:-1], bins.edges[1:]
    return Chart(
        name="Reliability diagram",
        description=(
            f"Accuracy against confidence in {bins.bins} bins of {bins.n:,} images, with 95 % intervals. "
            f"The expected calibration error is {tell(bins.ece).value}. The table below has the numbers."
        ),
        x=field.ticks("x", SHARES, percent=True),
        y=field.ticks("y", SHARES, percent=True),
        x_label="confidence, %",
        y_label="right, %",
        marks=(
            Mark("area", -1, field.boxes(left, right, *bins.band.T), "where 95 % of calibrated models are"),
            Mark("line dashed", -1, field.line([0, 1], [0, 1]), "calibrated"),
            Mark("line", 1, field.line(smooth.confidence, smooth.accuracy), "without bins"),
            Mark("whiskers", 0, field.whiskers(bins.confidence, *bins.interval.T)),
            Mark("dots", 0, field.dots(bins.confidence, bins.accuracy), "bins, 95 % intervals"),
        ),
    )


def draw_histogram(counts: ConfidenceHistogram) -> Chart:
    """Draw how many predictions have which confidence, wrong ones on top of right ones."""
    top = float((counts.right + counts.wrong).max())
    steps = round_steps(top)
    field = Field((0, 1), (0, steps[-1]))
    left, right = counts.edges[:-1], counts.edges[1:]
    low, high = counts.right.astype(np.float64), (counts.right + counts.wrong).astype(np.float64)
    means = tell(counts.mean_right, percent=True).value, tell(counts.mean_wrong, percent=True).value
    return Chart(
        name="Confidence of right and wrong predictions",
        description=f"Mean confidence {means[0]} where right, {means[1]} where wrong.",
        x=field.ticks("x", SHARES, percent=True),
        y=field.ticks("y", steps),
        x_label="confidence, %",
        y_label="images",
        marks=(
            Mark("bars", 0, field.boxes(left, right, 0 * low, low), "right"),
            Mark("bars", 1, field.boxes(left, right, low, high), "wrong"),
        ),
    )


def draw_risk(curve: RiskCoverage) -> Chart:
    """Draw the error rate among the surest images over their share of all."""
    coverage = curve.covered / curve.n
    steps = round_steps(float(np.nanmax(curve.risk)))
    field = Field((0, 1), (0, steps[-1]))
    high = np.minimum(curve.interval[:, 1], steps[-1])
    return Chart(
        name="Risk and coverage",
        description=(
            f"Error rate among the surest images over the share of images kept. Area "
            f"{tell(curve.aurc, curve.aurc_interval).value}, at best {tell(curve.optimal).value}."
        ),
        x=field.ticks("x", SHARES, percent=True),
        y=field.ticks("y", steps, percent=True),
        x_label="images kept, the surest first, %",
        y_label="wrong among them, %",
        marks=(
            Mark("area", 0, field.area(coverage, curve.interval[:, 0], high), "95 % interval"),
            Mark("line", 0, field.line(coverage, curve.risk), "this model"),
            Mark("line dashed", -1, field.line(coverage, curve.optimal_risk), "a perfect order"),
        ),
    )


def draw_curves(name: str, curves: Mapping[str, MeanCurve], *, x_label: str, grey: Sequence[str]) -> Chart:
    """Draw the mean curve of each method; baselines, named in `grey`, are grey and dashed."""
    high = max(float(each.means.max()) for each in curves.values())
    steps = round_steps(high)
    field = Field((0, 1), (0, steps[-1]))
    marks, place = [], 0
    for method, curve in curves.items():
        if method in grey:
            marks.append(
                Mark("line dashed", -1 - grey.index(method), field.line(curve.fractions, curve.means), method)
            )
            continue
        marks.append(Mark("line", place, field.line(curve.fractions, curve.means), method))
        place += 1
    return Chart(
        name=name,
        description=f"Mean probability of the explained class, of {', '.join(curves)}; the table has areas.",
        x=field.ticks("x", SHARES, percent=True),
        y=field.ticks("y", steps, percent=True),
        x_label=x_label,
        y_label="probability, %",
        marks=tuple(marks),
    )
