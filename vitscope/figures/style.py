"""Style: type, sizes and colours of a paper, set inside a drawing call and nowhere else."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap, to_rgb
from matplotlib.figure import Figure

from vitscope.errors import UsageError
from vitscope.figures.settings import settings_for
from vitscope.figures.venues import VENUES, Venue, find_venue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType
    from numpy.typing import NDArray

    from vitscope.figures.venues import Extent

__all__ = [
    "FORMATS",
    "PaperStyle",
    "contrasting",
    "current_style",
    "drawing",
    "figure_width",
    "new_figure",
    "owner",
    "panel_letters",
    "paper_style",
    "points",
    "sequential_map",
    "styled",
]

FORMATS = ("pdf", "svg", "png", "pgf")
"""The kinds of files that a figure can be written as."""

# Okabe and Ito 2008: told apart with every common form of colour blindness.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT = "#767676", "#E3E3E3"

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class PaperStyle:
    """What figures look like, and what files they become.

    Attributes:
        venue: Where they will be printed.
        extent: Whether they are as wide as a column or as the page's text.
        formats: The kinds of files, in the order in which they are written.
    """

    venue: Venue
    extent: Extent = "column"
    formats: tuple[str, ...] = ("pdf", "png")

    @property
    def width(self) -> float:
        """Inches of a figure on paper."""
        return self.venue.width(self.extent)

    @property
    def kinds(self) -> str:
        """The files in words, such as `PDF and PNG`."""
        *first, last = (kind.upper() for kind in self.formats)
        return f"{', '.join(first)} and {last}" if first else last

    def file_name(self, stem: str) -> str:
        """Return the name of the figure's first file."""
        return f"{stem}.{self.formats[0]}"


_DEFAULT = PaperStyle(VENUES["neurips"])
_STYLE = ContextVar("vitscope_paper_style", default=_DEFAULT)
_SETTINGS = threading.RLock()


def paper_style(
    venue: str = "neurips", width: Extent = "column", *, formats: Sequence[str] = ("pdf", "png")
) -> AbstractContextManager[PaperStyle]:
    """Return a context in which figures are drawn and saved for a venue; see `VENUES`.

    Only this thread's figures have the style, and matplotlib's settings stay as they are: they are changed
    inside each drawing call alone, one thread at a time. Draw a figure and save it inside the same context.

    Args:
        venue: The venue's name.
        width: As wide as a column, or as the page's text.
        formats: What `save_figure` writes: `pdf`, `svg`, `png`, `pgf`.

    Raises:
        UsageError: There is no such venue, width or format, or no format at all.
    """
    style = PaperStyle(find_venue(venue), width, tuple(dict.fromkeys(formats)))
    style.venue.width(width)
    if not style.formats or not set(style.formats) <= set(FORMATS):
        got = ", ".join(formats) or "none"
        raise UsageError(f"expected formats of {', '.join(FORMATS)}, got {got}")
    return _as_current(style)


@contextmanager
def _as_current(style: PaperStyle) -> Iterator[PaperStyle]:
    before = _STYLE.set(style)
    try:
        yield style
    finally:
        _STYLE.reset(before)


def current_style() -> PaperStyle:
    """Return the style that figures are drawn in now: NeurIPS's unless one was entered."""
    return _STYLE.get()


def figure_width() -> float:
    """Return the inches that a figure has for letters of 8 points: on a slide everything is larger."""
    style = current_style()
    return style.width / style.venue.scale


def points(size: float) -> float:
    """Return the points of letters that have `size` points in most papers; see `Venue.points`."""
    return current_style().venue.points(size)


@contextmanager
def drawing() -> Iterator[None]:
    """Let matplotlib draw in the current style inside the block, this thread alone; see `paper_style`."""
    with _SETTINGS, rc_context(settings_for(current_style().venue)):
        yield


def styled(draw: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a drawing function run in the paper's style."""

    @wraps(draw)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with drawing():
            return draw(*args, **kwargs)

    return run


def new_figure(height: float, *, width: float | None = None) -> Figure:
    """Return an empty white figure with constrained layout, unknown to pyplot.

    Args:
        height: Inches of a figure with letters of 8 points.
        width: The same; as wide as the style says where it is left out, and never wider.
    """
    scale = current_style().venue.scale
    width = figure_width() if width is None else min(width, figure_width())
    figure = Figure(figsize=(scale * width, scale * height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def panel_letters(axes: Sequence[Axes], *, aside: bool = False) -> None:
    """Write a, b, c … in bold above the left end of several panels; a panel alone has none.

    Args:
        axes: The panels.
        aside: Whether letters end before the panels begin, since titles need the room above.
    """
    if len(axes) < 2:
        return
    place: dict[str, Any] = {"x": -0.03, "ha": "right"} if aside else {}
    for letter, ax in zip(ascii_lowercase, axes, strict=False):
        ax.set_title(letter, loc="left", size=points(8), weight="bold", **place)


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
