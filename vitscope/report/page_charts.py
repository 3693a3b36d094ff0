"""The page's charts: where lines, areas and points stand; the template draws them as inline SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from vitscope.report.page_text import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from vitscope.analysis.calibration import Reliability
    from vitscope.analysis.confidence import ConfidenceHistogram
    from vitscope.analysis.perturbation_curves import MeanCurve
    from vitscope.analysis.selective import RiskCoverage
    from vitscope.analysis.smoothing import SmoothCalibration

    Floats = NDArray[np.float64]

__all__ = ["Chart", "Mark", "draw_curves", "draw_histogram", "draw_reliability", "draw_risk"]

_WIDTH, _HEIGHT = 420.0, 300.0  # of the field, in units of the drawing
_DOT = 3.4
_LOGARITHMIC = 1e-9


@dataclass(frozen=True)
class Mark:
    """One path of a chart.

    Attributes:
        kind: The style sheet's class: `line`, `line dashed`, `area`, `bars`, `dots` or `whiskers`.
        colour: The place of its colour in the style sheet, from 0; −1 is grey.
        path: What an SVG path draws.
        label: What the legend says; empty for no entry.
    """

    kind: str
    colour: int
    path: str
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart as the template draws it.

    Attributes:
        name: What its title is.
        description: What a reader who cannot see it is told.
        x: Places and texts of the ticks below.
        y: Places and texts of the ticks on the left.
        x_label: What is on the horizontal axis.
        y_label: What is on the vertical axis.
        marks: The paths, the lowest first.
    """

    name: str
    description: str
    x: tuple[tuple[float, str], ...]
    y: tuple[tuple[float, str], ...]
    x_label: str
    y_label: str
    marks: tuple[Mark, ...]
    width: float = _WIDTH
    height: float = _HEIGHT


@dataclass(frozen=True)
class _Field:
    """Where values are in a chart."""

    x: tuple[float, float]
    y: tuple[float, float]

    def places(self, x: Sequence[float] | Floats, y: Sequence[float] | Floats) -> Floats:
        left = (np.asarray(x, dtype=np.float64) - self.x[0]) / (self.x[1] - self.x[0]) * _WIDTH
        down = (1 - (np.asarray(y, dtype=np.float64) - self.y[0]) / (self.y[1] - self.y[0])) * _HEIGHT
        return np.stack([left, down], axis=1)

    def line(self, x: Sequence[float] | Floats, y: Sequence[float] | Floats) -> str:
        """Return a line through the points, broken where one is not finite."""
        parts, pen = [], "M"
        for left, down in self.places(x, y):
            if np.isfinite(left) and np.isfinite(down):
                parts.append(f"{pen}{left:.1f} {down:.1f}")
                pen = "L"
            else:
                pen = "M"
        return "".join(parts)

    def area(self, x: Floats, low: Floats, high: Floats) -> str:
        """Return what lies between two lines, over the points where both are finite."""
        known = np.isfinite(low) & np.isfinite(high)
        if not known.any():
            return ""
        return (
            self.line(x[known], high[known])
            + self.line(x[known][::-1], low[known][::-1]).replace("M", "L", 1)
            + "Z"
        )

    def boxes(self, left: Floats, right: Floats, low: Floats, high: Floats) -> str:
        """Return rectangles; those without finite ends are left out."""
        parts = []
        corners = zip(self.places(left, low), self.places(right, high), strict=True)
        for (x0, y0), (x1, y1) in corners:
            if np.isfinite([y0, y1]).all():
                parts.append(f"M{x0:.1f} {y0:.1f}H{x1:.1f}V{y1:.1f}H{x0:.1f}Z")
        return "".join(parts)

    def dots(self, x: Floats, y: Floats) -> str:
        """Return a disc a point."""
        turn = f"a{_DOT} {_DOT} 0 1 0 {2 * _DOT} 0a{_DOT} {_DOT} 0 1 0 {-2 * _DOT} 0"
        points = [each for each in self.places(x, y) if np.isfinite(each).all()]
        return "".join(f"M{left - _DOT:.1f} {down:.1f}{turn}" for left, down in points)

    def whiskers(self, x: Floats, low: Floats, high: Floats) -> str:
        """Return a vertical line a point, from its low to its high end."""
        ends = zip(self.places(x, low), self.places(x, high), strict=True)
        return "".join(
            f"M{left:.1f} {down:.1f}V{top:.1f}"
            for (left, down), (_, top) in ends
            if np.isfinite([down, top]).all()
        )

    def ticks(
        self, axis: Literal["x", "y"], values: Iterable[float], *, percent: bool = False
    ) -> tuple[tuple[float, str], ...]:
        found = []
        for value in values:
            place = (
                self.places([value], [self.y[0]])[0, 0] if axis == "x" else self.places([0], [value])[0, 1]
            )
            found.append((round(float(place), 1), f"{100 * value:g}" if percent else f"{value:,g}"))
        return tuple(found)


_UNIT = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def draw_reliability(bins: Reliability, smooth: SmoothCalibration) -> Chart:
    """Draw accuracy over confidence: bins with Wilson intervals, the consistency band, the smooth curve."""
    field = _Field((0, 1), (0, 1))
    left, right = bins.edges[:-1], bins.edges[1:]
    return Chart(
        name="Reliability diagram",
        description=(
            f"Accuracy against confidence in {bins.bins} bins of {bins.n:,} images, with 95 % intervals. "
            f"The expected calibration error is {tell(bins.ece).value}. The table below has the numbers."
        ),
        x=field.ticks("x", _UNIT, percent=True),
        y=field.ticks("y", _UNIT, percent=True),
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
    steps = _steps(top)
    field = _Field((0, 1), (0, steps[-1]))
    left, right = counts.edges[:-1], counts.edges[1:]
    low, high = counts.right.astype(np.float64), (counts.right + counts.wrong).astype(np.float64)
    means = tell(counts.mean_right, percent=True).value, tell(counts.mean_wrong, percent=True).value
    return Chart(
        name="Confidence of right and wrong predictions",
        description=f"Mean confidence {means[0]} where right, {means[1]} where wrong.",
        x=field.ticks("x", _UNIT, percent=True),
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
    steps = _steps(float(np.nanmax(curve.risk)))
    field = _Field((0, 1), (0, steps[-1]))
    high = np.minimum(curve.interval[:, 1], steps[-1])
    return Chart(
        name="Risk and coverage",
        description=(
            f"Error rate among the surest images over the share of images kept. Area "
            f"{tell(curve.aurc, curve.aurc_interval).value}, at best {tell(curve.optimal).value}."
        ),
        x=field.ticks("x", _UNIT, percent=True),
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
    steps = _steps(high)
    field = _Field((0, 1), (0, steps[-1]))
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
        x=field.ticks("x", _UNIT, percent=True),
        y=field.ticks("y", steps, percent=True),
        x_label=x_label,
        y_label="probability, %",
        marks=tuple(marks),
    )


def _steps(top: float) -> tuple[float, ...]:
    """Return ticks from 0 to the first round number at or above `top`, four to six of them."""
    if not top > _LOGARITHMIC:
        return (0.0, 1.0)
    size = 10 ** np.floor(np.log10(top))
    step = next(size * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if top / (size * part) <= 5 + 1e-9)
    return tuple(float(round(step * index, 12)) for index in range(int(np.ceil(top / step - 1e-9)) + 1))
