"""Heatmap: what it refuses, and that a file holds all of it."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitscope.errors import EnvironmentFault, InputError
from vitscope.records.heatmap import Heatmap
from vitscope.records.provenance import Provenance


def heatmap(**changes):
    values = np.random.default_rng(0).random((3, 2, 4), dtype=np.float32)
    return Heatmap(**{"values": values, "method": "rollout"} | changes)


NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=3, max_size=3)


@settings(max_examples=25, deadline=None)
@given(NAMES, st.booleans(), st.booleans())
def test_a_file_holds_all_of_it(tmp_path_factory, names, signed, targets):
    made = heatmap(
        names=tuple(names),
        signed=signed,
        targets=np.array([1, 0, 2]) if targets else None,
        options={"fuse": "mean", "discard": 0.5},
        provenance=Provenance(command=("vitscope", "attention"), seed=1),
    )
    opened = Heatmap.load(made.save(tmp_path_factory.mktemp("maps") / "heatmaps.npz"))
    assert np.array_equal(opened.values, made.values)
    assert opened.values.dtype == np.float32
    assert (opened.targets is None) == (made.targets is None)
    if targets:
        assert np.array_equal(opened.targets, made.targets)
    for name in ("method", "signed", "options", "names", "provenance"):
        assert getattr(opened, name) == getattr(made, name)


def test_equal_records_are_equal_files(tmp_path):
    first, second = (heatmap().save(tmp_path / f"{name}.npz").read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"values": np.zeros((2, 4), np.float32)}, "maps"),
        ({"values": np.zeros((1, 2, 4), np.int64)}, "floats"),
        ({"values": np.full((1, 2, 4), np.nan, np.float32)}, "not finite"),
        ({"values": np.full((1, 2, 4), np.inf, np.float32)}, "not finite"),
        ({"targets": np.zeros(2, np.int64)}, "3 targets"),
        ({"names": ("one",)}, "3 names"),
    ],
)
def test_what_does_not_fit_together(changes, said):
    with pytest.raises(InputError, match=said):
        heatmap(**changes)


def about(path, **changes):
    with np.load(path) as archive:
        arrays = dict(archive)
    known = json.loads(str(arrays["about"])) | changes
    arrays["about"] = np.array(json.dumps(known))
    with path.open("wb") as stream:
        np.savez(stream, **arrays)


def spoil(path, how):
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "other zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "text")
    elif how == "npy":
        with path.open("wb") as stream:
            np.save(stream, np.zeros(3))
    elif how == "pickle":
        with path.open("wb") as stream:
            np.savez(stream, about=np.array([{}], dtype=object), values=np.zeros((1, 1, 1)))
    elif how == "other format":
        about(path, format="other")
    elif how == "newer":
        about(path, version=99)
    elif how == "names of none":
        about(path, names=None)
    else:
        path.write_bytes(
            {"empty": b"", "text": b"hello", "cut": data[: len(data) // 2], "head": data[:4]}[how]
        )


SPOILT = "missing,folder,other zip,npy,pickle,other format,newer,names of none,empty,text,cut,head"


@pytest.mark.parametrize("how", SPOILT.split(","))
def test_a_spoilt_file(tmp_path, how):
    path = heatmap().save(tmp_path / "heatmaps.npz")
    spoil(path, how)
    with pytest.raises(InputError) as caught:
        Heatmap.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_changed_byte_is_one_error_or_none(tmp_path_factory, data):
    path = heatmap(names=("a", "b", "c")).save(tmp_path_factory.mktemp("maps") / "heatmaps.npz")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        Heatmap.load(path)
    except InputError as error:
        assert str(path) in str(error)  # noqa: PT017 - a change may also leave the file whole


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault):
        heatmap().save(tmp_path / "file" / "heatmaps.npz")
