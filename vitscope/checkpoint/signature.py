"""Signatures: what a file that is no zip archive looks like, from its first bytes."""

from __future__ import annotations

import pickletools
import warnings

__all__ = ["HEAD", "name_kind", "printable"]

HEAD = 1 << 16  # how many bytes `name_kind` wants to see
_OURS = "give the best.pth or last.pth of a vitscope run"

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git-LFS pointer, not the file itself",
        "run `git lfs pull` where it was cloned",
    ),
    (b"\x1f\x8b", "a gzip file", "unpack it first"),
    (b"BZh", "a bzip2 file", "unpack it first"),
    (b"\xfd7zXZ\x00", "an xz file", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"\x89HDF\r\n", "an HDF5 file, such as Keras writes", _OURS),
    (b"\x93NUMPY", "a NumPy array file", _OURS),
    (b"GGUF", "a GGUF model of llama.cpp", _OURS),
    (b"\x89PNG", "a PNG image", "images go after the checkpoint: `vitscope attention --rollout img.png`"),
    (
        b"\xff\xd8\xff",
        "a JPEG image",
        "images go after the checkpoint: `vitscope attention --rollout img.jpg`",
    ),
    (b"GIF8", "a GIF image", _OURS),
    (b"BM", "a BMP image", _OURS),
    (b"RIFF", "a RIFF file, such as a WebP image", _OURS),
    (b"%PDF", "a PDF", _OURS),
    (b"\x7fELF", "a program", _OURS),
    (b"MZ", "a Windows program", _OURS),
    (b"PAR1", "a Parquet file", _OURS),
    (b"SQLite format 3", "an SQLite data base", _OURS),
    (b"PK\x05\x06", "an empty zip archive", _OURS),
)
_LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number of torch.save before 1.6, after the protocol


def name_kind(head: bytes, size: int) -> tuple[str, str]:
    """Return what a file looks like, as `it looks like …` goes on, and a hint.

    Args:
        head: Its first bytes, at most `HEAD`.
        size: Its length in bytes.
    """
    if not head:
        return "an empty file (0 bytes)", "copy or download it again"
    for magic, kind, hint in _MAGIC:
        if head.startswith(magic):
            return kind, hint
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it first"
    if _is_safetensors(head, size):
        return "safetensors weights", "name the file .safetensors"
    return _name_pickle(head) or _name_text(head) or ("binary data of an unknown kind", _OURS)


def printable(text: str, limit: int = 80) -> str:
    """Return `text` as one short line that a terminal can show."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def _is_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def _name_pickle(head: bytes) -> tuple[str, str] | None:
    if head[:1] == b"\x80" and head[1:2] <= b"\x05" and head[2 : 2 + len(_LEGACY)] == _LEGACY:
        return "a file of torch.save's old form, which is not read", "save it again with torch 1.6 or newer"
    names = _pickled_names(head)
    if names is None:
        return None
    what = f"a pickle that names {printable(names[0])}; nothing of it was run" if names else "a plain pickle"
    return what, _OURS


def _pickled_names(head: bytes) -> list[str] | None:
    """List the objects that a pickle names, without unpickling; None where it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # text can look like a pickle with wrong escapes
        return _list_names(head)


def _list_names(head: bytes) -> list[str] | None:
    names, texts, count = [], ["", ""], 0
    try:
        for opcode, argument, _ in pickletools.genops(head):
            count += 1
            if opcode.name in ("GLOBAL", "INST"):
                names.append(str(argument).replace(" ", "."))
            elif opcode.name == "STACK_GLOBAL":
                names.append(".".join(texts[-2:]))
            elif isinstance(argument, str):
                texts.append(argument)
    except ValueError:
        # Cut by the end of the head, or no pickle at all: only a pickle's first byte and some names tell.
        return names if head[:1] == b"\x80" or (names and count > 1) else None
    return names


def _name_text(head: bytes) -> tuple[str, str] | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html")):
        return (
            "an HTML page",
            "the download probably needs a login or another address: open the address in a browser",
        )
    if start.startswith((b"<?xml", b"<error")):
        return "an XML document", "the download probably failed: read the file"
    try:
        text = head.decode("utf-8") if len(head) < HEAD else head.decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return None
    if not all(letter.isprintable() or letter in "\t\r\n\f" for letter in text):
        return None
    kind = "JSON" if start.startswith((b"{", b"[")) else "text"
    return f"{kind}, which begins {printable(text.strip(), 40)!r}", _OURS
