from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from vitscope.data.preprocessing import Preprocessing
from vitscope.data.sources import DataSpec, dataset_names, load_split
from vitscope.errors import DataError, ImageError

SPLITS = ("train", "validation", "test")


def picture_folder(root, counts, *, start=0):
    """Make small real pictures, `counts` by class folder."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(start, start + count):
            Image.new("RGB", (5, 4), (index % 256, 7, 9)).save(root / name / f"{index}.png")
    return root


def parts(spec):
    return {split: load_split(spec, split) for split in SPLITS}


def check_parts(found, total):
    names = [name for images in found.values() for name in images.names]
    assert len(names) == len(set(names)) == total
    for split, images in found.items():
        assert images.split == split
        assert set(images.labels.tolist()) == set(range(len(images.classes)))


def test_the_names_are_these():
    assert dataset_names() == ("digits", "cifar10", "cifar100", "fashion-mnist")


def test_digits_are_scikit_learns_with_a_stratified_test_part():
    from sklearn.datasets import load_digits

    digits = load_digits()
    found = parts(DataSpec("digits"))
    check_parts(found, 1797)
    assert [len(found[split]) for split in SPLITS] == [1293, 144, 360]
    for images in found.values():
        assert images.classes == tuple("0123456789")
        assert (images.common_size(), images.channels()) == ((8, 8), 1)
        source = np.array(images.names, dtype=int)
        assert np.array_equal(images.labels, digits.target[source])
        # 0 … 16 to 0 … 255: every level is its own and at most half of 1/255 away.
        assert np.abs(images.array[:, 0] * (16 / 255) - digits.images[source]).max() <= 8.001 / 255
        shares = np.bincount(images.labels) / len(images)
        assert np.abs(shares - np.bincount(digits.target) / 1797).max() < 0.01


def test_half_a_level_of_the_digits_is_rounded_up():
    # 8 of 16 is 127.5, the one level where the rounding rule bears on the result.
    assert math.floor(8 * 255 / 16 + 0.5) == 128
    images = load_split(DataSpec("digits"), "train")
    assert set(np.unique(images.array)) == {math.floor(level * 255 / 16 + 0.5) for level in range(17)}


def test_the_digits_seed_moves_the_split():
    test = [load_split(DataSpec("digits", split_seed=seed), "test").names for seed in (0, 0, 1)]
    assert test[0] == test[1] != test[2]


def test_a_whole_folder_is_divided(tmp_path):
    root = picture_folder(tmp_path / "pets", {"cat": 20, "dog": 10, "newt": 3})
    found = parts(DataSpec(str(root)))
    check_parts(found, 33)
    # ⌈33 · 0.2⌉ = 7; ⌈26 · 0.1⌉ = 3, and one more so that the newts are there too.
    assert [len(found[split]) for split in SPLITS] == [22, 4, 7]
    assert found["test"].classes == ("cat", "dog", "newt")
    assert found["test"].name == "pets"
    for images in found.values():
        for name, label, path in zip(images.names, images.labels, images.paths, strict=True):
            assert path == root / name
            assert name.startswith(images.classes[label] + "/")


def test_the_split_is_the_same_elsewhere(tmp_path):
    first = picture_folder(tmp_path / "one", {"cat": 20, "dog": 10})
    shutil.copytree(first, tmp_path / "two" / "other")
    found = [parts(DataSpec(str(root))) for root in (first, tmp_path / "two" / "other")]
    for split in SPLITS:
        assert found[0][split].digest == found[1][split].digest


def test_a_folder_may_be_named_from_where_one_stands(tmp_path, monkeypatch):
    root = picture_folder(tmp_path / "pets", {"cat": 5, "dog": 5})
    monkeypatch.chdir(root)
    here, there = load_split(DataSpec("."), "test"), load_split(DataSpec(str(root)), "test")
    assert (here.name, here.digest) == ("pets", there.digest)
    assert here.image(0).size == (5, 4)


def test_train_and_test_folders(tmp_path):
    picture_folder(tmp_path / "train", {"cat": 20, "dog": 10})
    picture_folder(tmp_path / "test", {"cat": 3, "dog": 4}, start=100)
    found = parts(DataSpec(str(tmp_path)))
    check_parts(found, 37)
    assert sorted(found["test"].names) == sorted(
        f"test/{c}/{100 + i}.png" for c, n in (("cat", 3), ("dog", 4)) for i in range(n)
    )
    assert len(found["validation"]) == 3
    assert all(name.startswith("train/") for split in ("train", "validation") for name in found[split].names)


def test_val_is_the_test_split_where_there_is_no_other(tmp_path):
    picture_folder(tmp_path / "train", {"cat": 10, "dog": 10})
    picture_folder(tmp_path / "val", {"cat": 3, "dog": 4}, start=100)
    found = parts(DataSpec(str(tmp_path)))
    check_parts(found, 27)
    assert all(name.startswith("val/") for name in found["test"].names)


def test_val_is_the_validation_split_where_all_three_exist(tmp_path):
    for start, part in enumerate(("train", "val", "test")):
        picture_folder(tmp_path / part, {"cat": 4, "dog": 5}, start=100 * start)
    found = parts(DataSpec(str(tmp_path)))
    assert [len(found[split]) for split in SPLITS] == [9, 9, 9]
    assert [found[split].names[0].split("/")[0] for split in SPLITS] == ["train", "val", "test"]


def test_a_share_of_nothing_and_of_everything(tmp_path):
    root = picture_folder(tmp_path / "pets", {"cat": 2, "dog": 1})
    assert len(load_split(DataSpec(str(root), test=1.0), "test")) == 3
    assert len(load_split(DataSpec(str(root), test=0.0, validation=0.0), "train")) == 3
    for spec, split in (
        (DataSpec(str(root), test=0.0), "test"),
        (DataSpec(str(root), test=1.0), "train"),
        (DataSpec(str(root), test=1.0), "validation"),
        (DataSpec(str(root), test=0.0, validation=0.0), "validation"),
    ):
        with pytest.raises(DataError, match=f"no {split} images"):
            load_split(spec, split)


@pytest.mark.parametrize(
    ("counts", "spec", "expected"),
    [
        ({"cat": 9, "dog": 2}, {}, "expected at least 3 images a class to divide .*, but 'dog' has 2"),
        (
            {"cat": 9, "dog": 1},
            {"validation": 0.0},
            "expected at least 2 images a class to divide .*, but 'dog' has 1",
        ),
        (
            {"train/cat": 9, "train/dog": 1, "test/cat": 1, "test/dog": 1},
            {},
            "at least 2 .*, but 'dog' has 1",
        ),
    ],
)
def test_a_class_too_small_to_divide_is_refused(counts, spec, expected, tmp_path):
    picture_folder(tmp_path, counts)
    with pytest.raises(DataError, match=expected):
        load_split(DataSpec(str(tmp_path), **spec), "train")


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("test_classes", "expected"),
    [
        ({"cat": 1}, "two classes or more in .*test, got only 'cat'"),
        ({"cat": 1, "fox": 1}, r"test/ lacks 'dog' and has 'fox' beyond them"),
        (
            {"cat": 1, "dog": 1, **{f"new{index}": 1 for index in range(5)}},
            r"test/ has 'new0', 'new1', 'new2' and 2 more",
        ),
    ],
)
def test_parts_with_other_classes_are_refused(split, test_classes, expected, tmp_path):
    picture_folder(tmp_path / "train", {"cat": 5, "dog": 5})
    picture_folder(tmp_path / "test", test_classes)
    with pytest.raises(DataError, match=expected):
        load_split(DataSpec(str(tmp_path)), split)


def test_a_missing_part_is_said_with_what_there_is(tmp_path):
    picture_folder(tmp_path / "test", {"cat": 5, "dog": 5})
    assert len(load_split(DataSpec(str(tmp_path)), "test")) == 10
    for split in ("train", "validation"):
        with pytest.raises(DataError, match=f"no {split} images, only .*test") as caught:
            load_split(DataSpec(str(tmp_path)), split)
        assert "divided" in caught.value.hint


def test_a_bad_image_does_not_hinder_listing_but_is_named_when_read(tmp_path):
    root = picture_folder(tmp_path, {"cat": 5, "dog": 5})
    (root / "cat" / "bad.png").write_text("text")
    images = load_split(DataSpec(str(root), test=1.0), "test")
    with pytest.raises(ImageError, match=r"bad\.png: it looks like text"):
        images.pixels(Preprocessing((4, 4), 3, (0.5,) * 3, (0.5,) * 3))


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("~nobody-here/x", "known by name"),
        ("a" * 5000, "known by name"),
        ("a\0b", "known by name"),
        ("cifar1", "did you mean cifar10?"),
        ("digit", "did you mean digits?"),
        ("no/such/folder", "known by name: digits"),
    ],
)
def test_an_unknown_source_is_refused_with_what_is_near(source, hint):
    with pytest.raises(DataError, match="no data set or folder") as caught:
        load_split(DataSpec(source), "test")
    assert hint in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_file_is_no_folder(tmp_path):
    file = tmp_path / "picture.png"
    file.write_bytes(b"")
    with pytest.raises(DataError, match="is a file"):
        load_split(DataSpec(str(file)), "test")


def test_an_unknown_split_is_refused():
    with pytest.raises(DataError, match="expected a split of train, validation, test, got 'val'"):
        load_split(DataSpec("digits"), "val")


def test_a_spec_survives_json():
    spec = DataSpec("pets", root="r", validation=0.2, test=0.3, split_seed=4)
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert DataSpec.from_dict({"source": "digits"}) == DataSpec("digits")


@pytest.mark.parametrize(
    "change",
    [
        {"source": ""},
        {"source": 3},
        {"root": None},
        {"validation": 1.0},
        {"validation": -0.1},
        {"validation": math.nan},
        {"validation": True},
        {"test": 1.1},
        {"test": "0.2"},
        {"split_seed": 1.5},
        {"surprise": 1},
    ],
)
def test_a_spec_out_of_range_is_refused(change):
    with pytest.raises(DataError, match="expected"):
        DataSpec.from_dict(DataSpec("digits").to_dict() | change)


@pytest.mark.parametrize("value", [None, "digits", [], {}])
def test_what_is_no_spec_is_refused(value):
    with pytest.raises(DataError, match="expected a data source"):
        DataSpec.from_dict(value)


def test_listing_a_folder_needs_no_torch(tmp_path):
    picture_folder(tmp_path, {"cat": 5, "dog": 5})
    script = (
        "import sys; from vitscope.data.sources import DataSpec, load_split; "
        "images = load_split(DataSpec(sys.argv[1]), 'test'); images.common_size(); "
        "heavy = {'torch', 'torchvision', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=60)
