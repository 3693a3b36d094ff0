"""The page: what it tells, what it holds of names of any kind, and that nothing in it reaches out."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.hostile_names import HOSTILE_NAMES
from tests.report.pages import DIGEST, Parsed, digits, write
from vitscope.analysis.outcomes import outcomes
from vitscope.errors import InputError, OutputError, UsageError
from vitscope.figures.exhibit import DRAWINGS
from vitscope.figures.gallery import draw_gallery
from vitscope.figures.kept import keep_drawing
from vitscope.figures.pictures import pictures
from vitscope.paths import write_json
from vitscope.records.faithfulness import Faithfulness
from vitscope.records.predictions import Predictions
from vitscope.report.faithfulness import write_faithfulness
from vitscope.report.page import report_page
from vitscope.report.page_text import shown


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    _, predictions = digits()
    return predictions, write(predictions, tmp_path_factory.mktemp("one") / "evaluation-test")


@pytest.fixture(scope="module")
def page(evaluated, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    return report_page({"tiny": evaluated[1]}, path, maps=False), Parsed(path)


def test_it_tells_the_numbers_of_the_folder(evaluated, page):
    predictions, folder = evaluated
    report, parsed = page
    metrics = json.loads((folder / "metrics.json").read_text())
    right = np.mean(np.argmax(predictions.logits, axis=1) == predictions.labels)
    assert f"{100 * right:.1f} %" in parsed.text
    low, high = (100 * end for end in metrics["accuracy_interval"])
    assert f"{low:.1f} to {high:.1f}" in parsed.text
    assert report.size == report.path.stat().st_size < 1_000_000
    assert "tiny on digits, test" in parsed.text
    assert "evaluate best.pth" in parsed.text
    assert "faithfulness best.pth --out" in parsed.text  # what is missing, and what would make it


def test_every_cell_and_its_images_are_there(evaluated, page):
    predictions, _ = evaluated
    images, _ = digits()
    (data,) = page[1].data()
    said = np.argmax(predictions.logits, axis=1)
    assert data["classes"] == list(predictions.classes)
    assert sum(cell[2] for cell in data["cells"]) == len(predictions)
    for true, predicted, count, first, number in data["cells"]:
        assert count == np.sum((predictions.labels == true) & (said == predicted))
        assert min(count, 24) == number
        for name, sure, width, height in data["images"][first : first + number]:
            row = predictions.names.index(name)
            assert (predictions.labels[row], said[row]) == (true, predicted)
            powers = np.exp(predictions.logits[row])
            assert sure == pytest.approx(powers.max() / powers.sum(), abs=1e-4)
            assert (width, height) == images.image(row).size


def test_the_matrix_is_a_table_with_headings_in_order(page):
    _, parsed = page
    cells = [about for tag, about in parsed.tags if tag == "td" and "data-cell" in about]
    assert len(cells) == 100
    assert any(about["aria-label"].startswith("3 taken for 5: ") for about in cells)
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(about.get("alt") for tag, about in parsed.tags if tag == "img")
    heads = [about.get("scope") for tag, about in parsed.tags if tag == "th"]
    assert set(heads) == {"col", "row"}
    ids = parsed.attributes("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in parsed.attributes("href")} <= set(ids)


def hostile():
    _, known = digits()
    count = len(HOSTILE_NAMES)
    labels = np.arange(3 * count) % count
    logits = np.random.default_rng(0).normal(size=(3 * count, count))
    names = tuple(f"{name}/{index}" for index in range(3) for name in HOSTILE_NAMES)
    made = replace(known.provenance, command=("vitscope", *HOSTILE_NAMES), checkpoint=HOSTILE_NAMES[0])
    made = replace(made, data=HOSTILE_NAMES[2], split="test")
    return Predictions(logits, labels, HOSTILE_NAMES, names, provenance=made)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    runs = {name: write(hostile(), folder / f"run{index}") for index, name in enumerate(HOSTILE_NAMES[:2])}
    report_page(runs, folder / "report.html", title=HOSTILE_NAMES[3], maps=False)
    return folder / "report.html"


@pytest.mark.slow
def test_hostile_names_stay_text(hostile_page, page):
    parsed = Parsed(hostile_page)
    for data in parsed.data():
        assert tuple(data["classes"]) == HOSTILE_NAMES
        assert not data["images"]
    known = {tag for tag, _ in page[1].tags}
    assert {tag for tag, _ in parsed.tags} <= known | {"input"}
    assert not [
        name for _, about in parsed.tags for name in about if name.startswith("on") or name == "style"
    ]
    for name in HOSTILE_NAMES:
        assert shown(name) in parsed.text or shown(name) in "".join(parsed.attributes("title"))


def test_nothing_is_loaded_and_only_its_own_script_runs(hostile_page):
    parsed = Parsed(hostile_page)
    for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
        for address in parsed.attributes(name):
            assert address.startswith(("#", "data:image/png;base64,", "data:image/jpeg;base64,"))
    policy = next(
        about["content"] for _, about in parsed.tags if about.get("http-equiv") == "Content-Security-Policy"
    )
    for kind in ("style", "script"):
        (text,) = (text for tag, about, text in parsed.blocks if tag == kind and about.get("type") is None)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
        assert "http" not in text.replace("http-equiv", "")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cat", "cat"),
        ("\x1b[31m", "␛[31m"),
        ("a\r\n\tb\x00\x7f", "a␍␊␉b␀␡"),
        ("\udcff", "�"),
        ("caf\udcc3\udca9", "café"),  # bytes of a file name that are UTF-8 after all
        ("\ud800", "?"),
        ("", "(blank)"),
        ("\ufeff ", "(blank)"),
        ("عربي", "عربي"),
    ],
)
def test_shown(name, text):
    assert shown(name) == text


@pytest.mark.slow
def test_runs_on_the_same_images_are_compared(evaluated, tmp_path):
    other = write(digits(seed=1)[1], tmp_path / "other")
    report_page({"a": evaluated[1], "b": other}, tmp_path / "r.html", maps=False)
    text = Parsed(tmp_path / "r.html").text
    first, second = (np.argmax(digits(seed)[1].logits, axis=1) for seed in (0, 1))
    labels = evaluated[0].labels
    only = np.sum((second == labels) & (first != labels))
    assert f"Only b is right on {only} images" in text


def test_runs_on_other_images_stand_beside_each_other(evaluated, tmp_path):
    _, known = digits()
    part = write(known.take(np.arange(100)), tmp_path / "part")
    report_page({"a": evaluated[1], "b": part}, tmp_path / "r.html", maps=False)
    assert "No paired comparison: a and b do not have the same images" in Parsed(tmp_path / "r.html").text


def test_pictures_come_from_the_very_data_alone(tmp_path):
    _, predictions = digits()
    made = replace(predictions.provenance, data_digest="other")
    folder = write(replace(predictions, provenance=made), tmp_path / "e")
    report = report_page({"a": folder}, tmp_path / "r.html", maps=False)
    assert "not at hand" in report.notes[0]
    assert not Parsed(tmp_path / "r.html").data()[0]["sheets"]
    report_page({"a": folder}, tmp_path / "r.html", data="digits", maps=False, overwrite=True)
    assert Parsed(tmp_path / "r.html").data()[0]["sheets"]
    strange = replace(predictions, names=tuple(f"x{name}" for name in predictions.names))
    with pytest.raises(InputError, match="digits does not hold the images of a"):
        report_page({"a": write(strange, tmp_path / "s")}, tmp_path / "t.html", data="digits")
    assert not (tmp_path / "t.html").exists()


def test_the_pictures_that_the_evaluation_kept_are_shown(tmp_path):
    images, predictions = digits(data="elsewhere")
    folder, chosen = write(predictions, tmp_path / "e"), [3, 40, 200]
    shown_of = partial(
        draw_gallery, pictures(images_of(images), chosen), outcomes(predictions), chosen, title="x"
    )
    assert keep_drawing(folder / "figures" / DRAWINGS / "samples.npz", shown_of, {}) is not None
    report = report_page({"a": folder}, tmp_path / "r.html")
    assert "the data set is not at hand" in report.notes[0]
    (data,) = Parsed(tmp_path / "r.html").data()
    assert sorted(name for name, *_ in data["images"]) == sorted(predictions.names[row] for row in chosen)
    assert "cells show the images that the evaluation kept" in Parsed(tmp_path / "r.html").text


def images_of(images):
    return lambda index: np.asarray(images.image(index))


def test_folders_of_other_models_are_left_alone(evaluated, tmp_path):
    folder = write(evaluated[0], tmp_path / "e")
    for name, digest in (("mine", DIGEST), ("other", "sha256:another")):
        about = {"format": "vitscope.mistakes"}
        command = ["vitscope", "explain", "--errors", name]
        about["provenance"] = {"checkpoint_digest": digest, "command": command, "created": "2026"}
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "manifest.json", about)
    report_page({"a": folder}, tmp_path / "r.html", maps=False)
    text = Parsed(tmp_path / "r.html").text
    assert "--errors mine" in text
    assert "--errors other" not in text


@pytest.mark.slow
def test_an_embedding_and_evidence_beside_it_are_shown(evaluated, tmp_path):
    folder = write(evaluated[0], tmp_path / "e")
    about = {"provenance": {"checkpoint_digest": DIGEST, "created": "2026"}}
    figures = tmp_path / "points" / "figures"
    figures.mkdir(parents=True)
    Image.new("RGB", (3000, 2000), "red").save(figures / "embedding.png")
    write_json(figures / "captions.json", {"embedding": "1 000 <b>points</b>"})
    write_json(tmp_path / "points" / "manifest.json", about | {"format": "vitscope.embedding"})
    scores = np.linspace(0, 1, 24).reshape(3, 1, 8)
    record = Faithfulness(
        *(("relevance", "random", "centre"), ("insertion",), scores, ((2, 2),) * 3),
        fractions={"insertion": np.array([0, 1.0])},
        curves={"insertion": np.full((3, 8, 2), 0.25)},
        targets=np.zeros(8, dtype=int),
        confidence=np.ones(8),
    )
    (tmp_path / "f").mkdir()
    write_faithfulness(record, tmp_path / "f")
    write_json(tmp_path / "f" / "manifest.json", about | {"format": "vitscope.faithfulness"})
    report_page({"a": folder}, tmp_path / "r.html", maps=False)
    parsed = Parsed(tmp_path / "r.html")
    (figure,) = (about for tag, about in parsed.tags if about.get("alt") == "1 000 <b>points</b>")
    seen = Image.open(io.BytesIO(base64.b64decode(figure["src"].partition(",")[2])))
    assert seen.size == (1200, 800)
    assert "Evidence for explanations" in parsed.text
    assert f"{scores[0].mean():.2f}" in parsed.text
    assert "not better than random or centre in insertion" in parsed.text
    assert "faithfulness best.pth" not in parsed.text


@pytest.mark.parametrize(
    "changed",
    [
        {"accuracy": "x"},
        {"accuracy_interval": [1]},
        {"accuracy_interval": {"low": 0}},
        {"per_class": "abc"},
        {"per_class": [{"class": "0"}] * 10},
        {"open_sets": [1]},
        {"open_sets": {"noise": {}}},
        {"temperature": 1.5},
        {"conformal_coverage": 0.9},
        {"ece_bins": 10**7},
    ],
    ids=str,
)
def test_damaged_numbers_are_refused(evaluated, tmp_path, changed):
    folder = evaluated[1]
    copy = shutil.copytree(folder, tmp_path / "evaluation-test")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    (copy / "metrics.json").write_text(json.dumps(metrics | changed), encoding="utf-8")
    with pytest.raises(InputError, match="is damaged"):
        report_page({"x": copy}, tmp_path / "page.html", maps=False)
    metrics["per_class"].pop()
    (copy / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    with pytest.raises(InputError, match="is damaged"):
        report_page({"x": copy}, tmp_path / "page.html", maps=False)


def test_only_pages_of_ours_are_replaced(evaluated, tmp_path):
    path = tmp_path / "r.html"
    path.write_text("<p>mine</p>")
    with pytest.raises(OutputError, match="exists"):
        report_page({"a": evaluated[1]}, path)
    with pytest.raises(OutputError, match="no page that vitscope made"):
        report_page({"a": evaluated[1]}, path, overwrite=True)
    assert path.read_text() == "<p>mine</p>"
    with pytest.raises(UsageError, match="at least one run"):
        report_page({}, path)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no run, no evaluation"):
        report_page({"a": tmp_path}, tmp_path / "r.html")
    folder = write(digits()[1], tmp_path / "e")
    (folder / "metrics.json").write_text("[")
    with pytest.raises(InputError, match="is damaged"):
        report_page({"a": folder}, tmp_path / "r.html")
    write_json(folder / "metrics.json", {"n": 3})
    with pytest.raises(InputError, match="not of the predictions beside it"):
        report_page({"a": folder}, tmp_path / "r.html")
