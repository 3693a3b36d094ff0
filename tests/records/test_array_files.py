"""Files that are none, or that were made to hang, to fill the memory or to mislead."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

from vitscope.errors import InputError
from vitscope.records.arrays import read_arrays, read_logits, read_names


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / "logits.npy", np.eye(3))
    np.save(tmp_path / "labels.npy", np.arange(3))
    return tmp_path


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files_are_opened(files, kind, suffix):
    (files / "parts").mkdir()
    odd = files / "parts" / f"odd{suffix}"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "device":
        odd.symlink_to("/dev/zero")
    else:
        odd.mkdir()
    message = rf"odd\{suffix} is not a regular file but a {kind}"
    with pytest.raises(InputError, match=message):
        read_arrays([files / "logits.npy"], odd)
    with pytest.raises(InputError, match=message):
        read_arrays([files / "logits.npy"], files / "labels.npy", classes=odd)
    # As logits, a folder stands for what is in it, and only .npy files in it count.
    reason = message if suffix == ".npy" else r"no \.npy file"
    with pytest.raises(InputError, match=reason):
        read_logits([files / "parts"])
    with pytest.raises(InputError, match=message if kind != "folder" else r"no \.npy file"):
        read_logits([odd])


def test_a_name_no_file_can_have(files):
    for path in (files / "nul\0", files / ("x" * 300)):
        for read in (lambda path: read_logits([path]), read_names):
            with pytest.raises(InputError, match="cannot read"):
                read(path)


def test_texts_that_would_fill_the_memory_are_not_read(files):
    for name, size in (("labels.txt", (256 << 20) + 1), ("names.txt", (64 << 20) + 1)):
        with (files / name).open("wb") as stream:
            stream.truncate(size)  # a hole, which takes no room
    with pytest.raises(
        InputError, match=r"has 268,435,457 bytes, expected a text file of 268,435,456 at most"
    ):
        read_arrays([files / "logits.npy"], files / "labels.txt")
    with pytest.raises(InputError, match=r"has 67,108,865 bytes, expected a text file of 67,108,864 at most"):
        read_names(files / "names.txt")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old"])
def test_names_end_at_ends_of_lines_only(tmp_path, end):
    names = ("line\u2028separator", "next\x85line", "tab\x0bulator", "form\x0cfeed", "group\x1dends", "plain")
    for last in ("", end):
        (tmp_path / "names.txt").write_bytes((end.join(names) + last).encode())
        assert read_names(tmp_path / "names.txt") == names


def test_names_that_are_not_unicode(tmp_path):
    path = tmp_path / "names.json"
    path.write_text(r'["cat", "\ud83d\ude00"]')
    assert read_names(path) == ("cat", "\N{GRINNING FACE}")
    for lone in (r"\udcff", r"\ud83d"):
        path.write_text(rf'["cat", "a{lone}b"]')
        with pytest.raises(InputError, match="as name 2, which is not valid Unicode") as caught:
            read_names(path)
        assert str(caught.value).encode()


def _header(text: str) -> bytes:
    body = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def _shaped(shape: str, kind: str = "<f4") -> bytes:
    return _header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}") + bytes(64)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", ""),
        (b"\x80\x04N.", ""),
        (b"\x93NUMP", ""),
        (b"\x93NUMPY", ""),
        (_shaped("(4, 2)", "|O"), ": it holds Python objects"),
        (_shaped("(4, 8)"), ": it is shorter than its header says"),
        (_shaped("(4611686018427387904, 8)"), ""),
        (_shaped("(4611686018427387904, 4611686018427387904)"), ""),
        (_shaped("(9223372036854775808, 1)"), ""),
        (_shaped("(-2, 8)"), ""),
        (_header("{" + "(" * 60), ""),
        (_header("'\\d'"), ""),
        (b"\x93NUMPY\x02\x00" + (20_000).to_bytes(4, "little") + b" " * 20_000, ": its header is damaged"),
    ],
    ids=[
        "empty",
        "pickle",
        "cut",
        "bare",
        "objects",
        "short",
        "overflow",
        "both",
        "beyond",
        "negative",
        "deep",
        "escape",
        "long",
    ],
)
def test_arrays_that_are_none_are_refused_in_our_words(tmp_path, content, reason):
    (tmp_path / "z.npy").write_bytes(content)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(InputError) as caught:
            read_logits([tmp_path / "z.npy"])
    assert not seen
    message = str(caught.value)
    assert f"z.npy is not a .npy file of numbers{reason}" in message
    assert len(message) < len(os.fspath(tmp_path)) + 220
    for advice in ("pickle", "trust", "max_header_size"):
        assert advice not in message + caught.value.hint


def test_no_rows_are_rows(tmp_path):
    np.save(tmp_path / "z.npy", np.zeros((0, 5)))
    assert read_logits([tmp_path / "z.npy"]).shape == (0, 5)
