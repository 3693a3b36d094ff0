from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vitscope.analysis.openset import open_set
from vitscope.data.corruptions.corruptedset import corrupted
from vitscope.data.corruptions.kinds import CorruptionPlan
from vitscope.data.foreign import foreign_images
from vitscope.data.imageset import ImageSet
from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import DataError, UsageError
from vitscope.inference.classifier import load
from vitscope.inference.prediction import predict
from vitscope.report.robustness import (
    corruption_examples,
    corruption_predictions,
    measure_corruptions,
    predict_unlabelled,
)


@pytest.fixture(scope="module")
def model(tiny_run):
    return load(tiny_run / "best.pth")


@pytest.fixture(scope="module")
def digits():
    return load_split(DataSpec("digits"), "test").take(range(120))


def test_each_copy_is_predicted_as_it_would_be_alone(model, digits):
    done = []
    pairs = dict(
        corruption_predictions(
            model,
            digits,
            plan=CorruptionPlan(
                (
                    "fog",
                    "contrast",
                ),
                (
                    1,
                    5,
                ),
                seed=3,
            ),
            progress=done.append,
        )
    )
    assert list(pairs) == [("fog", 1), ("fog", 5), ("contrast", 1), ("contrast", 5)]
    assert sum(done) == 4 * len(digits)
    for (kind, severity), predictions in pairs.items():
        alone = predict(model, corrupted(digits, kind, severity, seed=3))
        assert np.array_equal(predictions.logits, alone.logits)
        assert f"{kind} {severity}" in predictions.provenance.data


@pytest.mark.slow
def test_errors_are_measured_and_grow(model, digits):
    result = measure_corruptions(
        model,
        digits,
        plan=CorruptionPlan(
            (
                "contrast",
                "gaussian_noise",
            ),
            (
                1,
                5,
            ),
            seed=1,
        ),
    )
    clean = predict(model, digits)
    assert result.clean_error == pytest.approx(np.mean(clean.predicted != clean.labels))
    hard = predict(model, corrupted(digits, "contrast", 5, seed=1))
    row = result.kinds.index("contrast")
    assert result.error[row, 1] == pytest.approx(np.mean(hard.predicted != hard.labels))
    again = measure_corruptions(
        model,
        digits,
        clean=clean,
        plan=CorruptionPlan(
            (
                "contrast",
                "gaussian_noise",
            ),
            (
                1,
                5,
            ),
            seed=1,
        ),
        batch_size=17,
    )
    assert again.metrics() == result.metrics()


def test_files_give_what_an_array_gives(model, digits, tmp_path):
    paths = []
    for index in range(30):
        paths.append(tmp_path / f"{index}.png")
        digits.image(index).save(paths[-1])
    held = digits.take(range(30))
    files = ImageSet("files", "test", held.classes, held.labels, held.names, paths=tuple(paths))
    plan = CorruptionPlan(
        (
            "impulse_noise",
            "pixelate",
        ),
        (4,),
    )
    for (_, one), (_, other) in zip(
        corruption_predictions(model, files, plan=plan),
        corruption_predictions(model, held, plan=plan),
        strict=True,
    ):
        assert np.array_equal(one.logits, other.logits)


@pytest.mark.parametrize("side", [5, 8, 20])
def test_files_are_read_once_and_corrupted_as_ever(model, tmp_path, side):
    """Kept in memory or not, small or large: the same pixels."""
    paths = []
    for index in range(6):
        values = np.random.default_rng(index).integers(0, 256, (side, side), dtype=np.uint8)
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(values).save(paths[-1])
    names = tuple(path.name for path in paths)
    labels = np.zeros(6, dtype=np.int64)
    files = ImageSet("files", "test", model.classes, labels, names, paths=tuple(paths))
    ((_, made),) = corruption_predictions(model, files, plan=CorruptionPlan(("gaussian_noise",), (3,)))
    assert np.array_equal(made.logits, predict(model, corrupted(files, "gaussian_noise", 3)).logits)


def test_bad_kinds_are_refused_before_any_work(model, digits):
    with pytest.raises(UsageError, match="no corruption 'rain'"):
        CorruptionPlan(("fog", "rain"))
    with pytest.raises(UsageError, match="1 … 5, got 0"):
        CorruptionPlan(("fog",), (0,))
    with pytest.raises(UsageError, match="expected kinds and severities"):
        CorruptionPlan(())
    foreign = replace(digits, classes=tuple("abcdefghij"))
    with pytest.raises(DataError):
        next(corruption_predictions(model, foreign, plan=CorruptionPlan(("fog",))))


def test_examples_are_what_the_model_sees(model, digits):
    clean, examples = corruption_examples(
        digits,
        3,
        model.preprocessing,
        plan=CorruptionPlan(
            (
                "fog",
                "snow",
            ),
            (
                2,
                4,
            ),
        ),
    )
    assert np.array_equal(clean, digits.pixels(model.preprocessing, [3])[0, 0].numpy())
    assert list(examples) == ["fog", "snow"]
    expected = corrupted(digits, "snow", 4).pixels(model.preprocessing, [3])[0, 0].numpy()
    assert np.array_equal(examples["snow"][1], expected)


def test_foreign_images_are_answered_without_labels(model, digits, tmp_path):
    for index in range(5):
        values = np.random.default_rng(index).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / f"{index}.png")
    images = foreign_images(str(tmp_path))
    answers = predict_unlabelled(model, images, features=True)
    assert answers.logits.shape == (5, 10)
    assert answers.features is not None
    assert len(answers.features) == 5
    known = predict(model, digits, features=True)
    result = open_set(known, answers)
    assert (result.n_known, result.n_foreign) == (120, 5)
    labelled = predict_unlabelled(model, digits)
    assert np.array_equal(labelled.logits, known.logits)
    assert labelled.features is None
