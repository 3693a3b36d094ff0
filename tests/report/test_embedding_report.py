"""The embedding folder, its figure and its page, and `vitscope embed`."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial import procrustes
from timm.models.vision_transformer import VisionTransformer
from torchvision.models import SwinTransformer
from typer.testing import CliRunner

from tests.browser import chromium
from tests.hostile_names import HOSTILE_NAMES
from tests.oracles.embedded import made
from vitscope.capture.blocks import find_layers
from vitscope.cli.main import app
from vitscope.data.preprocessing import Preprocessing
from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import CaptureError, InputError, UsageError
from vitscope.figures.embedding import Groups, draw_embedding, draw_embeddings
from vitscope.figures.style import current_style, paper_style
from vitscope.inference.classifier import Classifier, load
from vitscope.inference.layer_features import layer_features
from vitscope.records.embedding import Embedding, LayerReadout
from vitscope.report.embedding_page import embedding_page
from vitscope.report.layer_tokens import default_token, name_layer, token_taker


def classifier(network, size):
    preprocessing = Preprocessing((size, size), 3, (0.5,) * 3, (0.5,) * 3)
    return Classifier(network.eval(), classes=("a", "b", "c"), preprocessing=preprocessing)


def test_registers_are_no_class_token():
    options = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2, "num_classes": 3}
    bare = classifier(
        VisionTransformer(**options, class_token=False, reg_tokens=4, global_pool="avg", fc_norm=False), 32
    )
    name = "network.blocks.0"
    assert default_token(bare, name) == "mean"
    with pytest.raises(CaptureError, match="no class token"):
        token_taker(bare, name, "class")
    output = torch.randn(2, 20, 24)
    assert torch.equal(token_taker(bare, name, "mean")(output), output[:, 4:].mean(dim=1))
    both = classifier(VisionTransformer(**options, reg_tokens=4), 32)
    assert default_token(both, name) == "class"
    assert torch.equal(token_taker(both, name, "class")(torch.ones(2, 21, 24)), torch.ones(2, 24))


def test_the_mean_is_over_places_wherever_channels_stand():
    """Torchvision's Swin puts channels last and says so nowhere; its first convolution has them first."""
    network = SwinTransformer([2, 2], 12, [1, 1], [1, 1], [2, 2], num_classes=3)
    model = classifier(network, 16)
    image = torch.randn(2, 3, 16, 16)
    for name, axes in (("network.features.1", (1, 2)), ("network.features.0.0", (2, 3))):
        seen = []
        module = model.get_submodule(name)
        hook = module.register_forward_hook(lambda *found, seen=seen: seen.append(found[2]))
        with torch.inference_mode():
            model(image)
        hook.remove()
        assert torch.equal(token_taker(model, name, "mean")(seen[0]), seen[0].mean(dim=axes))
        assert seen[0].mean(dim=axes).shape == (2, 12)


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


@pytest.mark.parametrize(
    ("venue", "count", "rows"), [("icml", 3, 2), ("neurips", 3, 1), ("slides", 4, 2), ("neurips", 4, 2)]
)
def test_panels_side_by_side_are_whole_and_apart(venue, count, rows):
    record = replace(made(50, [f"class {index}" for index in range(5)]), model="a model", layer="blocks.3")
    moved = [aligned(record, f"model {number}") for number in range(1, count)]
    with paper_style(venue):
        figure = draw_embeddings([record, *moved], color="correct")
        figure.draw_without_rendering()
        assert figure.get_figwidth() == pytest.approx(current_style().width)
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title() for ax in panels] == list("abcd"[:count])
    assert len({round(ax.get_position().y0, 6) for ax in panels}) == rows
    page = figure.bbox
    boxes = [text.get_window_extent() for text in figure.texts if text.get_text()]
    boxes += [ax.get_window_extent() for ax in panels]
    boxes += [title.get_window_extent() for ax in panels for title in (ax.title, ax._left_title)]
    for place, box in enumerate(boxes):
        assert page.x0 - 1 <= box.x0 <= box.x1 <= page.x1 + 1
        assert page.y0 - 1 <= box.y0 <= box.y1 <= page.y1 + 1
        assert not any(
            box.x0 + 1 < each.x1 and each.x0 + 1 < box.x1 and box.y0 + 1 < each.y1 and each.y0 + 1 < box.y1
            for each in boxes[place + 1 :]
        )
    said = [text.get_text() for text in figure.texts]
    assert "13 wrong" in said[0]
    assert sum("residual 0.125" in text for text in said) == count - 1
    assert "aligned to a by Procrustes" in " ".join(said)
    assert sum("trustworthiness 0.900" in text for text in said) == 1  # what all share stands once


def test_colours_are_of_the_same_class_in_every_panel():
    record = made(30, ["x", "y", "z"])
    figure = draw_embeddings([record, aligned(record, "other")])

    def colours(ax):
        told = [
            (tuple(np.round(place, 9)), tuple(colour))
            for drawn in ax.collections
            for place, colour in zip(drawn.get_offsets(), drawn.get_facecolors(), strict=True)
        ]
        return dict(told)

    first, second = (colours(ax) for ax in figure.axes)
    assert first == second
    assert len(first) == 30
    assert len(set(first.values())) == 3
    with pytest.raises(InputError, match="same images"):
        draw_embeddings([record, replace(record, names=record.names[::-1])])


def test_no_group_lies_over_all_others():
    """The images of all classes are drawn in turns; with superclasses, too."""
    record = made(4000, [f"class {index}" for index in range(10)])
    groups = Groups(("even", "odd"), np.arange(10) % 2)
    for color, count in (("class", 7), ("superclass", 2)):
        ax = draw_embedding(record, color=color, superclasses=groups).axes[0]
        circles = [each for each in ax.collections if len(each.get_paths()[0].vertices) > 8]
        assert len(circles) == 12
        assert all(len(np.unique(each.get_facecolors(), axis=0)) == count for each in circles)


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


@pytest.mark.slow
def test_the_command_writes_what_it_tells(tiny_run, tmp_path):
    out, other = tmp_path / "embedding", tmp_path / "other" / "best.pth"
    other.parent.mkdir()
    shutil.copy(tiny_run / "best.pth", other)
    words = ["embed", tiny_run / "best.pth", "--method", "pca", "--limit", "60", "--format", "png", "--json"]
    words += [
        "--layer",
        "0",
        "--layer",
        "-1",
        "--with",
        other,
        "--readout",
        "--color",
        "correct",
        "--out",
        out,
    ]
    answer = CliRunner().invoke(app, [str(word) for word in words])
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    records = [Embedding.load(out / "records" / f"embedding{end}.npz") for end in ("", "-2", "-3", "-4")]
    assert [(each.model, each.layer) for each in records] == [
        (model, layer) for model in ("run", "other") for layer in ("blocks.0", "blocks.1")
    ]
    assert [each["images"] for each in found["embeddings"]] == [60] * 4
    assert "procrustes_residual" not in records[0].about
    first = records[0].points
    for each, told in zip(records[1:], found["embeddings"][1:], strict=True):
        assert told["procrustes_residual"] == pytest.approx(procrustes(first, each.points)[2], abs=1e-9)
        left = ((each.points - first) ** 2).sum() / ((first - first.mean(axis=0)) ** 2).sum()
        assert told["procrustes_residual"] == pytest.approx(left, abs=1e-9)
    assert told["trustworthiness"] == each.about["trustworthiness"]
    assert found["embeddings"][2]["procrustes_residual"] == pytest.approx(0, abs=1e-9)
    read = LayerReadout.load(out / "records" / "readout.npz")
    assert found["readout"]["probe"] == read.accuracy("probe").tolist()
    assert (read.layers, read.token) == (("blocks.0", "blocks.1"), "class")
    with (out / "figures" / "embedding.csv").open() as stream:
        head, row, *_ = csv.reader(stream)
    assert head[2:8] == ["predicted", "confidence", "x1", "y1", "x2", "y2"]
    assert head[8:] == ["predicted3", "confidence3", "x3", "y3", "predicted4", "confidence4", "x4", "y4"]
    assert float(row[-1]) == pytest.approx(records[3].points[0, 1])
    assert sorted(path.name for path in out.iterdir() if not path.suffix) == ["figures", "records"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.pth", "--layer", "1", "--layer", "2", "--layer", "3", "--with", "x"), "got 2 x 3"),
        (("nothing.pth", "--layer", "-1", "--layer", "-1"), "'-1' is named twice"),
        (("RUN", "--layer", "99"), "no layer '99'"),
        (("RUN", "--layer", "1", "--layer", "-1"), "'1' and '-1'"),
        (("nothing.pth", "--color", "superclass"), "go together"),
    ],
)
def test_what_cannot_stand_side_by_side_is_refused_before_any_work(tiny_run, words, said):
    model, *rest = words
    model = str(tiny_run / "best.pth") if model == "RUN" else model
    answer = CliRunner().invoke(app, ["embed", model, "--method", "pca", *rest])
    assert answer.exit_code == 2
    assert said in answer.output
    assert not list(tiny_run.glob("embedding*"))


def data_of(page):
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


def aligned(record, model):
    about = {**record.about, "procrustes_residual": 0.125}
    order = np.argsort(record.classes)[::-1]  # of a model with its classes in another order
    places = np.argsort(order)
    names = tuple(record.classes[each] for each in order)
    return replace(
        record,
        labels=places[record.labels],
        predicted=places[record.labels],
        classes=names,
        model=model,
        about=about,
    )


def test_a_page_holds_a_sample_of_many_images_and_every_model_s_answers(monkeypatch):
    pytest.importorskip("plotly")
    monkeypatch.setattr("vitscope.report.embedding_page._MOST", 20)
    record = replace(made(75, ["a", "b", "<c>"]), model="one")
    colours = [Image.new("RGB", (8, 8), (3 * row, 0, 255 - 3 * row)) for row in range(75)]
    page = embedding_page([record, aligned(record, "two")], colours.__getitem__)
    data = data_of(page)
    rows = [record.names.index(name) for name in data["names"]]
    assert rows == sorted(set(rows))
    assert len(rows) == len(data["panels"][1]["x"]) == 20
    assert "shown are 20 of 75 images" in data["settings"]
    assert "residual 0.125" in data["panels"][1]["settings"]
    one, two = data["answers"]
    assert one["right"] == record.correct[rows].astype(int).tolist()
    assert two["right"] == [1] * 20
    assert [two["classes"][each] for each in two["predicted"]] == [
        data["classes"][each] for each in data["labels"]
    ]
    picture = Image.open(io.BytesIO(base64.b64decode(data["sprite"].partition(",")[2])))
    side, columns = data["side"], data["columns"]
    at = (7 % columns * side + side // 2, 7 // columns * side + side // 2)
    assert abs(picture.convert("RGB").getpixel(at)[0] - 3 * rows[7]) < 16
    x, y = (np.array(data["panels"][0][axis]) for axis in "xy")
    place = record.points[rows] - record.points.min(axis=0)
    assert np.abs(np.stack([x, y], axis=1) * np.ptp(record.points, axis=0).max() - place).max() < 1e-4
    monkeypatch.setattr("vitscope.report.embedding_page._ROOM", 0)
    assert data_of(embedding_page([record], colours.__getitem__))["side"] == 16


def walk_by_keys(page, record):
    """Every arrow leads to the nearest image within 45 degrees of it, also out of the view that is left."""
    page.evaluate("document.querySelector('.plot').focus()")
    page.press("Home")
    page.until("thumb.dataset.row === '0'")
    page.press("End", "PageUp")
    page.until("thumb.dataset.row === '73'")
    here, (x, y) = 73, record.points.T
    ways = {"ArrowLeft": (-1, 0), "ArrowUp": (0, 1), "ArrowRight": (1, 0), "ArrowDown": (0, -1)}
    for key in list(ways) * 3:
        far = [
            (np.hypot(x[other] - x[here], y[other] - y[here]), other)
            for other in range(len(x))
            for ahead in [np.dot(ways[key], (x[other] - x[here], y[other] - y[here]))]
            if ahead > 0 and ahead >= np.hypot(x[other] - x[here], y[other] - y[here]) * np.sqrt(0.5)
        ]
        here = min(far)[1] if far else here
        page.press(key)
        page.until(f"thumb.dataset.row === '{here}'")
    page.evaluate("Plotly.relayout(document.querySelector('.plot'), {'xaxis.range': [5, 6]}).then(() => 0)")
    page.press("Home")
    page.until("thumb.dataset.row === '0' && document.querySelectorAll('.ring:not([hidden])').length === 2")
    low, high = page.evaluate("document.querySelector('.plot')._fullLayout.xaxis.range")
    assert low < page.evaluate("JSON.parse(data.textContent).panels[0].x[0]") < high


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
        beside = replace(record, model="one"), aligned(record, "two")
        path.write_text(embedding_page(beside, colours.__getitem__, color="correct"), encoding="utf-8")
        page.open(path, width=390, dark=True)
        page.until("document.body.dataset.ready === 'yes'", 40)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.evaluate("document.querySelectorAll('.ring:not([hidden])').length") == 0
        page.hover("figure:last-child .points path")
        page.until("document.querySelectorAll('.ring:not([hidden])').length === 2")
        assert "two predicted" in page.evaluate("document.getElementById('about').textContent")
        walk_by_keys(page, beside[0])
        page.evaluate("outcome.value = 'wrong 1'; outcome.dispatchEvent(new Event('change'))")
        page.until("count.textContent === '0 of 75 images'")
        page.evaluate("outcome.value = 'wrong 0'; outcome.dispatchEvent(new Event('change'))")
        page.until("document.querySelectorAll('.points path').length === 2 * 19")
        page.evaluate("color.value = 'confidence'; color.dispatchEvent(new Event('change'))")
        page.until("document.getElementById('key').className === 'ramp'")
        assert (page.errors, page.requests, page.dialogs) == ([], [], [])
