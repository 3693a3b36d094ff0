"""PGF: a figure in the commands of LaTeX's pgf, written without TeX, its letters set by the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TextIO

import numpy as np
from matplotlib import rc_context
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_pgf import RendererPgf

from vitscope.analysis.latex import escape
from vitscope.figures.snippets import tex_letter

if TYPE_CHECKING:
    from matplotlib.backend_bases import GraphicsContextBase
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text
    from matplotlib.transforms import TransformNode
    from numpy.typing import ArrayLike, NDArray

__all__ = ["tex_text", "write_pgf"]

_OPENING = r"""%% A figure of vitscope. It needs \usepackage{{pgf}}, and for pictures \usepackage{{graphicx}}.
%% Include it by \input{{{name}.pgf}}; from another folder by \import of the package import.
\begingroup%
\makeatletter%
\begin{{pgfpicture}}%
\pgfpathrectangle{{\pgfpointorigin}}{{\pgfqpoint{{{width:f}in}}{{{height:f}in}}}}%
\pgfusepath{{use as bounding box, clip}}%
"""
_CLOSING = r"""\end{pgfpicture}%
\makeatother%
\endgroup%
"""


def tex_text(text: str) -> str | None:
    """Return a line as LaTeX sets it letter by letter; None where a document without extra fonts cannot.

    Names are input: none of their characters is left to be read as a command.
    """
    letters = [each if each.isascii() else tex_letter(each) for each in escape(text)]
    return None if None in letters else "".join(filter(None, letters))


def write_pgf(figure: Figure, stream: TextIO, *, name: str) -> list[NDArray[np.uint8]]:
    """Write the figure, laid out already; the document's typeface sets its letters, in their sizes here.

    A line with characters that a document may lack, such as a check mark or Greek, is drawn as shapes.

    *Differs* from matplotlib's own backend, which asks a running TeX for the size of each text.

    Args:
        figure: The figure.
        stream: Where to write, as UTF-8.
        name: The file's name without a suffix; its pictures are called `NAME-img0.png` and so on.

    Returns:
        The pictures, uint8 `[row, column, 4]`, for files beside it.
    """
    width, height = figure.get_size_inches()
    stream.write(_OPENING.format(name=tex_text(name) or "", width=width, height=height))
    renderer = _Renderer(figure, stream, name)
    with rc_context({"pgf.rcfonts": False}):
        figure.draw(renderer)
    stream.write(_CLOSING)
    return renderer.pictures


class _Renderer(RendererPgf):
    """matplotlib's writer of PGF, with letters measured by their typeface and pictures kept for later."""

    def __init__(self, figure: Figure, stream: TextIO, name: str) -> None:
        super().__init__(figure, stream)  # type: ignore[no-untyped-call]
        self.name = name
        self.pictures: list[NDArray[np.uint8]] = []

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: bool | Literal["TeX"]
    ) -> tuple[float, float, float]:
        return RendererBase.get_text_width_height_descent(self, s, prop, ismath)

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: bool | Literal["TeX"] = False,
        mtext: Text | None = None,
    ) -> None:
        line = tex_text(s)
        if line is None:
            RendererBase.draw_text(self, gc, x, y, s, prop, angle, ismath, mtext)
        else:
            super().draw_text(gc, x, y, line, prop, angle, ismath, mtext)  # type: ignore[no-untyped-call]

    def draw_image(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        im: ArrayLike,
        transform: TransformNode | None = None,
    ) -> None:
        pixels = np.asarray(im)
        down, across = pixels.shape[:2]
        if not down or not across:
            return
        place = f"{self.name}-img{len(self.pictures)}.png"
        self.pictures.append(pixels[::-1])
        inch = 1 / self.dpi
        self.fh.write("\\begin{pgfscope}%\n")
        self._print_pgf_clip(gc)  # type: ignore[no-untyped-call]
        if transform is None:
            size = (across * inch, down * inch)
            self.fh.write(rf"\pgfsys@transformshift{{{x * inch:f}in}}{{{y * inch:f}in}}")
        else:
            matrix_of = transform.frozen().get_matrix()  # type: ignore[attr-defined]
            (a, c, e), (b, d, f) = matrix_of[:2].tolist()
            size = (1.0, 1.0)
            matrix = "".join(f"{{{value * inch:f}}}" for value in (a, b, c, d))
            self.fh.write(rf"\pgfsys@transformcm{matrix}{{{(e + x) * inch:f}in}}{{{(f + y) * inch:f}in}}")
        box = f"width={size[0]:f}in,height={size[1]:f}in"
        self.fh.write(f"%\n\\pgftext[left,bottom]{{\\includegraphics[{box}]{{{place}}}}}%\n")
        self.fh.write("\\end{pgfscope}%\n")
