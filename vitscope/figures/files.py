"""Files: a figure as PDF and PNG, the same bytes for the same figure."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.figures.style import paper_style
from vitscope.paths import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

__all__ = ["save_figure"]

_DPI = 300.0
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
            with write_atomically(target) as temporary:
                figure.savefig(temporary, format=suffix[1:], dpi=_DPI, metadata=metadata)
            written.append(target)
    return written


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
