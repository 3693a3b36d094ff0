"""Files: a figure as PDF and PNG, the same bytes for the same figure."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from fontTools import subset

from vitscope.figures.style import paper_style
from vitscope.paths import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

__all__ = ["save_figure"]

_DPI = 300.0
# Tables of a typeface for programs that set text; in a PDF every letter has its place already. To cut them to
# a figure's letters took a fifth of the time of drawing and writing it.
_TYPESETTING = ["GDEF", "GPOS", "GSUB", "kern"]
_SUBSETTING = threading.Lock()
_METADATA: dict[str, dict[str, None]] = {".pdf": {"CreationDate": None, "ModDate": None}, ".png": {}}


def save_figure(figure: Figure, path: Path | str) -> list[Path]:
    """Write the figure beside each other as PDF (vectors, TrueType fonts) and PNG (300 dpi).

    Nothing in the files tells the time, so that equal figures are equal files.

    Args:
        figure: The figure, drawn at the size it has in the paper.
        path: The file's path without a suffix; dots in its name are kept.

    Returns:
        The paths of the PDF and of the PNG.

    Raises:
        EnvironmentFault: They cannot be written there.
    """
    path = Path(path)
    written = []
    with paper_style(), _laid_out(figure):
        for suffix, metadata in _METADATA.items():
            target = path.with_name(path.name + suffix)
            type_of = _without_typesetting() if suffix == ".pdf" else nullcontext()
            with write_atomically(target) as temporary, type_of:
                figure.savefig(temporary, format=suffix[1:], dpi=_DPI, metadata=metadata)
            written.append(target)
    return written


@contextmanager
def _without_typesetting() -> Iterator[None]:
    """Embed typefaces without those tables inside the block; matplotlib has no option for it."""
    with _SUBSETTING:
        options = subset.Options
        before = options._drop_tables_default
        options._drop_tables_default = [*before, *_TYPESETTING]
        try:
            yield
        finally:
            options._drop_tables_default = before


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
