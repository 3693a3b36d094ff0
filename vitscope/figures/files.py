"""Files: a figure as PDF, SVG, PNG and PGF, the same bytes for the same figure."""

from __future__ import annotations

import io
from contextlib import contextmanager, nullcontext
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from vitscope.figures.pgf import write_pgf
from vitscope.figures.style import current_style, drawing
from vitscope.figures.typefaces import light_typefaces
from vitscope.paths import explained, write_atomically, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

__all__ = ["save_figure"]

_DPI = 300.0
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "ModDate": None},
    "svg": {"Date": None},
    "png": {},
}


def save_figure(figure: Figure, path: Path | str) -> list[Path]:
    """Write the figure beside each other in the formats of the current style, PDF and PNG unless told.

    PDF has TrueType fonts (Type 42), SVG letters as shapes, PNG 300 dots an inch, and PGF the letters of the
    document that includes it and its pictures in PNG files beside it. Nothing in the files tells the time, so
    that equal figures are equal files.

    Args:
        figure: The figure, drawn in the current style at the size it has in the paper.
        path: The file's path without a suffix; dots in its name are kept.

    Returns:
        A path for each format, in their order.

    Raises:
        EnvironmentFault: They cannot be written there.
    """
    path = Path(path)
    written = []
    with drawing(), _laid_out(figure):
        for kind in current_style().formats:
            target = path.with_name(f"{path.name}.{kind}")
            if kind == "pgf":
                _write_pgf(figure, target)
            else:
                type_of = light_typefaces() if kind == "pdf" else nullcontext()
                with write_atomically(target) as temporary, type_of:
                    figure.savefig(temporary, format=kind, dpi=_DPI, metadata=_METADATA[kind])
            written.append(target)
    return written


def _write_pgf(figure: Figure, target: Path) -> None:
    """Write the pictures before the file that includes them, and take away those that it no longer does."""
    stream = io.StringIO()
    pictures = write_pgf(figure, stream, name=target.stem)
    paths = (target.with_name(f"{target.stem}-img{number}.png") for number in count())
    for picture, path in zip(pictures, paths, strict=False):
        with write_atomically(path) as temporary:
            Image.fromarray(picture).save(temporary, format="PNG")
    write_text(target, stream.getvalue())
    for stale in takewhile(Path.exists, paths):
        with explained(stale):
            stale.unlink()


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Lay the figure out once: it takes as long as drawing, and both files shall agree."""
    engine = figure.get_layout_engine()
    if engine is None:
        yield
        return
    dpi = figure.dpi
    try:
        # Type is a little wider or narrower at another resolution, and the layout must fit it.
        figure.set_dpi(_DPI)
        figure.draw_without_rendering()
        figure.set_layout_engine(None)  # not "none", a placeholder for which every file is drawn twice
        yield
    finally:
        figure.set_dpi(dpi)
        figure.set_layout_engine(engine)
