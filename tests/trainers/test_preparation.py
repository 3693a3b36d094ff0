"""What a run starts from: the images, their limit, flips, sizes and statistics."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.trainers.runs import Journal, pictures, small
from vitscope.data.sources import load_split
from vitscope.errors import DataError, UsageError
from vitscope.inference.classifier import load
from vitscope.inference.prediction import predict
from vitscope.trainers.preparation import prepare
from vitscope.trainers.training import train


@pytest.mark.parametrize("limit", [20, 50, 101, 500])
def test_a_limit_is_stratified_and_counts_both_parts(limit):
    prepared = prepare(small(data={"limit": limit}))
    assert len(prepared.train) + len(prepared.validation) == limit
    spec = prepared.spec
    for name, part in (("train", prepared.train), ("validation", prepared.validation)):
        every, counts = Counter(load_split(spec, name).labels.tolist()), Counter(part.labels.tolist())
        shares = {label: count * len(part) / every.total() for label, count in every.items()}
        assert all(abs(counts[label] - share) < 1 for label, share in shares.items())
    assert not set(prepared.train.names) & set(prepared.validation.names)


def test_digits_are_never_flipped(tmp_path):
    assert not prepare(small()).augmentation.flip
    with pytest.raises(UsageError, match="digits are never flipped"):
        train(small(augment={"flip": True}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("mode", "flip", "padding"), [("RGB", True, 2), ("L", False, 0)])
def test_photographs_are_flipped_and_cut_and_grey_pictures_are_not(tmp_path, mode, flip, padding):
    source = pictures(tmp_path / "data", [(16, 16)], mode=mode)
    chosen = prepare(small(data={"source": source, "limit": None}, augment={"rotation": 0})).augmentation
    assert (chosen.flip, chosen.crop_padding) == (flip, padding)


def test_padding_as_large_as_the_image():
    with pytest.raises(UsageError, match="crop_padding"):
        prepare(small(augment={"crop_padding": 8}))


def test_too_few_images(tmp_path):
    source = pictures(tmp_path / "data", [(8, 8)], classes=("a", "b"), each=2)
    with pytest.raises(DataError):
        prepare(small(data={"source": source}))


FOLDERS = {
    "mixed": {"sizes": [(20, 31), (9, 9), (64, 40), (100, 7)]},
    "grey": {"sizes": [(28, 28)], "mode": "L"},
    "large": {"sizes": [(80, 80)]},
}


@pytest.mark.parametrize("model", ["vit-micro", "hybrid", pytest.param("resnet18", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", FOLDERS)
def test_image_folders(tmp_path, model, kind):
    source = pictures(tmp_path / "data", **FOLDERS[kind])
    size = 72 if kind == "large" else None
    shape = {} if model == "resnet18" else {"width": 12, "depth": 1, "heads": 2}
    none = dict.fromkeys(("width", "depth", "heads", "dropout", "drop_path"))
    settings = small(
        model=none | shape | {"name": model},
        data={"source": source, "limit": None, "image_size": size},
        epochs=1,
        batch_size=4,
    )
    result = train(settings, out=tmp_path / "run", device="cpu")
    best = load(result.folder / "best.pth")
    assert best.preprocessing.size == {"mixed": (64, 64), "grey": (28, 28), "large": (72, 72)}[kind]
    assert best.preprocessing.channels == (1 if kind == "grey" else 3)
    assert best.classes == ("cat", "dog")
    assert len(predict(best, load_split(best.data, "test"))) == 4


def test_statistics_are_those_of_the_training_pixels():
    prepared = prepare(small())
    values = prepared.train.array / 255.0
    assert prepared.preprocessing.mean == pytest.approx([values.mean()], abs=1e-4)
    assert prepared.preprocessing.std == pytest.approx([values.std()], abs=1e-4)


@pytest.mark.slow
def test_pictures_of_another_size_are_not_all_held_in_memory(monkeypatch, tmp_path):
    from vitscope.data.imageset import ImageSet

    largest, pixels = [], ImageSet.pixels

    def watched(self, preprocessing, indices=None):
        largest.append(len(self) if indices is None else len(indices))
        return pixels(self, preprocessing, indices)

    settings = small(data={"image_size": 72}, model={"patch_size": 12}, epochs=1)
    assert prepare(settings).train.array.shape[2:] == (8, 8)
    started = []
    monkeypatch.setattr(ImageSet, "pixels", watched)
    train(
        settings,
        out=tmp_path / "run",
        device="cpu",
        observer=Journal(1, lambda: started.append(len(largest))),
    )
    assert max(largest[started[0] :]) <= 16
