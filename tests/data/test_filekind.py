from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pytest

from vitscope.data.filekind import PREFIX_LENGTH, looks_like


def zipped():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "b")
    return stream.getvalue()


def saved():
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "an empty file (zero bytes)"),
        (b"hello\n", "text"),
        ("naïve é".encode(), "text"),
        ("\ufeffhello".encode(), "text"),
        ("hello".encode("utf-16"), "text"),
        (("é" * 400).encode()[: PREFIX_LENGTH - 1], "text"),
        (b"\x1b[31mred\x1b[0m", "text"),
        (b"  <!DOCTYPE HTML><title>x", "an HTML page"),
        (b'<?xml version="1.0"?><svg>', "an SVG drawing"),
        (b'<?xml version="1.0"?><kml>', "an XML document"),
        (b"P5\n1 1\n255\n\x00", "a PNM image"),
        (b"Password: x", "text"),
        (gzip.compress(b"x", mtime=0), "gzip-compressed data"),
        (zipped(), "a zip archive"),
        (saved(), "a NumPy array"),
        (b"/annex/objects/MD5-s3--0", "a git-annex pointer (the real file was not fetched)"),
        (b"\x00" * 600, "nothing but zero bytes"),
        (b"hello\x00world", "unknown binary data"),
        (b"\x80\x04\x95\x00\x00", "unknown binary data"),
        (b"\xff\xfe\x00", "unknown binary data"),
    ],
)
def test_kinds(data, kind):
    assert looks_like(data[:PREFIX_LENGTH]) == kind
