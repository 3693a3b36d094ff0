"""Typefaces: the letters of a figure, cut out of their typeface and embedded in its PDF."""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fontTools import subset
from matplotlib.backends import _backend_pdf_ps as embedding
from matplotlib.font_manager import get_font

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from matplotlib.backends._backend_pdf_ps import SubsetResults as _Found
    from matplotlib.font_manager import FontPath

    _Cutter = Callable[..., AbstractContextManager[_Found]]

__all__ = ["light_typefaces"]

# Tables of a typeface for programs that set text; in a PDF every letter has its place already. To cut them to
# a figure's letters took a fifth of the time of drawing and writing it.
_TYPESETTING = ["GDEF", "GPOS", "GSUB", "kern"]
# Latin and Greek letters: what is kept of a typeface, beside letters that a figure had.
_USUAL = [*range(0x20, 0x180), *range(0x370, 0x400)]
_ONE = threading.Lock()


class _Cut(io.BytesIO):
    """A typeface's file in memory, as matplotlib takes one: with its place in a collection."""

    face_index = 0


@dataclass(frozen=True)
class _Kept:
    """Some glyphs of a typeface: a file, where it has them, and every glyph that is a letter."""

    file: bytes
    places: dict[int, int]
    letters: frozenset[int]


_KEPT: dict[tuple[str, int], _Kept] = {}


@contextmanager
def light_typefaces() -> Iterator[None]:
    """Embed typefaces in PDFs without the tables that nothing reads, and quickly, inside the block.

    matplotlib reads all 6,000 glyphs of a typeface to embed the fifty of a figure, for each figure anew. Here
    a cut with the usual letters is kept, of which a figure's are cut: the same bytes in a fraction of the
    time. matplotlib has no option for either.
    """
    with _ONE:
        options, direct = subset.Options, embedding.get_glyphs_subset
        before = options._drop_tables_default
        options._drop_tables_default = [*before, *_TYPESETTING]
        embedding.get_glyphs_subset = _by_way_of_kept(direct)
        try:
            yield
        finally:
            embedding.get_glyphs_subset = direct
            options._drop_tables_default = before


def _by_way_of_kept(direct: _Cutter) -> _Cutter:
    """Return matplotlib's function to cut a typeface, which starts from the cut that is kept."""

    def cut(fontfile: FontPath, glyphs: Iterable[int]) -> AbstractContextManager[_Found]:
        wanted = set(glyphs)
        # matplotlib 3.10 asks for letters in place of glyphs, and is left alone.
        if not all(isinstance(glyph, int) for glyph in wanted):
            return direct(fontfile, glyphs)
        kept = _KEPT.get((str(fontfile), fontfile.face_index))
        if kept is None or not wanted <= kept.places.keys():
            kept = _keep(direct, fontfile, wanted | set(kept.places if kept else ()))
        # Glyphs that stand for no letter leave an empty table of letters, and which depends on the way.
        return direct(fontfile, wanted) if wanted.isdisjoint(kept.letters) else _cut(direct, kept, wanted)

    return cut


@contextmanager
def _cut(direct: _Cutter, kept: _Kept, wanted: set[int]) -> Iterator[_Found]:
    """Yield what matplotlib would have cut of the whole typeface."""
    with direct(_Cut(kept.file), {kept.places[glyph] for glyph in wanted}) as found:
        places = {glyph: found.glyph_index_map[kept.places[glyph]] for glyph in wanted}
        yield type(found)(found.font, places)


def _keep(direct: _Cutter, fontfile: FontPath, glyphs: set[int]) -> _Kept:
    """Keep those glyphs of a typeface and its usual letters."""
    letters = get_font(fontfile).get_charmap()
    usual = {letters[code] for code in _USUAL if code in letters}
    with direct(fontfile, glyphs | usual) as found:
        file = io.BytesIO()
        found.font.save(file, reorderTables=False)
        places = dict(found.glyph_index_map)
    kept = _Kept(file.getvalue(), places, frozenset(letters.values()))
    _KEPT[str(fontfile), fontfile.face_index] = kept
    return kept
