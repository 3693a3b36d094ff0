"""Tables of results, written so that a spreadsheet opens them safely."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

from vitscope.analysis.latex import tabular
from vitscope.paths import write_atomically, write_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    Value = str | int | float | None

__all__ = ["cell", "number", "write_csv", "write_table"]

_LATEX_COLUMNS = 12
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str) -> str:
    """Return `text` as a spreadsheet cell that is never run as a formula: with an apostrophe if need be."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def number(value: float) -> float | None:
    """Return the value as JSON can hold it: None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> Path:
    """Write rows as CSV in UTF-8, whole or not at all.

    Text is made safe with `cell`, None and NaN become empty cells, and numbers keep all their digits.
    """
    with (
        write_atomically(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([cell(name) for name in columns])
        writer.writerows([_written(value) for value in row] for row in rows)
    return path


def write_table(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[Value]], *, percent: Collection[str] = ()
) -> None:
    """Write rows as CSV, see `write_csv`, and, beside it, as a LaTeX table.

    The LaTeX (`vitscope.analysis.latex.tabular`) has the first 100 rows, rounded; tables of more than
    12 columns, such as matrices, have none.

    Args:
        path: The CSV file; the LaTeX has its name with `.tex`.
        columns: The header, in order.
        rows: A value a column each.
        percent: Columns of shares, which the LaTeX gives in per cent.
    """
    listed = list(rows)
    write_csv(path, columns, listed)
    if len(columns) <= _LATEX_COLUMNS:
        text = tabular(columns, listed, percent=percent, source=path.name)
        write_text(path.with_suffix(".tex"), text)


def _written(value: Value) -> Value:
    if isinstance(value, str):
        return cell(value)
    return None if isinstance(value, float) and math.isnan(value) else value
