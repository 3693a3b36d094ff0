"""Style: type, sizes and colours of a paper, set inside a drawing call and nowhere else."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap, to_rgb
from matplotlib.figure import Figure

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType, RcKeyType
    from numpy.typing import NDArray

__all__ = ["COLUMN_WIDTH", "contrasting", "new_figure", "owner", "paper_style", "sequential_map", "styled"]

COLUMN_WIDTH = 5.5
"""Inches: the text width of a single-column paper."""

# Okabe and Ito 2008: told apart with every common form of colour blindness.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT = "#767676", "#E3E3E3"

_RC: dict[RcKeyType, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "patch.linewidth": 0.6,
    "figure.dpi": 100.0,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.bbox": None,
    "savefig.facecolor": "white",
    # Names of classes and files are text, never formulas; fonts go into the file as TrueType.
    "text.parse_math": False,
    "text.usetex": False,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "image.interpolation": "antialiased",
    "axes.grid": False,
    "axes.prop_cycle": "cycler('color', ['#0072B2', '#D55E00', '#009E73', '#E69F00', '#56B4E9', '#CC79A7'])",
}

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def paper_style() -> AbstractContextManager[None]:
    """Return a context in which matplotlib draws in the paper's style; settings are as before after it."""
    return rc_context(_RC)


def styled(draw: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a drawing function run in the paper's style."""

    @wraps(draw)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with paper_style():
            return draw(*args, **kwargs)

    return run


def new_figure(height: float, *, width: float = COLUMN_WIDTH) -> Figure:
    """Return an empty white figure in inches with constrained layout, unknown to pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def owner(ax: Axes) -> Figure:
    """Return the figure that the axes are part of, also from within a subfigure."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise UsageError("expected axes in a figure, got axes that were removed from theirs")
    return figure


def sequential_map(dark: str = "#00418A", *, steps: int = 256) -> Colormap:
    """Return a colour map from white to `dark` in equal perceptual steps, a grey for cells without a value.

    The straight line between both colours in Oklab.

    *Source*: Ottosson 2020, "A perceptual color space for image processing".
    """
    ends = np.array([_oklab(to_rgb("white")), _oklab(to_rgb(dark))])
    share = np.linspace(0, 1, steps)[:, None]
    colours = _from_oklab((1 - share) * ends[0] + share * ends[1])
    return ListedColormap([tuple(row) for row in colours], name="vitscope").with_extremes(bad=LIGHT)


def contrasting(colour: ColorType) -> str:
    """Return black or white, whichever has the greater contrast on `colour` (WCAG 2 relative luminance)."""
    luminance = float(_linear(np.array(to_rgb(colour))) @ [0.2126, 0.7152, 0.0722])
    # Contrast (L1 + .05)/(L2 + .05) with white and with black are equal where L = √(1.05·.05) − .05.
    return "black" if luminance > 0.1791 else "white"


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _linear(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _oklab(rgb: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.asarray(_TO_LAB @ np.cbrt(_TO_CONES @ _linear(np.array(rgb))))


def _from_oklab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    cones = np.linalg.solve(_TO_LAB, lab.T) ** 3
    linear = np.linalg.solve(_TO_CONES, cones).T.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).clip(0, 1)
