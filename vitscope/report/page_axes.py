"""The axes of the page's charts: where values stand, the paths through them, and round ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["SHARES", "Chart", "Field", "Mark", "round_steps"]

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Ticks of an axis from 0 to 100 %."""

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
class Field:
    """Where values are in a chart.

    Attributes:
        x: Its left and its right end.
        y: Its lower and its upper end.
    """

    x: tuple[float, float]
    y: tuple[float, float]

    def places(self, x: Sequence[float] | Floats, y: Sequence[float] | Floats) -> Floats:
        """Return `[point, 2]`, how far each point is from the left and from the top."""
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
        """Return the place and the text of each tick, of shares in per cent where asked for."""
        found = []
        for value in values:
            place = (
                self.places([value], [self.y[0]])[0, 0] if axis == "x" else self.places([0], [value])[0, 1]
            )
            found.append((round(float(place), 1), f"{100 * value:g}" if percent else f"{value:,g}"))
        return tuple(found)


def round_steps(top: float) -> tuple[float, ...]:
    """Return ticks from 0 to the first round number at or above `top`, four to six of them."""
    if not top > _LOGARITHMIC:
        return (0.0, 1.0)
    size = 10 ** np.floor(np.log10(top))
    step = next(size * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if top / (size * part) <= 5 + 1e-9)
    return tuple(float(round(step * index, 12)) for index in range(int(np.ceil(top / step - 1e-9)) + 1))
