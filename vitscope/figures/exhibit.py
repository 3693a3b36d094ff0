"""An exhibit: a figure with what stands beside it in a paper, its caption, its data and its LaTeX."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.analysis.tables import write_csv
from vitscope.figures.files import save_figure
from vitscope.figures.kept import keep_drawing
from vitscope.figures.snippets import figure_snippet
from vitscope.paths import write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.figure import Figure

    Value = str | int | float | None

__all__ = ["CAPTIONS", "DRAWINGS", "Exhibit", "Table", "save_exhibit", "write_beside"]

CAPTIONS = "captions.json"
"""The file beside figures that holds their captions as plain text, every name exact."""

DRAWINGS = "drawings"
"""The folder beside figures that holds what they were drawn from, so that they can be drawn again."""


@dataclass(frozen=True, eq=False)
class Table:
    """The numbers that a figure shows.

    Attributes:
        columns: Their names.
        rows: A value a column each.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Value]]


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A figure and what stands beside it.

    Attributes:
        name: Its file name without a suffix.
        draw: Draws it in the style that is current. A `functools.partial` of a drawing function of vitscope
            and its records can be kept, and drawn again for another venue without the model and the data.
        caption: A draft of the caption, plain text with the numbers in it.
        data: The numbers that it shows, where it shows any.
    """

    name: str
    draw: Callable[[], Figure]
    caption: str
    data: Table | None = None


def save_exhibit(exhibit: Exhibit, folder: Path | str) -> list[Path]:
    """Write a figure in the formats of the current style, and everything that stands beside it.

    `NAME.csv` has the data, `NAME.tex` the LaTeX that includes the figure under its caption, `captions.json`
    the caption as plain text, and `drawings/NAME.npz` what it was drawn from.

    Args:
        exhibit: The figure.
        folder: Where to write; made where it does not exist.

    Returns:
        The paths of the figure, in the order of the formats.

    Raises:
        EnvironmentFault: They cannot be written there.
    """
    folder = Path(folder)
    files = save_figure(exhibit.draw(), folder / exhibit.name)
    write_beside(exhibit, folder, files)
    keep_drawing(folder / DRAWINGS / f"{exhibit.name}.npz", exhibit.draw, _about(exhibit))
    return files


def write_beside(exhibit: Exhibit, folder: Path, files: Iterable[Path]) -> None:
    """Write what stands beside the files of a figure; `captions.json` keeps the captions of others."""
    if exhibit.data is not None:
        write_csv(folder / f"{exhibit.name}.csv", exhibit.data.columns, exhibit.data.rows)
    snippet = figure_snippet(exhibit.name, list(files), exhibit.caption)
    write_text(folder / f"{exhibit.name}.tex", snippet)
    try:
        captions = json.loads((folder / CAPTIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        captions = {}
    write_json(folder / CAPTIONS, dict(sorted((captions | {exhibit.name: exhibit.caption}).items())))


def _about(exhibit: Exhibit) -> dict[str, Any]:
    """Return what is kept of an exhibit beside its drawing."""
    data = exhibit.data
    table = None if data is None else [list(data.columns), [list(row) for row in data.rows]]
    return {"name": exhibit.name, "caption": exhibit.caption, "data": table}
