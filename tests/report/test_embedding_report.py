"""The embedding folder, its figure and its page, and `vitscope embed`."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from tests.browser import chromium
from tests.hostile_names import HOSTILE_NAMES
from vitscope.capture.blocks import find_layers
from vitscope.cli.main import app
from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import UsageError
from vitscope.figures.embedding import draw_embedding
from vitscope.figures.style import current_style, paper_style
from vitscope.inference.classifier import load
from vitscope.inference.layer_features import layer_features
from vitscope.records.embedding import Embedding, LayerReadout
from vitscope.report.embedding_page import embedding_page
from vitscope.report.layer_tokens import default_token, name_layer, token_taker


def made(count, classes):
    draw = np.random.default_rng(0)
    labels = np.arange(count) % len(classes)
    places = draw.normal(size=(len(classes), 2)) * 2
    predicted = np.where(np.arange(count) % 4 == 0, (labels + 1) % len(classes), labels)
    names = tuple(f"{index}.png" for index in range(count))
    points = places[labels] + 0.3 * draw.normal(size=(count, 2))
    about = {
        "seed": 0,
        "trustworthiness": 0.9,
        "trustworthiness_neighbors": 12,
        "trustworthiness_images": count,
    }
    return Embedding(
        points, labels, predicted, np.full(count, 0.5), tuple(classes), names, "pca", about=about
    )


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_names_stand_within_the_panel_and_apart(classes):
    record = made(10 * classes, [f"class number {index}" for index in range(classes)])
    figure = draw_embedding(record)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    panel = ax.get_window_extent()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == classes if classes <= 10 else 10 < len(boxes) <= 40
    for place, box in enumerate(boxes):
        assert panel.x0 - 1 <= box.x0 < box.x1 <= panel.x1 + 1
        assert panel.y0 - 1 <= box.y0 < box.y1 <= panel.y1 + 1
        assert not any(
            box.x0 < other.x1 and other.x0 < box.x1 and box.y0 + 2 < other.y1 and other.y0 + 2 < box.y1
            for other in boxes[place + 1 :]
        )
    assert "trustworthiness 0.900 (k = 12)" in figure.texts[-1].get_text()


@pytest.mark.parametrize("color", ["class", "correct", "confidence"])
@pytest.mark.parametrize("venue", ["icml", "slides"])
def test_nothing_is_cut_at_any_venue(venue, color):
    with paper_style(venue):
        figure = draw_embedding(made(50, [f"class {index}" for index in range(5)]), color=color)
        figure.draw_without_rendering()
        assert figure.get_figwidth() == pytest.approx(current_style().width)
        page = figure.bbox
        for text in (*figure.texts, *(each for ax in figure.axes for each in (*ax.texts, ax.title))):
            box = text.get_window_extent()
            assert page.x0 - 1 <= box.x0 <= box.x1 <= page.x1 + 1
            assert page.y0 - 1 <= box.y0 <= box.y1 <= page.y1 + 1
        panel = figure.axes[0].get_window_extent()
        assert all(text.get_window_extent().y1 <= panel.y0 + 1 for text in figure.texts)


def test_names_go_out_of_the_way_of_few_images():
    """A marker that is no image lies on a plate, and no plate hides more than a stray image."""
    labels = np.repeat(np.arange(4), 20)
    places = np.array([[0, 0], [10, 0], [0, 10], [10, 10.0]])[labels]
    points = places + 0.2 * np.random.default_rng(0).normal(size=(80, 2))
    names = tuple(f"a class called {index}" for index in range(4))
    record = Embedding(
        points, labels, labels, np.full(80, 0.5), names, tuple(map(str, range(80))), "pca", about={"seed": 0}
    )
    figure = draw_embedding(record)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    shown = ax.transData.transform(points)
    plates = [patch.get_window_extent() for patch in ax.patches]
    assert len(plates) == 4
    assert all(sum(box.contains(*place) for place in shown) <= 2 for box in plates)
    marks = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert len(marks) == 4
    for mark, box in zip(marks, plates, strict=True):
        assert box.contains(*ax.transAxes.transform(mark.get_xydata()[0]))


def test_features_are_what_the_layer_puts_out(tiny_run, tmp_path):
    """The class token and the patches' mean of the last block, by a hook of the test's own."""
    model = load(tiny_run / "best.pth")
    images = load_split(DataSpec(source="digits"), "test").take(range(70))
    name = name_layer(model, find_layers(model).names, "-1")
    assert default_token(model, name) == "class"
    seen = []
    hook = model.get_submodule(name).register_forward_hook(lambda *found: seen.append(found[2]))
    with torch.inference_mode():
        parts = images.batches(model.preprocessing, 9)
        logits = torch.cat([model(model.preprocessing.normalize(part)) for part in parts])
    hook.remove()
    whole = torch.cat(seen)
    for token, expected in (("class", whole[:, 0]), ("mean", whole[:, 1:].mean(dim=1))):
        (tmp_path / token).mkdir()
        takers = {name: token_taker(model, name, token)}
        told, features = layer_features(model, images, takers, tmp_path / token)
        np.testing.assert_allclose(features[name], expected.numpy(), atol=1e-5)
        np.testing.assert_allclose(told, logits.numpy(), atol=1e-5)
    with pytest.raises(UsageError, match="no layer 'head2'"):
        name_layer(model, find_layers(model).names, "head2")


def test_the_command_writes_what_it_tells(tiny_run, tmp_path):
    out = tmp_path / "embedding"
    words = [
        "embed",
        tiny_run / "best.pth",
        "--method",
        "pca",
        "--limit",
        "60",
        "--readout",
        "--json",
        "--out",
        out,
    ]
    answer = CliRunner().invoke(app, [str(word) for word in words])
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    record = Embedding.load(out / "records" / "embedding.npz")
    assert found["embeddings"][0]["images"] == len(record) == 60
    assert record.about["trustworthiness"] == found["embeddings"][0]["trustworthiness"]
    read = LayerReadout.load(out / "records" / "readout.npz")
    assert found["readout"]["probe"] == read.accuracy("probe").tolist()
    assert (out / "figures" / "embedding.pdf").exists()
    assert (out / "figures" / "readout.tex").exists()
    wrong = CliRunner().invoke(app, ["embed", str(tiny_run / "best.pth"), "--layer", "99", "--method", "pca"])
    assert wrong.exit_code == 2
    assert "no layer '99'" in wrong.output


@pytest.mark.slow
def test_the_page_shows_hostile_names_as_text_and_asks_for_nothing(tmp_path):
    pytest.importorskip("plotly")
    record = made(75, HOSTILE_NAMES)
    colours = [Image.new("RGB", (8, 8), (3 * row, 0, 255 - 3 * row)) for row in range(75)]
    path = tmp_path / "embedding.html"
    path.write_text(embedding_page([record], colours.__getitem__), encoding="utf-8")
    with chromium() as page:
        page.open(path)
        page.until("document.body.dataset.ready === 'yes'", 40)
        page.hover(".points path")
        row = int(page.until("document.getElementById('thumb').dataset.row"))
        red, _, blue = page.evaluate(
            "[...thumb.getContext('2d').getImageData(16, 16, 1, 1).data].slice(0, 3)"
        )
        assert abs(red - 3 * row) < 16
        assert abs(blue - 255 + 3 * row) < 16
        assert f"{row}.png" in page.evaluate("document.getElementById('about').textContent")
        options = page.evaluate(
            "[...document.querySelectorAll('#class option')].map((each) => each.textContent)"
        )
        assert options[1] == HOSTILE_NAMES[0]
        assert len(options) == 26
        for outcome, count in (("wrong 0", 19), ("right 0", 56), ("", 75)):
            page.evaluate(f"outcome.value = '{outcome}'; outcome.dispatchEvent(new Event('change'))")
            page.until(f"document.querySelectorAll('.points path').length === {count}")
        assert (page.errors, page.requests, page.dialogs) == ([], [], [])
