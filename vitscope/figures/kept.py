"""Kept drawings: a drawing function's name and its records in one file, to be drawn again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from vitscope.errors import InputError
from vitscope.records.archive import read_archive, write_archive
from vitscope.records.trees import find_named, named, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure

__all__ = ["keep_drawing", "read_drawing"]

FORMAT = "vitscope.drawing"


def keep_drawing(path: Path, draw: Callable[[], Figure], about: dict[str, Any]) -> Path | None:
    """Keep what draws a figure: the function's name, and its arguments.

    Args:
        path: The file.
        draw: A `functools.partial` of a drawing function of `vitscope.figures`.
        about: What else is kept, as JSON can hold it.

    Returns:
        The file; None where it cannot be kept, since it is another function, or takes something that is no
        record.
    """
    if not isinstance(draw, partial):
        return None
    try:
        arguments, arrays = pack((draw.args, draw.keywords))
        drawing = {"function": named(draw.func), "arguments": arguments}
    except InputError:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_archive(path, FORMAT, arrays, about | {"drawing": drawing})


def read_drawing(path: Path) -> tuple[Callable[[], Figure], dict[str, Any]]:
    """Return what draws a figure, and what else `keep_drawing` was given.

    Raises:
        InputError: The file is damaged, or of another vitscope's records.
    """
    with read_archive(path, FORMAT) as (arrays, about):
        drawing = about.pop("drawing")
        draw = find_named(drawing["function"])
        name = drawing["function"].partition(":")[2]
        if not drawing["function"].startswith("vitscope.figures.") or not name.startswith("draw_"):
            raise InputError(f"expected a drawing of vitscope, got {name}")
        arguments, keywords = unpack(drawing["arguments"], arrays)
        return partial(draw, *arguments, **keywords), about
