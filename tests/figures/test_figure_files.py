from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from vitscope.errors import EnvironmentFault
from vitscope.figures.files import save_figure
from vitscope.figures.style import drawing, new_figure

SCRIPT = """
import sys
from pathlib import Path
from tests.oracles.samples import digits
from vitscope.analysis.evaluation import evaluate
from vitscope.figures.evaluation import save_evaluation_figures
predictions, images = digits()
save_evaluation_figures(evaluate(predictions), images, Path(sys.argv[1]))
"""


def _figure():
    with drawing():
        figure = new_figure(2.0)
        ax = figure.subplots()
        ax.plot([0, 1], [0, 1])
        ax.set_title(r"$\frac [/red] ✓")
        ax.set_ylabel("a label")
    return figure


def test_writes_both_at_the_size_of_the_paper(tmp_path):
    before = dict(mpl.rcParams)
    written = save_figure(_figure(), tmp_path / "deep" / "v1.2_figure")
    assert [path.name for path in written] == ["v1.2_figure.pdf", "v1.2_figure.png"]
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == [
        "v1.2_figure.pdf",
        "v1.2_figure.png",
    ]
    with Image.open(written[1]) as image:
        assert image.size == (1650, 600)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    assert dict(mpl.rcParams) == before


def test_fonts_are_truetype_and_no_time_is_told(tmp_path):
    pdf, png = (path.read_bytes() for path in save_figure(_figure(), tmp_path / "figure"))
    assert b"/Type3" not in pdf
    assert b"/CIDFontType2" in pdf
    assert b"/MediaBox [ 0 0 396 144 ]" in pdf
    for mark in (b"CreationDate", b"ModDate"):
        assert mark not in pdf
    assert b"tIME" not in png


@pytest.mark.slow
def test_the_same_figure_is_the_same_bytes(tmp_path):
    figure = _figure()
    first = [path.read_bytes() for path in save_figure(figure, tmp_path / "a")]
    assert [path.read_bytes() for path in save_figure(figure, tmp_path / "b")] == first
    assert [path.read_bytes() for path in save_figure(_figure(), tmp_path / "c")] == first


def test_saving_leaves_the_figure_as_it_was(tmp_path):
    figure = _figure()
    engine, dpi = figure.get_layout_engine(), figure.dpi
    save_figure(figure, tmp_path / "figure")
    assert figure.get_layout_engine() is engine
    assert figure.dpi == dpi


@pytest.mark.parametrize("layout", [None, "none", "tight"])
def test_figures_of_any_layout_are_saved(tmp_path, layout):
    figure = Figure(figsize=(2, 1), layout=layout)
    figure.subplots().plot([0, 1])
    assert all(path.stat().st_size for path in save_figure(figure, tmp_path / "figure"))


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    written = save_figure(_figure(), tmp_path / "figure")
    before = [path.read_bytes() for path in written]
    figure = _figure()

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(EnvironmentFault, match="no space left"):
        save_figure(figure, tmp_path / "figure")
    assert [path.read_bytes() for path in written] == before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_processes_agree_on_every_byte(tmp_path):
    digests = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())}
        subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], check=True, env=environment)
        digests.append(
            {
                str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in folder.rglob("*")
                if path.is_file()
            }
        )
    assert sum(name.endswith((".pdf", ".png")) for name in digests[0]) == 22
    assert sum(name.startswith("drawings") for name in digests[0]) == 11
    assert digests[0] == digests[1]


def test_no_glyph_is_missing(tmp_path):
    """A missing glyph is a warning, and here warnings are errors."""
    figure = new_figure(1.0)
    with drawing():
        figure.text(0, 0, "✓ ✗ ★ □ … % é Ω")
    save_figure(figure, tmp_path / "figure")
    assert np.asarray(Image.open(tmp_path / "figure.png")).min() < 100
