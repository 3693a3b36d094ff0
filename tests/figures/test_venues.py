from __future__ import annotations

import re
import shutil
import subprocess
import threading
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from vitscope.errors import UsageError
from vitscope.figures.files import save_figure
from vitscope.figures.pgf import tex_text
from vitscope.figures.style import FORMATS, current_style, new_figure, panel_letters, paper_style, styled
from vitscope.figures.venues import VENUES

# Inches of a column and of the page's text, as the venues' authors' guides say.
WIDTHS = {
    "neurips": (5.5, 5.5),
    "iclr": (5.5, 5.5),
    "icml": (3.25, 6.75),
    "cvpr": (3.28125, 6.875),
    "ieee": (3.5, 7.16),
    "acl": (7.7 / 2.54, 16.0 / 2.54),
    "nature": (8.9 / 2.54, 18.3 / 2.54),
    "slides": (5.67, 11.5),
}
NAME = r"50% a_b & $\frac \input{x} #1 ~^ é <b> ✓"


@styled
def _figure():
    figure = new_figure(1.5)
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [-1, 1], "o-", label=NAME)
    left.legend()
    right.imshow(np.arange(16).reshape(4, 4))
    panel_letters([left, right])
    return figure


def test_every_venue_is_tested():
    assert list(WIDTHS) == list(VENUES)


@pytest.mark.slow
@pytest.mark.parametrize("venue", WIDTHS)
def test_a_written_page_has_the_venue_s_width_and_truetype_letters(tmp_path, venue):
    for extent, width in zip(("column", "page"), WIDTHS[venue], strict=True):
        with paper_style(venue, extent, formats=["pdf"]):
            (path,) = save_figure(_figure(), tmp_path / extent)
        written = path.read_bytes()
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ", written)
        assert box is not None
        assert float(box[1]) / 72 == pytest.approx(width, abs=0.002)
        assert b"/Type3" not in written
        assert b"/CIDFontType2" in written
        assert (b"STIXGeneral" in written) == (venue not in ("nature", "slides"))


def test_letters_have_the_venue_s_sizes():
    for venue, tick, label in (("neurips", 7, 8), ("nature", 7, 7), ("slides", 12.25, 14)):
        with paper_style(venue):
            ax = _figure().axes[0]
        assert ax.get_xticklabels()[0].get_size() == tick
        assert ax.xaxis.label.get_size() == label
    assert VENUES["icml"].points(3) == 6


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_equal_figures_are_equal_files(tmp_path, kind):
    with paper_style("icml", formats=[kind]):
        for folder in ("a", "b"):
            assert save_figure(_figure(), tmp_path / folder / "f") == [tmp_path / folder / f"f.{kind}"]
    first, second = (sorted((tmp_path / folder).iterdir()) for folder in ("a", "b"))
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_an_svg_has_shapes_and_no_date(tmp_path):
    with paper_style(formats=["svg"]):
        (path,) = save_figure(_figure(), tmp_path / "f")
    names = {element.tag.rsplit("}", 1)[-1] for element in ET.parse(path).iter()}
    assert "path" in names
    assert not names & {"text", "date", "script"}


def test_no_name_is_a_command_of_tex(tmp_path):
    assert tex_text("a_b & 50%") == r"a\_b \& 50\%"
    assert tex_text(r"\input{x}") == r"\textbackslash{}input\{x\}"
    assert tex_text("✓") is None
    with paper_style(formats=["pgf"]):
        (path,) = save_figure(_figure(), tmp_path / "f")
    text = path.read_text(encoding="utf-8")
    assert r"\input{x}" not in text
    assert r"\frac" not in text
    assert "f-img0.png" in text
    assert (tmp_path / "f-img0.png").is_file()


@pytest.mark.slow
def test_latex_sets_what_was_written(tmp_path):
    found = shutil.which("kpsewhich")
    if not found or not subprocess.run([found, "pgf.sty"], capture_output=True, check=False).stdout:
        pytest.skip("needs LaTeX with pgf (Debian: texlive-pictures)")
    with paper_style(formats=["pgf"]):
        save_figure(_figure(), tmp_path / "f")
    page = r"\documentclass{article}\usepackage{pgf,graphicx}\begin{document}\input{f.pgf}\end{document}"
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_style_is_left_as_it_was():
    before, style = dict(mpl.rcParams), current_style()

    def fail():
        with paper_style("slides"):
            assert dict(mpl.rcParams) == before
            _figure()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert dict(mpl.rcParams) == before
    assert current_style() is style


def test_threads_have_styles_of_their_own():
    widths = {}
    together = threading.Barrier(2)

    def draw(venue):
        with paper_style(venue):
            together.wait()
            figures = [_figure() for _ in range(3)]
        widths[venue] = {
            (round(figure.get_figwidth(), 3), figure.axes[0].xaxis.label.get_size()) for figure in figures
        }

    before = dict(mpl.rcParams)
    threads = [threading.Thread(target=draw, args=(venue,)) for venue in ("icml", "slides")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert widths == {"icml": {(3.25, 8)}, "slides": {(5.67, 14)}}
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"venue": "chi"}, "expected a venue of neurips, .*, got chi"),
        ({"width": "half"}, "expected the width as column or page, got half"),
        ({"formats": ["gif"]}, "expected formats of pdf, svg, png, pgf, got gif"),
        ({"formats": []}, "got none"),
    ],
)
def test_what_there_is_not_is_said(given, said):
    with pytest.raises(UsageError, match=said):
        paper_style(**given)
