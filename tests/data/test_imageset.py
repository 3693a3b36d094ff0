from __future__ import annotations

import hashlib
import json
import os
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from vitscope.data import imageset as module
from vitscope.data.imageset import ImageSet
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import DataError, ImageError

TINY = Preprocessing((8, 8), 3, (0.5,) * 3, (0.5,) * 3)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def in_memory(count=10, channels=3, side=8):
    labels = np.arange(count, dtype=np.int64) % 2
    names = tuple(f"{index}" for index in range(count))
    return ImageSet("made", "test", ("cat", "dog"), labels, names, array=noise(count, channels, side, side))


def on_disk(folder, sizes, *, grey=(), seed=0):
    paths = []
    for index, (rows, columns) in enumerate(sizes):
        values = (
            noise(rows, columns, seed=seed + index)
            if index in grey
            else noise(rows, columns, 3, seed=seed + index)
        )
        paths.append(folder / f"{index}.png")
        Image.fromarray(values).save(paths[-1])
    labels = np.arange(len(paths), dtype=np.int64) % 2
    names = tuple(path.name for path in paths)
    return ImageSet("made", "test", ("cat", "dog"), labels, names, paths=tuple(paths))


def one_by_one(images, preprocessing):
    return np.stack([preprocessing.pixels(images.image(index)) for index in range(len(images))])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_in_memory_is_given_as_it_is(channels):
    images = in_memory(channels=channels)
    picture = images.image(3)
    assert picture.mode == ("L" if channels == 1 else "RGB")
    expected = images.array[3, 0] if channels == 1 else images.array[3].transpose(1, 2, 0)
    assert np.array_equal(np.asarray(picture), expected)


@pytest.mark.parametrize("stored", [1, 3])
@pytest.mark.parametrize("wanted", [1, 3])
@pytest.mark.parametrize("side", [8, 5, 12])
def test_pixels_in_memory_are_those_of_each_picture(stored, wanted, side):
    images = in_memory(channels=stored)
    preprocessing = Preprocessing((side, side), wanted, (0.5,) * wanted, (0.5,) * wanted)
    pixels = images.pixels(preprocessing)
    assert pixels.dtype == torch.uint8
    assert np.array_equal(pixels.numpy(), one_by_one(images, preprocessing))
    assert np.array_equal(images.pixels(preprocessing, [4, 1]).numpy(), pixels.numpy()[[4, 1]])


def test_pixels_of_files_are_those_of_each_picture(tmp_path):
    images = on_disk(tmp_path, [(8, 8), (9, 20), (30, 4)] * 15, grey=(2, 5))
    expected = one_by_one(images, TINY)
    assert np.array_equal(images.pixels(TINY).numpy(), expected)
    assert np.array_equal(images.pixels(TINY, np.array([40, 0, 0])).numpy(), expected[[40, 0, 0]])


def test_changing_the_pixels_leaves_the_set_alone():
    images = in_memory()
    before = images.array.copy()
    images.pixels(TINY).zero_()
    next(images.batches(TINY, 4)).zero_()
    assert np.array_equal(images.array, before)


def test_no_pixels_are_an_empty_tensor(tmp_path):
    for images in (in_memory(), on_disk(tmp_path, [(8, 8)])):
        assert images.pixels(TINY, []).shape == (0, 3, 8, 8)
        assert list(images.take([]).batches(TINY, 3)) == []


@pytest.mark.parametrize("batch_size", [1, 4, 10, 99])
def test_batches_are_the_pixels_in_order(batch_size, tmp_path):
    for images in (in_memory(), on_disk(tmp_path, [(8, 8), (20, 11)] * 5)):
        batches = list(images.batches(TINY, batch_size))
        assert {len(batch) for batch in batches[:-1]} <= {batch_size}
        assert torch.equal(torch.cat(batches), images.pixels(TINY))


def test_the_next_batch_is_decoded_while_this_one_is_used(tmp_path, monkeypatch):
    images = on_disk(tmp_path, [(8, 8)] * 6)
    seen, read = threading.Event(), Preprocessing.pixels

    def watched(self, image):
        if np.array_equal(np.asarray(image), np.asarray(images.image(2))):
            seen.set()
        return read(self, image)

    monkeypatch.setattr(Preprocessing, "pixels", watched)
    batches = images.batches(TINY, 2)
    next(batches)
    assert seen.wait(timeout=10), "the second batch waits to be asked for"
    batches.close()


def test_leaving_batches_early_leaves_no_thread_behind(tmp_path):
    images = on_disk(tmp_path, [(8, 8)] * 40)
    before = threading.active_count()
    for _ in images.batches(TINY, 4):
        break
    assert threading.active_count() == before


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(DataError, match="at least 1, got 0"):
        list(in_memory().batches(TINY, 0))


def test_the_first_bad_file_is_named(tmp_path):
    images = on_disk(tmp_path, [(8, 8)] * 80)
    for bad in (70, 33):
        images.paths[bad].write_text("not a picture")
    for ask in (
        images.pixels,
        images.in_memory,
        lambda preprocessing: list(images.batches(preprocessing, 16)),
    ):
        with pytest.raises(ImageError, match=r"33\.png: it looks like text"):
            ask(TINY)


def test_batches_before_the_bad_one_are_given(tmp_path):
    images = on_disk(tmp_path, [(8, 8)] * 6)
    images.paths[5].write_bytes(b"")
    batches = images.batches(TINY, 2)
    assert [len(next(batches)), len(next(batches))] == [2, 2]
    with pytest.raises(ImageError, match=r"5\.png"):
        next(batches)


def test_small_inputs_are_kept_in_memory(tmp_path):
    images = on_disk(tmp_path, [(8, 8), (30, 9)] * 20)
    calls = []
    kept = images.in_memory(TINY, progress=lambda done, total: calls.append((done, total)))
    assert kept.paths is None
    assert np.array_equal(kept.array, images.pixels(TINY).numpy())
    assert (kept.names, kept.digest) == (images.names, images.digest)
    assert calls[-1] == (40, 40)
    assert calls == sorted(calls)
    assert kept.in_memory(TINY) is kept


def test_large_inputs_stay_on_disk(tmp_path, monkeypatch):
    images = on_disk(tmp_path, [(8, 8)] * 3)
    assert images.in_memory(Preprocessing((65, 64), 3, (0.5,) * 3, (0.5,) * 3)) is images
    assert images.in_memory(Preprocessing((64, 64), 3, (0.5,) * 3, (0.5,) * 3)) is not images
    monkeypatch.setattr(module, "_MEMORY", 3 * 3 * 8 * 8 - 1)
    assert images.in_memory(TINY) is images


def test_taking_keeps_images_labels_and_names_together(tmp_path):
    for images in (in_memory(), on_disk(tmp_path, [(8, 8)] * 10)):
        chosen = images.take([7, 2, 2])
        assert chosen.names == tuple(images.names[index] for index in (7, 2, 2))
        assert chosen.labels.tolist() == images.labels[[7, 2, 2]].tolist()
        assert chosen.image(1).tobytes() == images.image(2).tobytes()
        assert (chosen.name, chosen.split, chosen.classes) == ("made", "test", ("cat", "dog"))


def test_the_digest_is_the_one_written_down():
    images = in_memory(2)
    text = '[["cat","dog"],["0","1"],[0,1]]'
    assert images.digest == hashlib.sha256(text.encode()).hexdigest()


def test_the_digest_knows_names_labels_and_classes_but_not_where_the_images_lie(tmp_path):
    images = in_memory(4)
    fields = {
        "name": "made",
        "split": "test",
        "classes": images.classes,
        "labels": images.labels,
        "names": images.names,
    }
    same = ImageSet(**fields | {"name": "other", "split": "train"}, array=images.array[::-1])
    others = [
        ImageSet(**fields | {"classes": ("dog", "cat")}, array=images.array),
        ImageSet(**fields | {"labels": 1 - images.labels}, array=images.array),
        ImageSet(**fields | {"names": ("0", "1", "2", "é\udcff")}, array=images.array),
    ]
    assert same.digest == images.digest
    assert len({item.digest for item in [images, *others]}) == 4
    assert json.dumps(others[2].names)


def test_sizes_and_channels_are_those_of_all(tmp_path):
    assert in_memory(side=5).common_size() == (5, 5)
    assert (in_memory(channels=1).channels(), in_memory().channels()) == (1, 3)
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    same = on_disk(folders[0], [(7, 9)] * 3, grey=(0, 1, 2))
    mixed = on_disk(folders[1], [(7, 9)] * 3, grey=(0, 2))
    sizes = on_disk(folders[2], [(7, 9), (9, 7)])
    assert (same.common_size(), same.channels()) == ((7, 9), 1)
    assert (mixed.common_size(), mixed.channels()) == ((7, 9), 3)
    assert (sizes.common_size(), sizes.channels()) == (None, 3)


def test_an_empty_set_has_no_size(tmp_path):
    assert on_disk(tmp_path, [(7, 9)]).take([]).common_size() is None


def test_of_many_files_a_sample_is_asked(tmp_path, monkeypatch):
    images = on_disk(tmp_path, [(7, 9)] * 30)
    probed, probe = [], module.probe_image
    monkeypatch.setattr(module, "_SAMPLE", 12)
    monkeypatch.setattr(module, "probe_image", lambda path: probed.append(path) or probe(path))
    assert images.common_size() == (7, 9)
    assert images.channels() == 3
    assert len(probed) == len(set(probed)) == 12


FIELDS = {
    "name": "made",
    "split": "test",
    "classes": ("cat", "dog"),
    "labels": np.array([0, 1]),
    "names": ("a", "b"),
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "got neither"),
        ({"array": noise(2, 3, 4, 4), "paths": ()}, "got both"),
        ({"array": noise(3, 3, 4, 4)}, "expected 2 images, one a label, got 3"),
        ({"paths": ()}, "expected 2 images, one a label, got 0"),
        ({"array": noise(2, 2, 4, 4)}, r"1 or 3, row, column\], got uint8 \[2, 2, 4, 4\]"),
        ({"array": noise(2, 3, 4, 4).astype(float)}, "got float64"),
        ({"array": noise(2, 3, 4, 4), "names": ("a",)}, "expected 2 image names"),
        ({"array": noise(2, 3, 4, 4), "labels": np.array([0, 2])}, r"labels in 0 … 1, got 0 … 2"),
        ({"array": noise(2, 3, 4, 4), "labels": np.array([-1, 1])}, r"labels in 0 … 1, got -1 … 1"),
        ({"array": noise(2, 3, 4, 4), "labels": np.array([0.0, 1.0])}, "expected int64 labels"),
    ],
)
def test_fields_that_do_not_fit_are_refused(change, expected):
    with pytest.raises(DataError, match=expected):
        ImageSet(**FIELDS | change)


@pytest.mark.slow
@pytest.mark.skipif("VITSCOPE_CIFAR10" not in os.environ, reason="VITSCOPE_CIFAR10 names no CIFAR-10 folder")
def test_ten_thousand_real_images_come_out_as_they_are_stored():
    from vitscope.data.sources import DataSpec, load_split

    images = load_split(DataSpec(os.environ["VITSCOPE_CIFAR10"]), "test")
    assert len(images) == 10_000
    assert (images.common_size(), images.channels()) == ((32, 32), 3)
    kept = images.in_memory(Preprocessing((32, 32), 3, (0.5,) * 3, (0.5,) * 3))
    for index in range(0, 10_000, 997):
        with Image.open(images.paths[index]) as picture:
            assert np.array_equal(kept.array[index].transpose(1, 2, 0), np.asarray(picture.convert("RGB")))
