"""What is printed and where: results on stdout, talk on stderr."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vitscope.errors import VitscopeError

__all__ = ["complain", "plain", "progress_bar", "result", "result_json", "table", "talk"]


def plain(text: str) -> str:
    """Return `text` with what a terminal would obey, or could not show, replaced by `?`."""
    shown = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in shown)


def result(text: str = "") -> None:
    """Print a line of the result."""
    typer.echo(plain(text))


def result_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print the result as one JSON object; every text exact, letters beyond ASCII escaped."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def talk(text: str, *, quiet: bool = False) -> None:
    """Say what is going on, on stderr."""
    if not quiet:
        typer.echo(plain(text), err=True)


def complain(error: VitscopeError) -> None:
    """Print an error as one line, and its hint as another."""
    talk(f"error: {' '.join(str(error).split())}")
    if error.hint:
        talk(f"hint: {' '.join(error.hint.split())}")


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in aligned columns; the first row is the head, columns after the first are aligned right.

    A row is a line: line breaks in a cell are replaced, too.
    """
    shown = [[plain(cell).replace("\n", "?") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for cells in shown:
        first = cells[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        result("  ".join([first, *rest]).rstrip())


@contextmanager
def progress_bar(title: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while a pass over images goes on, on a terminal only.

    Yields:
        A function to be called with the number of images done since the last call.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)
