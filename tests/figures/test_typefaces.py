from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from fontTools import subset
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends import _backend_pdf_ps as embedding
from matplotlib.font_manager import findfont, get_font

from vitscope.figures import typefaces
from vitscope.figures.files import save_figure
from vitscope.figures.style import drawing, new_figure
from vitscope.figures.typefaces import light_typefaces

TABLES = ("GDEF", "GPOS", "GSUB", "kern")


def _cut(path, glyphs):
    with embedding.get_glyphs_subset(path, glyphs) as found:
        file = embedding.font_as_file(found.font).getvalue()
        return file, {glyph: found.glyph_index_map[glyph] for glyph in glyphs}


def _whole_cut(monkeypatch, path, glyphs):
    """Cut with matplotlib alone, told of the same tables."""
    with monkeypatch.context() as patched:
        kept = [*subset.Options._drop_tables_default, *TABLES]
        patched.setattr(subset.Options, "_drop_tables_default", kept)
        return _cut(path, glyphs)


def _glyphs(path, text):
    letters = get_font(path).get_charmap()
    return {letters[ord(letter)] for letter in text if ord(letter) in letters}


@pytest.mark.parametrize("name", ["DejaVu Sans", "STIXGeneral", "cmr10"])
@pytest.mark.parametrize("text", ["A", "Ångström é Ω → ✓ ﬁ ★ □ ∫∞ …"])
def test_the_bytes_are_those_that_matplotlib_cuts_of_the_whole(monkeypatch, name, text):
    path = findfont(name)
    glyphs = _glyphs(path, text)
    whole = _whole_cut(monkeypatch, path, glyphs)
    with light_typefaces():
        assert _cut(path, glyphs) == whole
        assert _cut(path, glyphs) == whole


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_glyphs(data):
    path = findfont("DejaVu Sans")
    every = st.sets(st.integers(0, get_font(path).num_glyphs - 1), max_size=40)
    unnamed = sorted({*range(get_font(path).num_glyphs)} - {*get_font(path).get_charmap().values()})
    glyphs = data.draw(every | st.sets(st.sampled_from(unnamed), max_size=3))
    with pytest.MonkeyPatch.context() as patched:
        whole = _whole_cut(patched, path, glyphs)
    with light_typefaces():
        assert _cut(path, glyphs) == whole


def test_a_figure_is_the_same_file_whatever_was_drawn_before(tmp_path, monkeypatch):
    monkeypatch.setattr(typefaces, "_KEPT", {})
    figure = new_figure(1.0)
    with drawing():
        figure.text(0, 0, "Wörter ✓")
    first = save_figure(figure, tmp_path / "first")[0].read_bytes()
    other = new_figure(1.0)
    with drawing():
        other.text(0, 0, "жук ★ ∞")
    save_figure(other, tmp_path / "other")
    assert save_figure(figure, tmp_path / "again")[0].read_bytes() == first


def test_nothing_stays_of_it(monkeypatch):
    before = embedding.get_glyphs_subset, subset.Options._drop_tables_default
    with pytest.raises(KeyboardInterrupt), light_typefaces():
        raise KeyboardInterrupt
    assert (embedding.get_glyphs_subset, subset.Options._drop_tables_default) == before


def test_threads_wait_for_each_other(tmp_path):
    def one(index):
        figure = new_figure(1.0)
        with drawing():
            figure.text(0, 0, "abc ✓")
        return save_figure(figure, tmp_path / str(index))[0].read_bytes()

    before = embedding.get_glyphs_subset
    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(one, range(3)))) == 1
    assert embedding.get_glyphs_subset is before
