"""Snippets: the LaTeX that includes a figure under its caption, whatever names the caption holds."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from vitscope.analysis.latex import escape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["figure_snippet", "label_of", "settable", "tex_letter"]

# Accents that every encoding of LaTeX has as commands.
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
_SIGNS = {
    "\N{LATIN SMALL LETTER SHARP S}": r"\ss{}",
    "\N{LATIN CAPITAL LETTER O WITH STROKE}": r"\O{}",
    "\N{LATIN SMALL LETTER O WITH STROKE}": r"\o{}",
    "\N{LATIN CAPITAL LETTER AE}": r"\AE{}",
    "\N{LATIN SMALL LETTER AE}": r"\ae{}",
    "\N{LATIN CAPITAL LIGATURE OE}": r"\OE{}",
    "\N{LATIN SMALL LIGATURE OE}": r"\oe{}",
    "\N{LATIN CAPITAL LETTER L WITH STROKE}": r"\L{}",
    "\N{LATIN SMALL LETTER L WITH STROKE}": r"\l{}",
    "\N{LATIN SMALL LETTER DOTLESS I}": r"\i{}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
    "\N{SECTION SIGN}": r"\S{}",
    "\N{COPYRIGHT SIGN}": r"\copyright{}",
    "\N{POUND SIGN}": r"\pounds{}",
    "\N{DEGREE SIGN}": r"$^\circ$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MINUS SIGN}": r"$-$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{NOT EQUAL TO}": r"$\neq$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{MICRO SIGN}": r"$\mu$",
    "\N{SUPERSCRIPT TWO}": r"$^2$",
    "\N{SUPERSCRIPT THREE}": r"$^3$",
}
_GREEK = (
    *(
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lamda",
        "mu",
        "nu",
    ),
    *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
)
_SIGNS |= {
    unicodedata.lookup(f"GREEK SMALL LETTER {name}"): rf"$\{name.replace('lamda', 'lambda')}$"
    for name in _GREEK
}


def settable(text: str) -> str:
    """Return text as pdfLaTeX sets it in any encoding: escaped, and of ASCII alone.

    Letters with accents become commands, and so do some signs; any other character stands there as its
    number, such as [U+1F600], so that nothing is lost in silence.
    """
    shown = ((each, each if each.isascii() else tex_letter(each)) for each in escape(text))
    return "".join(f"[U+{ord(each):04X}]" if tex is None else tex for each, tex in shown)


def tex_letter(character: str) -> str | None:
    """Return what sets a character beyond ASCII in any encoding of LaTeX; None where nothing does."""
    if character in _SIGNS:
        return _SIGNS[character]
    letter, *marks = list(unicodedata.normalize("NFD", character))
    if len(marks) == 1 and marks[0] in _ACCENTS and letter.isascii() and letter.isalpha():
        return rf"\{_ACCENTS[marks[0]]}{{{letter}}}"
    return None


def label_of(name: str) -> str:
    """Return the label of a figure, of letters that LaTeX takes in a reference."""
    return f"fig:{re.sub(r'[^A-Za-z0-9.-]+', '-', name).strip('-.') or 'figure'}"


def figure_snippet(name: str, files: Sequence[Path], caption: str) -> str:
    """Return a `figure` environment with the figure, its caption and its label.

    Args:
        name: The figure's name.
        files: What it was saved as; a PGF is read in, of the others pdfLaTeX includes the PDF, else the PNG.
        caption: Plain text.
    """
    kinds = {path.suffix: path.name for path in files}
    if ".pgf" in kinds:
        needs, shown = "pgf", rf"\resizebox{{\linewidth}}{{!}}{{\input{{{_file(kinds['.pgf'])}}}}}"
    elif ".svg" in kinds and not {".pdf", ".png"} & set(kinds):
        needs, shown = "svg", rf"\includesvg[width=\linewidth]{{{_file(kinds['.svg'])}}}"
    else:
        chosen = kinds.get(".pdf") or kinds.get(".png") or f"{name}.pdf"
        needs, shown = "graphicx", rf"\includegraphics[width=\linewidth]{{{_file(chosen)}}}"
    lines = [
        rf"% Needs \usepackage{{{needs}}}, and \graphicspath or \import where the file lies elsewhere.",
        r"\begin{figure}",
        r"\centering",
        shown,
        rf"\caption{{{settable(caption)}}}",
        rf"\label{{{label_of(name)}}}",
        r"\end{figure}",
    ]
    return "\n".join(lines) + "\n"


def _file(name: str) -> str:
    """Return a file's name as LaTeX finds it: letters beyond ASCII are read as they stand."""
    return rf"\detokenize{{{name}}}"
