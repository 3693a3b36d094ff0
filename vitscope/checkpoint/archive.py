"""Archives: the zip file around a checkpoint, examined before torch opens it."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from vitscope.checkpoint.signature import printable
from vitscope.errors import CheckpointError

__all__ = ["Archive", "examine_archive"]

PICKLE_LIMIT = 32 << 20  # bytes of the pickle: names and plain values, never weights
_DIRECTORY_LIMIT = 32 << 20
_ENTRY = re.compile(
    r"data\.pkl|\.format_version|\.storage_alignment|byteorder|version|\.data/serialization_id|data/\d+"
)
_END, _LOCATOR, _END64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_DAMAGED = "copy or download it again"
_BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    zlib.error,
)


@dataclass(frozen=True)
class Archive:
    """What `torch.save` wrote into a zip file.

    Attributes:
        pickle: The bytes of `data.pkl`.
        sizes: The bytes of each tensor's storage, by its key.
    """

    pickle: bytes
    sizes: dict[str, int]


def examine_archive(stream: BinaryIO, size: int) -> Archive:
    """Check the zip file's directory, entries and checksums, and return what is in it.

    Entries must be stored, not compressed: then the file's length bounds all that it can become. The
    archive must begin and end with the file and name every entry once, so that no second reader can see
    another archive in it.

    Raises:
        CheckpointError: It is another kind of archive, or damaged.
    """
    _check_end(stream, size)
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = _entries(archive.infolist(), size)
            if (bad := archive.testzip()) is not None:
                raise CheckpointError(
                    f"damaged: the checksum of {printable(bad)} does not match", hint=_DAMAGED
                )
            pickled = archive.read(entries["data.pkl"])
    except _BROKEN as error:
        raise CheckpointError(f"damaged: {printable(str(error))}", hint=_DAMAGED) from error
    sizes = {name[5:]: entry.file_size for name, entry in entries.items() if name.startswith("data/")}
    return Archive(pickled, sizes)


def _check_end(stream: BinaryIO, size: int) -> None:
    """Hold the directory to the end of the file and to a length that can be read."""
    stream.seek(max(0, size - 98))
    tail = stream.read(98)
    end = tail[-22:]
    if len(end) < 22 or end[:4] != _END:
        raise CheckpointError("damaged: a zip archive without its end, probably cut short", hint=_DAMAGED)
    length, offset = struct.unpack("<II", end[12:20])
    extra = 0
    if tail[-42:-38] == _LOCATOR and tail[:4] == _END64:
        extra = 76
        length64, offset64 = struct.unpack("<QQ", tail[40:56])
        if (length, offset) not in ((length64, offset64), (length64, 0xFFFFFFFF)):
            raise CheckpointError("damaged: a zip archive with two ends that disagree", hint=_DAMAGED)
        length, offset = length64, offset64
    if length > _DIRECTORY_LIMIT or offset + length + extra + 22 != size:
        raise CheckpointError("damaged: a zip archive whose directory is not at its end", hint=_DAMAGED)


def _entries(listed: list[zipfile.ZipInfo], size: int) -> dict[str, zipfile.ZipInfo]:
    names = [entry.filename for entry in listed]
    root = names[0].partition("/")[0] if names else ""
    short = [name.removeprefix(f"{root}/") for name in names]
    if "data.pkl" not in short or "constants.pkl" in short:
        raise CheckpointError(*_name_archive(short), hint="give the best.pth or last.pth of a vitscope run")
    for name, whole, entry in zip(short, names, listed, strict=True):
        _check_entry(entry, whole != f"{root}/{name}" or not _ENTRY.fullmatch(name))
    if len(set(names)) != len(names):
        raise CheckpointError("damaged: its archive names an entry twice", hint=_DAMAGED)
    entries = dict(zip(short, listed, strict=True))
    if sum(entry.file_size for entry in listed) > size:
        raise CheckpointError("its entries overlap: it would unpack to more than it holds")
    if entries["data.pkl"].file_size > PICKLE_LIMIT:
        raise CheckpointError(
            f"its pickle is larger than {PICKLE_LIMIT >> 20} MiB, which no checkpoint needs"
        )
    return entries


def _check_entry(entry: zipfile.ZipInfo, strange: bool) -> None:
    shown = printable(entry.filename)
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise CheckpointError(
            f"its entry {shown} is compressed, which torch.save never does",
            hint="a small file can unpack to fill the memory: get the original",
        )
    if entry.flag_bits & 0x1:
        raise CheckpointError(f"its entry {shown} is encrypted", hint="get the original")
    if strange:
        raise CheckpointError(f"its archive holds {shown!r}, which torch.save does not write")


def _name_archive(names: list[str]) -> tuple[str]:
    def any_match(pattern: str) -> bool:
        return any(re.search(pattern, name) for name in names)

    if any_match(r"^archive_format$|serialized_exported_program|^models/.*\.json$|^data/weights/|\.pt2$"):
        kind = "an exported program (.pt2 of torch.export), which can run code and is never opened"
    elif any_match(r"^constants\.pkl$|^code/"):
        kind = "a TorchScript archive, which can run code and is never opened"
    elif any_match(r"^\.data/extern_modules$"):
        kind = "a torch.package archive, which can run code and is never opened"
    elif names and all(name.endswith(".npy") for name in names):
        kind = "a NumPy .npz archive"
    elif any_match(r"^model\.weights\.h5$"):
        kind = "a Keras model"
    else:
        kind = "a zip archive without weights of torch.save"
    return (f"it looks like {kind}, not like a checkpoint",)
