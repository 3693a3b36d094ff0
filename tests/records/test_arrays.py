from __future__ import annotations

import json
import os

import numpy as np
import pytest

from tests.oracles.samples import digits
from vitscope.errors import InputError
from vitscope.records.arrays import read_arrays, read_names
from vitscope.records.shards import Shards


@pytest.fixture
def files(tmp_path):
    record, _ = digits()
    np.save(tmp_path / "logits.npy", record.logits)
    np.save(tmp_path / "labels.npy", record.labels.astype(np.uint8))
    (tmp_path / "names.txt").write_text("\n".join(record.classes) + "\n", encoding="utf-8")
    return tmp_path


def test_opens_what_numpy_wrote(files):
    record, _ = digits()
    found = read_arrays([files / "logits.npy"], files / "labels.npy", classes=files / "names.txt")
    assert isinstance(found.logits, np.memmap)
    np.testing.assert_array_equal(found.logits, record.logits)
    np.testing.assert_array_equal(found.labels, record.labels)
    assert found.classes == record.classes
    assert found.labels.dtype == np.int64
    assert read_arrays([files / "logits.npy"], files / "labels.npy").classes == tuple("0123456789")


def test_labels_as_text_may_be_names_or_indices(files):
    record, _ = digits()
    words = [
        record.classes[label] if index % 2 else str(label)
        for index, label in enumerate(record.labels.tolist())
    ]
    (files / "labels.txt").write_text("\n".join(words))
    found = read_arrays([files / "logits.npy"], files / "labels.txt", classes=files / "names.txt")
    np.testing.assert_array_equal(found.labels, record.labels)


def test_a_class_called_by_a_number_is_a_name_first(tmp_path):
    np.save(tmp_path / "z.npy", np.eye(3))
    (tmp_path / "names.json").write_text(json.dumps(["2", "0", "1"]))
    (tmp_path / "labels.txt").write_text("2\n0\n1\n")
    found = read_arrays([tmp_path / "z.npy"], tmp_path / "labels.txt", classes=tmp_path / "names.json")
    assert found.labels.tolist() == [0, 1, 2]


def test_shards_by_name_and_by_folder(files):
    record, _ = digits()
    (files / "parts").mkdir()
    for index, part in enumerate(np.split(record.logits, [300, 301])):
        np.save(files / "parts" / f"{index}.npy", part)
    by_folder = read_arrays([files / "parts"], files / "labels.npy")
    listed = [files / "parts" / f"{index}.npy" for index in range(3)]
    by_name = read_arrays(listed, files / "labels.npy")
    for found in (by_folder, by_name):
        assert isinstance(found.logits, Shards)
        np.testing.assert_array_equal(np.asarray(found.logits), record.logits)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("logits", np.zeros(4), r"expected floats \[image, class\]"),
        ("logits", np.zeros((4, 10), dtype=np.int64), r"expected floats \[image, class\]"),
        ("logits", np.zeros((4, 10)), r"expected 4 labels, one a row of logits, got 898"),
        ("logits", np.zeros((898, 9)), "expected labels in 0 … 8, got 9 for image"),
        ("labels", np.zeros(898), "expected whole numbers"),
        ("labels", np.zeros((898, 1), dtype=np.int64), "expected whole numbers"),
        ("labels", np.full(898, -100), "got -100 for image 0"),
        ("labels", np.array([{}], dtype=object), "is not a .npy file of numbers"),
    ],
    ids=["flat", "whole", "short", "narrow", "floats", "column", "ignored", "pickle"],
)
def test_says_what_does_not_fit(files, name, content, message):
    np.save(files / f"{name}.npy", content, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        read_arrays([files / "logits.npy"], files / "labels.npy")


def test_files_that_are_none(files):
    (files / "text.npy").write_text("1,2,3")
    with pytest.raises(InputError, match=r"not a \.npy file"):
        read_arrays([files / "text.npy"], files / "labels.npy")
    with pytest.raises(InputError, match="no such file"):
        read_arrays([files / "none.npy"], files / "labels.npy")
    with pytest.raises(InputError, match="no such file"):
        read_arrays([files / "logits.npy"], files / "none.txt")
    np.savez(files / "both.npz", np.zeros((2, 2)))
    with pytest.raises(InputError, match="an archive"):
        read_arrays([files / "both.npz"], files / "labels.npy")
    (files / "empty").mkdir()
    with pytest.raises(InputError, match=r"no \.npy file"):
        read_arrays([files / "empty"], files / "labels.npy")
    (files / "labels.txt").write_text("0\nzebra\n")
    with pytest.raises(InputError, match="line 2: expected a class's index or name, got 'zebra'"):
        read_arrays([files / "logits.npy"], files / "labels.txt")


@pytest.mark.parametrize("content", [b"", b"a\n\nb\n", b"\xff\xfe", b'["a", 1]'])
def test_names_that_are_none(tmp_path, content):
    path = tmp_path / ("names.json" if content.startswith(b"[") else "names.txt")
    path.write_bytes(content)
    with pytest.raises(InputError, match=os.fspath(path)):
        read_names(path)


def test_names_that_stand_twice(tmp_path):
    (tmp_path / "names.txt").write_text("cat\ndog\ncat\n")
    with pytest.raises(InputError, match="'cat' twice, as names 1 and 3"):
        read_names(tmp_path / "names.txt")
