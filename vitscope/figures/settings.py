"""Settings: what matplotlib is told in a drawing call, for a venue's type and sizes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from matplotlib import rcParamsDefault

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

    from vitscope.figures.venues import Venue

__all__ = ["settings_for"]

# Points in most papers; a venue may cap or enlarge them.
_LETTERS: dict[RcKeyType, float] = {
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "figure.titlesize": 9.0,
    "figure.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "legend.title_fontsize": 7.0,
}
_STROKES: dict[RcKeyType, float] = {
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "patch.linewidth": 0.6,
}
_RC: dict[RcKeyType, Any] = {
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
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
    # Shapes look the same without the typeface, and their names depend on nothing but the figure.
    "svg.fonttype": "path",
    "svg.hashsalt": "vitscope",
    "image.interpolation": "antialiased",
    "axes.grid": False,
    "axes.prop_cycle": "cycler('color', ['#0072B2', '#D55E00', '#009E73', '#E69F00', '#56B4E9', '#CC79A7'])",
}


# What is the session's own, not a figure's: where drawings go to, and where files are looked for.
_SESSION: tuple[str, ...] = ("animation.", "backend", "date.epoch", "docstring.", "interactive", "keymap.")
_SESSION += ("figure.hooks", "figure.max_open_warning", "figure.raise_window", "savefig.directory")
_SESSION += ("macosx.", "timezone", "tk.", "toolbar", "webagg.")


@lru_cache
def settings_for(venue: Venue) -> dict[RcKeyType, Any]:
    """Return the settings of matplotlib in which a venue's figures are drawn.

    All that a drawing depends on is there, matplotlib's own defaults too: whatever style the user's session
    or `matplotlibrc` has, the figure is the same.
    """
    defaults = {key: value for key, value in rcParamsDefault.items() if not key.startswith(_SESSION)}
    letters = {key: venue.points(size) for key, size in _LETTERS.items()}
    strokes = {key: venue.scale * size for key, size in _STROKES.items()}
    return {**defaults, **_RC, **letters, **strokes, "font.family": list(venue.family)}
