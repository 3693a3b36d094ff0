"""What a page shows of the folders beside a run: the training, kept maps, the embedding's own page."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from tests.report.pages import DIGEST, Parsed, digits, write
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.samples import confident_errors
from vitscope.errors import EnvironmentFault, InputError
from vitscope.figures.attention import draw_attention_maps
from vitscope.figures.kept import keep_drawing
from vitscope.paths import write_json
from vitscope.records.heatmap import Heatmap
from vitscope.report.page import report_page
from vitscope.report.page_training import duration

_HISTORY = (
    "epoch,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy,seconds\n"
    "1,0.0005,2.5,0.25,2.25,,61.2\n2,0.001,1.5,0.5,1.25,0.75,59\n"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training run with an evaluation, maps of its surest error, and an embedding's page."""
    images, predictions = digits()
    folder = tmp_path_factory.mktemp("beside") / "vit run"
    write(predictions, folder / "evaluation-test")
    settings = {"preset": "vit-micro", "optimizer": {"name": "adamw", "lr": 5e-4}, "seed": 0, "ema": 0.0}
    result = {"digest": DIGEST, "best_epoch": 2, "epochs": 2, "seconds": 3682.8, "validation_accuracy": 0.75}
    write_json(folder / "manifest.json", {"format": "vitscope.run", "result": result, "settings": settings})
    (folder / "metrics.csv").write_text(_HISTORY)
    rows = outcomes(predictions)
    (row,) = confident_errors(rows, count=1).tolist()
    name, said = predictions.names[row], predictions.classes[int(rows.predicted[row])]
    values = np.zeros((1, 6, 6), dtype=np.float32)
    values[0, 4:, :2] = 1
    heatmap = Heatmap(values, "relevance", targets=np.array([rows.predicted[row]]), names=(name,))
    (folder / "explained").mkdir()
    heatmap.save(folder / "explained" / "heatmaps.npz")
    picture = np.asarray(images.image(row))
    draw = partial(draw_attention_maps, heatmap, picture, box=(0, 0, 8, 8), prediction=(said, 1.0))
    keep_drawing(folder / "explained" / "drawings" / "digit.npz", draw, {})
    about = {"name": name, "predicted": said, "confidence": float(rows.confidence[row])}
    about |= {"explained": [said], "figure": "digit.png"}
    manifest = {"format": "vitscope.explanation", "heatmaps": {"relevance": "heatmaps.npz"}}
    manifest |= {"images": [about], "provenance": {"checkpoint_digest": DIGEST}}
    write_json(folder / "explained" / "manifest.json", manifest)
    (folder / "points").mkdir()
    (folder / "points" / "embedding.html").write_text("<p>points</p>")
    maker = {"format": "vitscope.embedding", "provenance": {"checkpoint_digest": DIGEST}}
    write_json(folder / "points" / "manifest.json", maker)
    return folder, name, said


@pytest.fixture(scope="module")
def page(run):
    path = run[0].parent / "report.html"
    report_page({"vit": run[0]}, path, maps=False)
    return Parsed(path)


def test_the_training_is_told(page):
    assert "2 epochs in 1 h 1 min." in page.text
    assert "The weights of epoch 2 were kept, with a validation accuracy of 75.0 %." in page.text
    assert "Loss over 2 epochs: training from 2.50 to 1.50; validation from 2.25 to 1.25." in page.text
    assert "adamw, lr 0.0005" in page.text
    assert "learning rate, 10⁻³" in page.text
    assert "1 min 1 s" in page.text  # the first epoch's time, in the table


def test_kept_maps_lie_over_the_error_of_that_name(run, page):
    _, name, said = run
    seen = [about["alt"] for tag, about in page.tags if tag == "img" and "Relevance" in about["alt"]]
    assert seen == [f"Relevance for {said} over {name}: strongest at the lower left"]
    assert "Relevance, from explained" in page.text
    assert "Over 1 of them lie maps" in page.text


def test_the_embedding_page_is_linked_from_where_the_page_lies(page):
    links = [link for link in page.attributes("href") if not link.startswith("#")]
    assert links == ["./vit%20run/points/embedding.html"]


def test_maps_of_another_answer_are_not_shown(run, tmp_path):
    folder = run[0]
    path = folder / "explained" / "manifest.json"
    before = path.read_text()
    manifest = json.loads(before)
    manifest["images"][0]["confidence"] -= 0.02
    try:
        path.write_text(json.dumps(manifest))
        report_page({"vit": folder}, tmp_path / "r.html", maps=False)
    finally:
        path.write_text(before)
    assert "from explained" not in Parsed(tmp_path / "r.html").text


@pytest.mark.parametrize("file", ["metrics.csv", "explained/heatmaps.npz", "points/embedding.json"])
def test_a_damaged_file_is_one_line(run, tmp_path, file):
    path = run[0] / file
    before = path.read_bytes() if path.is_file() else None
    try:
        path.write_bytes(b"epoch,train_loss\nx,1\n")
        with pytest.raises(InputError, match="is damaged"):
            report_page({"vit": run[0]}, tmp_path / "r.html", maps=False)
    finally:
        path.unlink() if before is None else path.write_bytes(before)
    assert not (tmp_path / "r.html").exists()


def test_a_page_below_a_file_is_refused_at_once(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="file is no folder"):
        report_page({"vit": run[0]}, tmp_path / "file" / "r.html")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min"), (61.2, "1 min 1 s"), (3600, "1 h"), (90061, "1 d 1 h")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text
