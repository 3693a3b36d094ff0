"""What the manifest of a folder says, and the order of names."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from vitscope.errors import OutputError
from vitscope.paths import MANIFEST, check_output, folder_format, natural_key, write_json

if TYPE_CHECKING:
    from pathlib import Path


def test_numbers_are_sorted_as_numbers():
    names = ["b", "class 10", "class 2", "Class 3", "a", "1", "10", "2", "a1b10", "a1b9", "²", "é"]
    random.Random(1).shuffle(names)
    expected = ["1", "2", "10", "a", "a1b9", "a1b10", "b", "class 2", "Class 3", "class 10", "²", "é"]
    assert sorted(names, key=natural_key) == expected


@pytest.mark.parametrize("kind", ["vitscope.predictions", "another.program", ""])
def test_a_folder_is_what_its_manifest_says(kind: str, tmp_path: Path):
    write_json(tmp_path / MANIFEST, {"format": kind, "version": 1})
    assert folder_format(tmp_path) == kind


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"{}", b'{"format": 3}', b'{"format": null}', b"[" * 200_000, b"1" * 5000],
    ids=["empty", "cut", "bytes", "list", "silent", "number", "null", "deep", "long"],
)
def test_a_manifest_that_is_none_says_nothing(content: bytes, tmp_path: Path):
    (tmp_path / MANIFEST).write_bytes(content)
    assert folder_format(tmp_path) == ""
    with pytest.raises(OutputError, match="not made by vitscope"):
        check_output(tmp_path, overwrite=True)


def test_a_manifest_of_another_kind_is_not_opened(tmp_path: Path):
    pipe, folder, link, device = (tmp_path / name for name in ("pipe", "folder", "link", "device"))
    for place in (pipe, folder, link, device):
        place.mkdir()
    os.mkfifo(pipe / MANIFEST)
    (folder / MANIFEST).mkdir()
    (link / MANIFEST).symlink_to(MANIFEST)
    (device / MANIFEST).symlink_to(os.devnull)
    for place in (pipe, folder, link, device):
        assert folder_format(place) == ""
        with pytest.raises(OutputError, match="not made by vitscope"):
            check_output(place, overwrite=True)


def test_a_manifest_that_would_fill_the_memory_is_not_read(tmp_path: Path):
    with (tmp_path / MANIFEST).open("wb") as stream:
        stream.truncate(1 << 40)  # a hole, which takes no room
    assert folder_format(tmp_path) == ""


def test_no_folder_says_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    for name in ("", "none", "file", "x" * 300, "nul\0"):
        assert folder_format(tmp_path / name) == ""
