"""Mistakes: the right images of the right pair, the very model, the very data."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.smallnets import timm_net
from vitscope.analysis.mistakes import choose_mistakes
from vitscope.data.imageset import ImageSet
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import InputError, UsageError
from vitscope.explain.methods import explain
from vitscope.inference.classifier import Classifier
from vitscope.inference.prediction import predict
from vitscope.records.heatmap import Heatmap
from vitscope.records.predictions import Predictions
from vitscope.records.provenance import Provenance
from vitscope.report.mistakes import report_mistakes

CLASSES = ("cat", "a_$dog%", "bird", "x" * 100, "fish")
HALF = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(1)
    array = rng.integers(0, 256, (24, 3, 32, 32), dtype=np.uint8)
    names = tuple(str(index) for index in range(24))
    return ImageSet("planted", "test", CLASSES, np.arange(24) % 5, names, array=array)


@pytest.fixture(scope="module")
def model():
    preprocessing = Preprocessing(size=(32, 32), channels=3, mean=HALF, std=HALF)
    made = Classifier(timm_net("vit"), classes=CLASSES, preprocessing=preprocessing).eval()
    made.digest, made.source = "d" * 64, "best.pth"
    return made


@pytest.fixture(scope="module")
def predictions(model, images):
    """An untrained model's: it takes most images for a class or two."""
    return predict(model, images)


def hot(labels, predicted):
    return Predictions(
        logits=np.eye(4)[predicted] * 3.0,
        labels=np.asarray(labels),
        classes=("a", "b", "c", "d"),
        names=tuple(map(str, range(len(labels)))),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40), st.integers(1, 9))
def test_the_most_confused_pair_by_counting(cases, limit):
    labels, predicted = (list(column) for column in zip(*cases, strict=True))
    counts = {}
    for true, said in cases:
        if true != said:
            counts[true, said] = counts.get((true, said), 0) + 1
    if not counts:
        with pytest.raises(InputError, match="no image is taken"):
            choose_mistakes(hot(labels, predicted), limit=limit)
        return
    found = choose_mistakes(hot(labels, predicted), limit=limit)
    first, second = found.pair
    assert counts[first, second] == max(counts.values())
    assert found.counts == (counts[first, second], counts.get((second, first), 0))
    assert len(found.rows) == min(limit, sum(found.counts))
    assert len(set(found.rows.tolist())) == len(found.rows)
    directions = [(labels[row], predicted[row]) for row in found.rows]
    assert directions == sorted(directions, key=lambda each: each != (first, second))
    assert set(directions) <= {(first, second), (second, first)}
    shown = [directions.count(each) for each in ((first, second), (second, first))]
    # Both directions alike, as far as there are images.
    for here, there in ((0, 1), (1, 0)):
        assert shown[here] >= min(found.counts[here], shown[there] - 1)


def test_a_given_pair_begins_with_the_more_frequent_direction():
    predictions = hot([0, 0, 1, 2, 1], [1, 1, 0, 0, 1])
    assert choose_mistakes(predictions, pair=(1, 0)).pair == (0, 1)
    assert choose_mistakes(predictions, pair=(0, 2)).counts == (1, 0)
    with pytest.raises(InputError, match="'b' is taken for 'd'"):
        choose_mistakes(predictions, pair=(1, 3))
    with pytest.raises(UsageError, match="twice"):
        choose_mistakes(predictions, pair=(1, 1))
    with pytest.raises(UsageError, match="limit"):
        choose_mistakes(predictions, limit=0)


@pytest.mark.slow
def test_the_folder_has_both_maps_of_each_image(model, images, predictions, tmp_path):
    mistakes = choose_mistakes(predictions, limit=3)
    report = report_mistakes(model, mistakes, images, tmp_path / "out", method="relevance", difference=True)
    found = Heatmap.load(tmp_path / "out" / "heatmaps.npz")
    assert found.targets.tolist() == list(mistakes.pair) * len(mistakes.rows)
    logits = np.asarray(predictions.logits, dtype=np.float64)
    for place, (row, about) in enumerate(zip(mistakes.rows.tolist(), report.rows, strict=True)):
        given = torch.from_numpy(images.array[row : row + 1]).float() / 127.5 - 1
        for side, target in enumerate(mistakes.pair):
            alone = explain(model, given, method="relevance", targets=torch.tensor([target])).values[0]
            np.testing.assert_allclose(found.values[2 * place + side], alone, atol=1e-6)
        shares = np.exp(logits[row]) / np.exp(logits[row]).sum()
        assert about["true"] == CLASSES[images.labels[row]]
        assert about["predicted"] == CLASSES[int(shares.argmax())] != about["true"]
        assert about["confidence"] == pytest.approx(shares.max())
        assert about["true_confidence"] == pytest.approx(shares[images.labels[row]])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["pair"] == [CLASSES[index] for index in mistakes.pair]
    assert manifest["counts"] == list(mistakes.counts)
    assert (tmp_path / "out" / report.rows[0]["figure"]).exists()


@pytest.mark.slow
def test_images_are_found_in_a_larger_set(model, images, predictions, tmp_path):
    part = images.take(range(3, 20))
    mistakes = choose_mistakes(predict(model, part), limit=1)
    report = report_mistakes(model, mistakes, images, tmp_path / "out", method="relevance")
    assert report.rows[0]["name"] == part.names[mistakes.rows[0]]


def refused(model, predictions, images, tmp_path, **about):
    with pytest.raises(InputError) as refusal:
        report_mistakes(
            model,
            choose_mistakes(predictions, limit=2),
            images,
            tmp_path / "out",
            method="relevance",
            **about,
        )
    assert not list(tmp_path.iterdir())
    return str(refusal.value)


def test_another_model_or_other_images(model, images, predictions, tmp_path):
    other = replace(predictions, provenance=replace(predictions.provenance, checkpoint_digest="e" * 64))
    assert "did not make these predictions" in refused(model, other, images, tmp_path)
    renamed = replace(predictions, classes=("a", "b", "c", "d", "e"))
    assert "other classes" in refused(model, renamed, images, tmp_path)
    assert "has no image" in refused(model, predictions, images.take(range(3)), tmp_path)
    labels = np.roll(images.labels, 1)
    assert "digest differs" in refused(model, predictions, replace(images, labels=labels), tmp_path)


@pytest.mark.slow
def test_predictions_without_a_digest_must_agree_with_the_model(model, images, predictions, tmp_path):
    bare = replace(predictions, provenance=Provenance())
    mistakes = choose_mistakes(bare, limit=2)
    assert report_mistakes(model, mistakes, images, tmp_path / "out", method="relevance").notes == ()
    turned = replace(bare, logits=np.roll(np.asarray(bare.logits), 1, axis=1))
    assert "predicted otherwise" in refused(model, turned, images, tmp_path / "none")


def test_a_method_without_a_class(model, images, predictions, tmp_path):
    with pytest.raises(UsageError, match="rollout explains no class"):
        report_mistakes(model, choose_mistakes(predictions), images, tmp_path / "out", method="rollout")
