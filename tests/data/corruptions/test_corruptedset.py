from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from vitscope.data.corruptions.corruptedset import CorruptedSet, corrupted
from vitscope.data.corruptions.generator import corrupt, corrupt_batch
from vitscope.data.corruptions.kinds import GENERATOR
from vitscope.data.imageset import ImageSet
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import DataError, ImageError, UsageError


def seen(side, channels=3):
    return Preprocessing((side, side), channels, (0.5,) * channels, (0.5,) * channels)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def in_memory(count=150, channels=3, side=12):
    labels = np.arange(count, dtype=np.int64) % 2
    names = tuple(map(str, range(count)))
    return ImageSet("made", "test", ("cat", "dog"), labels, names, array=noise(count, channels, side, side))


def on_disk(folder, sizes, *, grey=()):
    paths = []
    for index, (rows, columns) in enumerate(sizes):
        values = noise(rows, columns, seed=index) if index in grey else noise(rows, columns, 3, seed=index)
        paths.append(folder / f"{index}.png")
        Image.fromarray(values).save(paths[-1])
    labels = np.zeros(len(paths), dtype=np.int64)
    return ImageSet("made", "test", ("cat",), labels, tuple(path.name for path in paths), paths=tuple(paths))


def test_an_array_of_the_models_size_is_corrupted_as_it_is():
    images = in_memory()
    copy = corrupted(images, "gaussian_noise", 3, seed=5)
    expected = corrupt_batch(images.array, "gaussian_noise", 3, seed=5)
    assert np.array_equal(copy.pixels(seen(12)).numpy(), expected)
    assert np.array_equal(copy.pixels(seen(12), [140, 3]).numpy(), expected[[140, 3]])


@pytest.mark.parametrize("batch_size", [1, 7, 64, 100, 500])
def test_batches_are_the_pixels_in_order(batch_size):
    copy = corrupted(in_memory(count=130), "fog", 2)
    batches = list(copy.batches(seen(12), batch_size))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert torch.equal(torch.cat(batches), copy.pixels(seen(12)))


def test_small_pictures_are_corrupted_before_they_are_enlarged(tmp_path):
    preprocessing = seen(30)
    files = on_disk(tmp_path, [(12, 12)] * 3)
    array = np.stack([np.asarray(files.image(index)).transpose(2, 0, 1) for index in range(3)])
    held = ImageSet("made", "test", ("cat",), files.labels, files.names, array=array)
    changed = corrupt_batch(array, "pixelate", 5, seed=1)
    expected = [preprocessing.pixels(Image.fromarray(picture.transpose(1, 2, 0))) for picture in changed]
    for images in (files, held):
        assert np.array_equal(
            corrupted(images, "pixelate", 5, seed=1).pixels(preprocessing).numpy(), expected
        )


def test_large_pictures_are_corrupted_as_the_model_sees_them(tmp_path):
    preprocessing = seen(16)
    files = on_disk(tmp_path, [(40, 30), (25, 60), (17, 17)])
    expected = corrupt_batch(files.pixels(preprocessing).numpy(), "shot_noise", 4, seed=2)
    copy = corrupted(files, "shot_noise", 4, seed=2)
    assert np.array_equal(copy.pixels(preprocessing).numpy(), expected)
    assert torch.equal(torch.cat(list(copy.batches(preprocessing, 2))), torch.from_numpy(expected))


def test_sizes_may_be_mixed(tmp_path):
    """Each picture is made as it would be alone, whatever its neighbours are."""
    preprocessing = seen(20)
    files = on_disk(tmp_path, [(40, 30), (12, 12), (20, 20), (9, 30), (64, 64)] * 3, grey=(1, 4))
    whole = corrupted(files, "gaussian_noise", 2).pixels(preprocessing)
    for index in range(len(files)):
        alone = corrupted(files, "gaussian_noise", 2).pixels(preprocessing, [index])
        assert torch.equal(alone[0], whole[index])


def test_a_grey_model_sees_grey(tmp_path):
    files = on_disk(tmp_path, [(40, 40)])
    preprocessing = seen(16, channels=1)
    clean = files.pixels(preprocessing).numpy()
    copy = corrupted(files, "gaussian_noise", 1)
    assert np.array_equal(copy.pixels(preprocessing).numpy(), corrupt_batch(clean, "gaussian_noise", 1))


def test_chosen_images_keep_their_draws():
    images = in_memory()
    copy = corrupted(images, "impulse_noise", 5)
    chosen = copy.take([9, 4]).take([1, 0])
    assert isinstance(chosen, CorruptedSet)
    assert torch.equal(chosen.pixels(seen(12)), copy.pixels(seen(12), [4, 9]))
    assert chosen.names == ("4", "9")
    assert chosen.labels.tolist() == [0, 1]


def test_pictures_are_corrupted_at_their_own_size():
    images = in_memory(count=3)
    copy = corrupted(images, "frost", 3, seed=8)
    expected = corrupt(np.asarray(images.image(2)), "frost", 3, seed=8, index=2)
    assert np.array_equal(np.asarray(copy.image(2)), expected)


def test_it_names_itself_and_has_its_own_digest():
    images = in_memory(count=4)
    copies = [
        corrupted(images, "fog", 1),
        corrupted(images, "fog", 2),
        corrupted(images, "snow", 1),
        corrupted(images, "fog", 1, seed=1),
        corrupted(images.take([1, 0, 2, 3]), "fog", 1),
        corrupted(images, "fog", 1).take([0, 1]),
    ]
    assert copies[0].name == f"made with fog 1 ({GENERATOR}, seed 0)"
    assert copies[0].digest == corrupted(images, "fog", 1).digest
    assert len({images.digest, *(copy.digest for copy in copies)}) == 7


def test_it_is_never_corrupted_twice():
    copy = corrupted(in_memory(count=4), "fog", 1)
    assert copy.in_memory(seen(12)) is copy
    with pytest.raises(DataError, match="corrupted already"):
        corrupted(copy, "snow", 1)


def test_bad_requests_are_refused():
    images = in_memory(count=4)
    with pytest.raises(UsageError, match="no corruption"):
        corrupted(images, "rain", 1)
    with pytest.raises(DataError, match="at least 1, got 0"):
        list(corrupted(images, "fog", 1).batches(seen(12), 0))
    with pytest.raises(DataError, match="expected 4 positions"):
        CorruptedSet(
            "made", "test", images.classes, images.labels, images.names, images.array, kind="fog", severity=1
        )


def test_a_bad_file_is_named_and_no_thread_stays(tmp_path):
    files = on_disk(tmp_path, [(12, 12)] * 5)
    files.paths[3].write_text("not a picture")
    before = threading.active_count()
    with pytest.raises(ImageError, match=r"3\.png"):
        list(corrupted(files, "fog", 1).batches(seen(12), 2))
    batches = corrupted(in_memory(), "fog", 1).batches(seen(12), 10)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_nothing_to_corrupt():
    copy = corrupted(in_memory(count=4), "fog", 1).take([])
    assert list(copy.batches(seen(12), 3)) == []
    assert copy.pixels(seen(12)).shape == (0, 3, 12, 12)
