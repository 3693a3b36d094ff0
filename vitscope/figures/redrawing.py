"""Redrawing: the figures of finished folders for another venue, from what was kept of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.errors import InputError
from vitscope.figures.exhibit import DRAWINGS, Exhibit, Table, write_beside
from vitscope.figures.files import save_figure
from vitscope.figures.kept import read_drawing

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

__all__ = ["Redrawn", "find_drawings", "read_exhibit", "redraw"]

_FIGURES = "figures"


@dataclass(frozen=True)
class Redrawn:
    """What became of a folder's figures.

    Attributes:
        files: The files of the figures, in every format.
        names: The figures drawn, as paths below the folder that was written.
        left_out: Figures that could not be drawn again, and why.
    """

    files: tuple[Path, ...]
    names: tuple[str, ...]
    left_out: dict[str, str]


def find_drawings(run: Path) -> list[Path]:
    """Return what was kept of the figures in a folder, and in the folders in it.

    Raises:
        InputError: There is no such folder, or it has neither drawings nor figures.
    """
    if not run.is_dir():
        raise InputError(f"there is no folder {run}", hint="name what a command of vitscope has written")
    found = sorted(path for path in run.rglob(f"{DRAWINGS}/*.npz") if not _hidden(path, run))
    if not found and not _figures_in(run):
        raise InputError(f"{run} has no figures of vitscope", hint="vitscope evaluate and others write some")
    return found


def redraw(
    run: Path | str, out: Path | str | None = None, *, progress: Callable[[int], None] | None = None
) -> Redrawn:
    """Draw all figures of a finished folder again, in the current style, with what stands beside them.

    Nothing is computed anew and no model, data set or torch is needed: the records are read that were kept
    when the figures were first drawn. Each file is replaced whole; those of other formats stay.

    Args:
        run: A folder that a command has written, or one with such folders in it.
        out: Where to write; `figures` in the folder by default. Figures of a folder within the run have a
            folder of its name.
        progress: Called with the number of figures done since the last call.

    Raises:
        InputError: There are no figures.
        EnvironmentFault: They cannot be written there.
    """
    run = Path(run)
    out = run / _FIGURES if out is None else Path(out)
    files: list[Path] = []
    names: list[str] = []
    left_out: dict[str, str] = {}
    kept = find_drawings(run)
    for path in kept:
        folder = out / _place(path, run)
        name = str((folder / path.stem).relative_to(out))
        try:
            exhibit = read_exhibit(path)
            figure = _drawn(exhibit, path)
        except InputError as error:
            left_out[name] = str(error)
        else:
            written = save_figure(figure, folder / exhibit.name)
            write_beside(exhibit, folder, written)
            files += written
            names.append(name)
        if progress is not None:
            progress(1)
    # What was drawn elsewhere in the folder, for another venue, has the name of what it was drawn from.
    known = {path.stem for path in kept}
    for path in _figures_in(run):
        if path.stem not in known:
            left_out[str(path.relative_to(run).with_suffix(""))] = "nothing was kept to draw it from"
    return Redrawn(tuple(files), tuple(names), left_out)


def _drawn(exhibit: Exhibit, path: Path) -> Figure:
    """Draw an exhibit that was read from a file.

    Raises:
        InputError: The file holds what the drawing function of this vitscope does not take.
    """
    try:
        return exhibit.draw()
    except InputError:
        raise
    except Exception as error:  # arguments of any kind may be missing, or be of another record
        raise InputError(f"{path} cannot be drawn: {error}") from error


def read_exhibit(path: Path) -> Exhibit:
    """Return the exhibit that was kept in a file.

    Raises:
        InputError: The file is damaged, or of another vitscope's records.
    """
    draw, about = read_drawing(path)
    said, table = about.get("caption"), about.get("data")
    if not isinstance(said, str):
        raise InputError(f"{path} is no whole drawing: it has no caption")
    if table is not None and not _is_table(table):
        raise InputError(f"{path} is no whole drawing: its data are no table")
    data = None if table is None else Table(tuple(table[0]), table[1])
    # Never a name out of the file: it could lead out of the folder.
    return Exhibit(path.stem, draw, said, data)


def _is_table(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    """Tell whether a value is the names of columns, and rows of a text, a number or nothing a column."""
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(part, list) for part in value)):
        return False
    columns, rows = value
    return all(isinstance(name, str) for name in columns) and all(
        isinstance(row, list)
        and len(row) == len(columns)
        and all(cell is None or isinstance(cell, str | int | float) for cell in row)
        for row in rows
    )


def _figures_in(run: Path) -> list[Path]:
    return sorted(path for path in run.rglob("*.pdf") if not _hidden(path, run))


def _hidden(path: Path, run: Path) -> bool:
    """Tell whether it lies in a folder that is being made, or that a killed process left."""
    return any(part.startswith(".") for part in path.relative_to(run).parts)


def _place(path: Path, run: Path) -> Path:
    """Return where a drawing's figure goes: the folder that it is of, without `figures`."""
    parts = path.parent.parent.relative_to(run).parts
    return Path(*(part for part in parts if part != _FIGURES))
