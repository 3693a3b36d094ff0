from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    for words in ([record.classes[label] for label in record.labels], map(str, record.labels)):
        (files / "labels.txt").write_text("\n".join(words))
        found = read_arrays([files / "logits.npy"], files / "labels.txt", classes=files / "names.txt")
        np.testing.assert_array_equal(found.labels, record.labels)


def read_text_labels(folder, names, text):
    """Read labels from text, as many as there are rows of logits."""
    np.save(folder / "z.npy", np.zeros((text.count("\n"), len(names))))
    (folder / "names.json").write_text(json.dumps(names))
    (folder / "labels.txt").write_text(text, newline="")
    found = read_arrays([folder / "z.npy"], folder / "labels.txt", classes=folder / "names.json")
    return found.labels.tolist()


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["0", "1", "2"], "2\n0\n1\n", [2, 0, 1]),  # both readings, and they agree
        (["0", "2", "1"], "0\n0\n", [0, 0]),
        (["1", "2", "3"], "1\n2\n3\n", [0, 1, 2]),  # there is no class of index 3
        (["1", "2", "3"], "1\n2\n0\n", [1, 2, 0]),  # nor one called 0
        (["2", "cat", "1"], "2\ncat\n", [0, 1]),
        (["cat", "dog"], " 1\r\n001\r\n0 \r\n", [1, 1, 0]),
        (["a\u2028b", "c"], "c\na\u2028b\n", [1, 0]),
        (["123456789012345", "c"], "c\n123456789012345\n", [1, 0]),
    ],
    ids=["agree", "partly", "from-one", "from-zero", "one-number", "spaces", "separator", "long-name"],
)
def test_one_reading_holds_for_the_whole_file(names, text, expected, tmp_path):
    assert read_text_labels(tmp_path, names, text) == expected


@pytest.mark.parametrize(
    ("names", "text", "message"),
    [
        (["2", "0", "1"], "2\n0\n", "line 1: '2' is the name of class 0 and also the index of class 2, '1'"),
        (["0", "2", "1"], "0\n0\n2\n1\n", "line 3: '2' is the name of class 1 and also the index of class 2"),
        (["cat", "dog"], "cat\n1\n", "line 2: expected a class's name, as in the lines before, got '1'"),
        (
            ["cat", "dog"],
            "1\n0\ncat\n",
            "line 3: expected a class's index, as in the lines before, got 'cat'",
        ),
        (["2", "cat", "1"], "2\n0\ncat\n", "line 3: expected a class's index, as in the lines before"),
        (["cat", "dog"], "zebra\ncat\n", "line 1: expected a class's index or name, got 'zebra'"),
        (["cat", "dog"], "cat\n\n", "line 2: expected a class's name, as in the lines before, got ''"),
        (["cat", "dog"], "0\n" + "9" * 13 + "\n", "line 2: expected a class's index, as in the lines before"),
        (["0", "1"], "9" * 9000 + "\n", "line 1: expected a class's index or name, got '9{80}'$"),
        (["cat", "dog"], "9" * 12 + "\n", "expected labels in 0 … 1, got 999999999999 for image 0"),
        (["cat", "dog"], "²\n", "line 1: expected a class's index or name"),
    ],
    ids=["order", "later", "index", "name", "both", "neither", "empty", "13", "9000", "12", "power"],
)
def test_says_which_line_is_odd(names, text, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        read_text_labels(tmp_path, names, text)
    assert ("and also" in message) == (".npy file of indices" in caught.value.hint)


@pytest.mark.slow
@given(st.data())
def test_labels_mean_one_thing_or_are_refused(tmp_path_factory, data):
    """Against the definition: the set of readings that are possible, of which there must be one."""
    names = data.draw(st.lists(st.sampled_from(["0", "1", "2", "3", "cat"]), min_size=1, unique=True))
    words = data.draw(st.lists(st.sampled_from(["0", "1", "2", "3", "cat"]), min_size=1, max_size=6))
    readings = set()
    if all(word in names for word in words):
        readings.add(tuple(names.index(word) for word in words))
    if all(word.isdecimal() and int(word) < len(names) for word in words):
        readings.add(tuple(map(int, words)))
    folder = tmp_path_factory.mktemp("labels")
    if len(readings) == 1:
        assert tuple(read_text_labels(folder, names, "\n".join(words) + "\n")) in readings
    else:
        with pytest.raises(InputError, match=r"labels\.txt"):
            read_text_labels(folder, names, "\n".join(words) + "\n")


def test_parts_of_a_folder_are_in_natural_order(tmp_path):
    (tmp_path / "parts").mkdir()
    for index in range(12):
        np.save(tmp_path / "parts" / f"l{index}.npy", np.full((1, 2), index, dtype=np.float32))
    np.save(tmp_path / "labels.npy", np.zeros(12, dtype=np.int64))
    found = read_arrays([tmp_path / "parts"], tmp_path / "labels.npy")
    assert np.asarray(found.logits)[:, 0].tolist() == list(range(12))


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
