"""Tables as LaTeX: booktabs, numbers rounded by one rule, names as plain text."""

from __future__ import annotations

import math
import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.rounding import rounded, rounded_p, with_interval

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    Value = str | int | float | None

__all__ = ["escape", "tabular"]

_ROWS = 100
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    # \textquotedbl is not in OT1, the encoding that LaTeX begins with.
    '"': r"\char34{}",
    "∞": r"$\infty$",
}
# Two of these would join to a dash or a quotation mark. LuaLaTeX joins them across braces, but not across \/.
_LIGATURE = re.compile(r"([-,'])(?=\1)")
_SPACES = ("Cc", "Cs", "Zl", "Zp", "Zs")


def escape(text: str) -> str:
    """Return text that LaTeX sets as it stands: specials escaped, ligatures of signs undone.

    Letters with accents are composed, control characters and all spaces become a space, and invisible marks,
    such as those that turn the direction of writing, vanish.
    """
    kinds = ((each, unicodedata.category(each)) for each in unicodedata.normalize("NFC", text))
    shown = "".join(" " if kind in _SPACES else each for each, kind in kinds if kind != "Cf")
    return _LIGATURE.sub(r"\1\\/", "".join(_ESCAPES.get(each, each) for each in shown))


def tabular(
    columns: Sequence[str],
    rows: Iterable[Sequence[Value]],
    *,
    percent: Collection[str] = (),
    source: str = "",
) -> str:
    """Return a `tabular` environment in booktabs style of the first 100 rows.

    Columns called `low` and `high` become the interval of the column before them, `x_low` and `x_high` that
    of column `x`, where there is one.
    Columns called `p` or `p_…` are p-values. Numbers are rounded by `vitscope.analysis.rounding`.

    Args:
        columns: The names; underscores become spaces.
        rows: A value a column each; None and NaN become a dash.
        percent: Columns of shares, written in per cent.
        source: The file that holds all rows, named in a comment.
    """
    shown = list(islice(rows, _ROWS + 1))
    plan = _plan(columns)
    head = [_heading(columns[place], columns[place] in percent, low is not None) for place, low, _ in plan]
    body = [
        [_cell(columns[place], row, place, low, high, percent) for place, low, high in plan]
        for row in shown[:_ROWS]
    ]
    texts = [any(isinstance(row[place], str) for row in shown) for place, _, _ in plan]
    alignment = "".join("l" if text else "r" for text in texts)
    cut = f"% The first {_ROWS} rows; all are in {escape(source)}." if len(shown) > _ROWS else ""
    lines = [
        r"% Needs \usepackage{booktabs}; other scripts than Latin, and emoji, need LuaLaTeX or XeLaTeX.",
        cut,
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        _line(head),
        r"\midrule",
        *map(_line, body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _line(cells: Sequence[str]) -> str:
    """Return a row; at its start `[` or `*` would be an argument of the line end or rule before it."""
    text = " & ".join(cells)
    return ("{}" if text.lstrip().startswith(("[", "*")) else "") + text + r" \\"


def _plan(columns: Sequence[str]) -> list[tuple[int, int | None, int | None]]:
    """Return the printed columns, each with the places of its interval's ends."""
    ends: dict[int, list[int]] = {}
    for place, name in enumerate(columns):
        if name in ("low", "high"):
            ends.setdefault(
                max(each for each in range(place) if columns[each] not in ("low", "high")), []
            ).append(place)
        elif name.endswith(("_low", "_high")) and (owner := name.rsplit("_", 1)[0]) in columns:
            ends.setdefault(columns.index(owner), []).append(place)
    taken = {place for pair in ends.values() for place in pair}
    printed = (place for place in range(len(columns)) if place not in taken)
    return [(place, *ends.get(place, (None, None))) for place in printed]


def _heading(name: str, percent: bool, interval: bool) -> str:
    words = name.replace("_", " ")
    unit = r" (\%)" if percent else ""
    return escape(words[:1].upper() + words[1:]) + unit + (r" [95\,\% interval]" if interval else "")


def _cell(
    name: str,
    row: Sequence[Value],
    place: int,
    low: int | None,
    high: int | None,
    percent: Collection[str],
) -> str:
    value = row[place]
    if isinstance(value, str):
        return escape(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "--"
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace(",", "{,}").replace("-", "$-$")
    if name == "p" or name.startswith("p_"):
        return escape(rounded_p(value))
    scale = 100 if name in percent else 1
    ends = [None if end is None else row[end] for end in (low, high)]
    if isinstance(ends[0], int | float) and isinstance(ends[1], int | float):
        text = with_interval(scale * value, scale * ends[0], scale * ends[1])
    else:
        text = rounded(scale * value)
    return escape(text).replace("-", "$-$")
