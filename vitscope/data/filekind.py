"""What a file is, by its first bytes: the name never decides."""

from __future__ import annotations

__all__ = ["PREFIX_LENGTH", "looks_like"]

PREFIX_LENGTH = 512

# Offset, bytes at that offset, name. The first that fits wins, so the specific stand before the general.
_SIGNATURES = (
    (0, b"version https://git-lfs.github.com/spec", "a Git LFS pointer (the real file was not fetched)"),
    (0, b"/annex/objects/", "a git-annex pointer (the real file was not fetched)"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x1f\x8b", "gzip-compressed data"),
    (0, b"BZh", "bzip2-compressed data"),
    (0, b"\xfd7zXZ\x00", "xz-compressed data"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (4, b"ftypavi", "an AVIF image"),
    (4, b"ftyphei", "a HEIC image"),
    (4, b"ftypmif1", "a HEIF image"),
    (4, b"ftyp", "an MP4 or QuickTime video"),
    (8, b"AVI ", "an AVI video"),
    (8, b"WAVE", "a WAV sound"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"DDS ", "a DirectDraw surface"),
    (0, b"v/1\x01", "an OpenEXR image"),
    (0, b"#?RADIANCE", "a Radiance HDR image"),
    (0, b"SIMPLE  =", "a FITS image"),
    (128, b"DICM", "a DICOM image"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a Windows program"),
    (0, b"SQLite format 3", "an SQLite database"),
)
_NETPBM = tuple(b"P%d" % digit + space for digit in range(1, 8) for space in (b"\n", b" ", b"\r", b"\t"))


def looks_like(prefix: bytes) -> str:
    """Say in a few words what kind of file starts with `prefix`.

    Args:
        prefix: The first bytes of the file, up to `PREFIX_LENGTH`.

    Returns:
        A noun phrase such as `an HTML page`; `unknown binary data` where nothing fits.
    """
    if not prefix:
        return "an empty file (zero bytes)"
    for offset, signature, name in _SIGNATURES:
        if prefix[offset : offset + len(signature)] == signature:
            return name
    if prefix.startswith(_NETPBM):
        return "a PNM image"
    if not prefix.strip(b"\x00"):
        return "nothing but zero bytes"
    return _kind_of_text(prefix) or "unknown binary data"


def _kind_of_text(prefix: bytes) -> str:
    encoding = "utf-16" if prefix.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    # A cut in the middle of a character is no sign of binary data, so the last bytes may be bad.
    for end in range(len(prefix), max(len(prefix) - 4, 0), -1):
        try:
            text = prefix[:end].decode(encoding)
        except UnicodeDecodeError:
            continue
        break
    else:
        return ""
    if not text or any(ord(character) < 32 and character not in "\t\n\v\f\r\x1b" for character in text):
        return ""
    start = text.lstrip().lower()
    if start.startswith(("<!doctype html", "<html", "<head", "<body")):
        return "an HTML page"
    if "<svg" in start:
        return "an SVG drawing"
    if start.startswith("<?xml"):
        return "an XML document"
    return "text"
