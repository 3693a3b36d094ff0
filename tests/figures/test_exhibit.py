from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.hostile_names import HOSTILE_NAMES
from tests.oracles.samples import digits, made
from vitscope.analysis.evaluation import evaluate
from vitscope.errors import InputError
from vitscope.figures.confusion import draw_confusion
from vitscope.figures.evaluation import evaluation_exhibits, save_evaluation_figures
from vitscope.figures.exhibit import Exhibit, Table, save_exhibit
from vitscope.figures.gallery import draw_notice
from vitscope.figures.kept import keep_drawing, read_drawing
from vitscope.figures.pictures import blanked, pictures
from vitscope.figures.redrawing import redraw
from vitscope.figures.snippets import figure_snippet, label_of, settable
from vitscope.records.provenance import Provenance

MODEL = Provenance(
    checkpoint="/home/me/runs/a/best.pth", checkpoint_digest="sha256:0123456789abcdef", data="digits"
)
NOTICE = Exhibit("plain", partial(draw_notice, "nothing"), "Nothing (n = 0).", Table(("a",), [["=1"], [0.1]]))


def cells(path):
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """All figures of an evaluation whose classes have hostile names, in a run's folder."""
    predictions, images = digits()
    names = (*HOSTILE_NAMES[10:14], *HOSTILE_NAMES[18:22], HOSTILE_NAMES[22], HOSTILE_NAMES[24])
    named = replace(predictions, classes=names, provenance=replace(MODEL, split="test"))
    run = tmp_path_factory.mktemp("run")
    save_evaluation_figures(evaluate(named, replicates=0), images, run / "figures", predictions=named)
    return run


@pytest.mark.slow
def test_drawn_again_it_is_the_same(hostile, tmp_path):
    first = hostile / "figures"
    names = [path.name for path in first.iterdir() if path.is_file()]
    assert len(names) == 11 * 4 + 1
    assert len(list((first / "drawings").iterdir())) == 11
    few = ("class_gallery", "confused_pairs", "confusion", "risk_coverage", "samples")
    (tmp_path / "few" / "drawings").mkdir(parents=True)
    for name in few:
        shutil.copy(first / "drawings" / f"{name}.npz", tmp_path / "few" / "drawings")
    found = redraw(tmp_path / "few", tmp_path / "again")
    assert not found.left_out
    assert found.names == few
    for name in few:
        for kind in ("pdf", "png", "csv", "tex"):
            again = (tmp_path / "again" / f"{name}.{kind}").read_bytes()
            assert again == (first / f"{name}.{kind}").read_bytes(), (name, kind)


@pytest.mark.slow
def test_every_caption_has_its_n_and_its_source(hostile):
    captions = json.loads((hostile / "figures" / "captions.json").read_text())
    assert len(captions) == 11
    for name, caption in captions.items():
        assert re.search(r"n = [1-9]", caption), name
        assert "Model: a/best.pth, digest 0123456789ab. Data: digits, test split." in caption, name
        assert "/home" not in caption
    # Names stand in captions as they are.
    assert any(name in captions["confusion"] for name in HOSTILE_NAMES)
    for name in captions:
        text = (hostile / "figures" / f"{name}.tex").read_text()
        assert text.isascii()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
def test_a_paper_of_the_snippets_compiles_and_embeds_its_fonts(hostile, tmp_path):
    names = list(json.loads((hostile / "figures" / "captions.json").read_text()))
    body = "\n".join(rf"\input{{{name}.tex}}" for name in names)
    every = figure_snippet("per_class", [hostile / "per_class.pdf"], " ".join(HOSTILE_NAMES))
    body += "\n" + every.replace("fig:per-class", "fig:every")
    head = r"\documentclass[twocolumn]{article}\usepackage{graphicx}\begin{document}See \ref{fig:confusion}."
    for path in (hostile / "figures").iterdir():
        if path.suffix in (".pdf", ".tex"):
            shutil.copy(path, tmp_path)
    (tmp_path / "paper.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    made = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120
    )
    assert made.returncode == 0, made.stdout[-3000:]
    assert "Missing character" not in (tmp_path / "paper.log").read_text(errors="replace")
    if shutil.which("pdffonts"):
        listed = subprocess.run(
            ["pdffonts", "paper.pdf"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        fonts = listed.stdout.splitlines()[2:]
        assert len(fonts) > 3
        assert all(line[54:].split()[-5] == "yes" for line in fonts), listed.stdout


@pytest.mark.slow
def test_the_command_draws_without_torch(hostile, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from vitscope.cli.main import app\n"
        "sys.exit(app(sys.argv[1:], standalone_mode=False))"
    )
    few = tmp_path / "few"
    (few / "figures" / "drawings").mkdir(parents=True)
    for name in ("reliability", "misclassified"):
        shutil.copy(hostile / "figures" / "drawings" / f"{name}.npz", few / "figures" / "drawings")
    (few / "figures" / "old.pdf").write_bytes(b"")
    words = ["figures", str(few), "--venue", "icml", "--format", "pdf,svg", "--json"]
    made = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    (told,) = json.loads(made.stdout)["runs"]
    assert told["figures"] == ["misclassified", "reliability"]
    assert list(told["left_out"]) == ["figures/old"]
    assert "figures/old was left out: nothing was kept" in made.stderr
    assert b"/MediaBox [ 0 0 234 " in (few / "figures" / "reliability.pdf").read_bytes()  # 3.25 inches
    assert (few / "figures" / "misclassified.svg").is_file()


def exhibits():
    predictions, _ = digits()
    evaluation = evaluate(predictions, replicates=0)
    return evaluation, {each.name: each for each in evaluation_exhibits(evaluation, None)}


def test_the_data_are_what_the_artists_show(tmp_path):
    _, found = exhibits()
    for name in ("per_class", "reliability", "risk_coverage"):
        save_exhibit(replace(found[name], draw=partial(draw_notice, name)), tmp_path)

    rows = cells(tmp_path / "per_class.csv")
    (ax,) = found["per_class"].draw().axes
    spans = [line.get_xdata() for line in ax.lines if len(set(line.get_ydata())) == 1]
    shown = {tuple(np.round(span, 12)) for span in spans if len(span) == 2}
    for row in rows[:-1]:
        assert (round(float(row["low"]), 12), round(float(row["high"]), 12)) in shown, row

    rows = cells(tmp_path / "risk_coverage.csv")
    curves = [line.get_xydata() for line in found["risk_coverage"].draw().axes[0].lines]
    told = {(round(float(row["coverage"]), 12), round(float(row["risk"]), 12)) for row in rows}
    longest = max(curves, key=len)
    assert len(longest) > 50
    assert {tuple(point) for point in np.round(longest, 12).tolist()} <= told | {
        (round(float(row["coverage"]), 12), round(float(row["optimal_risk"]), 12)) for row in rows
    }

    rows = [row for row in cells(tmp_path / "reliability.csv") if row["part"] == "bin" and row["n"] != "0"]
    points = {
        (round(float(row["confidence"]), 9), round(float(row["accuracy"]), 9))
        for row in rows
        if row["accuracy"]
    }
    lines = [line for ax in found["reliability"].draw().axes for line in ax.lines]
    drawn = {tuple(point) for line in lines for point in np.round(line.get_xydata(), 9).tolist()}
    assert points <= drawn


def test_all_that_stands_beside_a_figure(tmp_path):
    save_exhibit(NOTICE, tmp_path)
    save_exhibit(replace(NOTICE, name="other.v2", caption="100 % of $x_1$", data=None), tmp_path)
    assert (tmp_path / "plain.csv").read_text() == "a\n'=1\n0.1\n"
    captions = json.loads((tmp_path / "captions.json").read_text())
    assert captions == {"plain": "Nothing (n = 0).", "other.v2": "100 % of $x_1$"}
    text = (tmp_path / "other.v2.tex").read_text()
    assert r"\caption{100 \% of \$x\_1\$}" in text
    assert r"\includegraphics[width=\linewidth]{\detokenize{other.v2.pdf}}" in text
    assert r"\label{fig:other.v2}" in text
    assert not (tmp_path / "other.v2.csv").exists()
    draw, about = read_drawing(tmp_path / "drawings" / "plain.npz")
    assert draw().texts[0].get_text() == "nothing"
    assert about["data"] == [["a"], [["=1"], [0.1]]]


def test_what_cannot_be_kept_is_drawn_all_the_same(tmp_path):
    exhibit = replace(NOTICE, draw=lambda: draw_notice("once"))
    assert [path.name for path in save_exhibit(exhibit, tmp_path)] == ["plain.pdf", "plain.png"]
    assert not (tmp_path / "drawings").exists()
    assert redraw(tmp_path, tmp_path / "out").left_out == {"plain": "nothing was kept to draw it from"}


def test_damaged_and_foreign_drawings_are_left_out(tmp_path):
    save_exhibit(NOTICE, tmp_path)
    place = tmp_path / "drawings"
    whole = (place / "plain.npz").read_bytes()
    (place / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (place / "empty.npz").write_bytes(b"")
    keep_drawing(place / "function.npz", partial(settable, "x"), {"caption": "", "data": None})
    keep_drawing(place / "bare.npz", NOTICE.draw, {})
    about = {"caption": "", "data": None}
    keep_drawing(place / "arguments.npz", partial(draw_confusion), about)
    keep_drawing(place / "record.npz", partial(draw_confusion, "text"), about)
    keep_drawing(place / "rows.npz", NOTICE.draw, about | {"data": [["a"], [[1, 2, 3]]]})
    keep_drawing(place / "values.npz", NOTICE.draw, about | {"data": [["a"], [[{"x": 1}]]]})
    keep_drawing(place / "said.npz", NOTICE.draw, about | {"caption": None})
    found = redraw(tmp_path, tmp_path / "out")
    assert found.names == ("plain",)
    lost = ["arguments", "bare", "cut", "empty", "function", "record", "rows", "said", "values"]
    assert sorted(found.left_out) == lost


def test_figures_for_another_venue_are_not_missed(tmp_path):
    save_exhibit(NOTICE, tmp_path / "figures")
    redraw(tmp_path, tmp_path / "icml")
    (tmp_path / "old.pdf").write_bytes(b"%PDF")
    assert sorted(redraw(tmp_path).left_out) == ["old"]


def test_folders_without_figures_are_refused(tmp_path):
    with pytest.raises(InputError, match="has no figures"):
        redraw(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        redraw(tmp_path / "none")


def test_each_folder_in_a_run_has_one(tmp_path):
    save_exhibit(NOTICE, tmp_path / "evaluation" / "figures")
    save_exhibit(NOTICE, tmp_path / "attention")
    save_exhibit(NOTICE, tmp_path)
    names = ("attention/plain", "evaluation/plain", "plain")
    assert sorted(redraw(tmp_path).names) == sorted(names)
    for name in names:
        assert (tmp_path / "figures" / f"{name}.pdf").is_file()
    again = redraw(tmp_path)
    assert sorted(again.names) == sorted(names)
    assert not again.left_out


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_any_name_is_set_in_ascii_and_closes_its_braces(name):
    text = settable(name)
    assert text.isascii()
    assert "\n" not in text
    bare = re.sub(r"\\[{}\\]", "", text)
    assert bare.count("{") == bare.count("}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("naïve Å é ç ß", r"na\"{i}ve \r{A} \'{e} \c{c} \ss{}"),
        ("👩 日", "[U+1F469] [U+65E5]"),
        ("\N{GREEK SMALL LETTER ALPHA}\N{MINUS SIGN}1 ≥ 3", r"$\alpha$$-$1 $\geq$ 3"),
        ("50 % & $x$", r"50 \% \& \$x\$"),
    ],
)
def test_signs_are_set_or_shown_by_number(text, expected):
    assert settable(text) == expected


def test_labels_and_files():
    assert label_of("a b/ü_1") == "fig:a-b-1"
    assert label_of("日") == "fig:figure"
    assert "resizebox" in figure_snippet("a", [Path("a.pdf"), Path("a.pgf")], "")
    assert r"\includesvg" in figure_snippet("a", [Path("a.svg")], "")
    assert "a.png" in figure_snippet("a", [Path("a.svg"), Path("a.png")], "")


def test_pictures_are_those_shown_and_none_larger_than_print():
    large = np.zeros((3000, 2000, 3), np.uint8)
    long = np.zeros((20, 5000), np.uint8)
    found = pictures([large, long, large], [1, 0, 1])
    assert list(found.held) == [1, 0]
    assert found(0).shape == (1024, 683, 3)
    assert found(1).shape == (20, 5000)


def test_blanked_outcomes_say_what_a_gallery_asks():
    rows = evaluate(made(np.eye(3), [0, 1, 1]), replicates=0).outcomes
    found = blanked(rows, [2])
    assert found.predicted.tolist() == [0, 1, 2]
    assert found.correct.tolist() == [True, True, False]
    assert found.confidence.tolist() == [0, 0, rows.confidence[2]]
