"""Archives: a record in one `.npz` file, its arrays beside JSON that says what they are."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.errors import InputError
from vitscope.paths import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from zipfile import ZipFile

    from numpy.typing import NDArray

__all__ = ["read_archive", "write_archive"]

VERSION = 1
# Arrays of zeros alone are packed further than any that records hold: small ones do no harm.
_UNPACKED, _TIMES = 2**28, 100


def write_archive(
    path: Path, kind: str, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]
) -> Path:
    """Write one `.npz` file, whole or not at all.

    Args:
        path: The file.
        kind: What the record is, such as `vitscope.heads`.
        arrays: The arrays by name; `about` is taken.
        about: Everything else, as JSON can hold it.
    """
    text = json.dumps({"format": kind, "version": VERSION, **about})
    held: dict[str, Any] = {"about": np.array(text), **arrays}
    with write_atomically(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **held)
    return path


@contextmanager
def read_archive(path: Path, kind: str) -> Iterator[tuple[dict[str, NDArray[Any]], dict[str, Any]]]:
    """Read what `write_archive` wrote, and hold what is made of it in the block to be the file's fault.

    Yields:
        The arrays by name, and everything else.

    Raises:
        InputError: The file is not one of this kind, is damaged, or of a version not known here; or in the
            block something is not there, or not of the form that it has to be.
    """
    arrays, about = _read(path, kind)
    try:
        yield arrays, about
    except KeyError as error:
        raise InputError(f"{path} does not hold {kind}: it lacks {error}") from error
    except (InputError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{path} does not hold {kind}: {error}") from error


def _check_size(archive: ZipFile, packed: int) -> None:
    """Refuse a file that unpacks to many times what records of arrays do, before it fills the memory.

    Raises:
        InputError: It does.
    """
    whole = sum(member.file_size for member in archive.infolist())
    if whole > max(_UNPACKED, _TIMES * packed):
        raise InputError(f"its {packed:,} bytes would unpack to {whole:,}")


def _read(path: Path, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    try:
        # numpy leaves a file open that it opened and could not read.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            _check_size(archive.zip, path.stat().st_size)
            arrays = {name: archive[name] for name in archive.files}
            about = json.loads(str(arrays.pop("about")))
    except Exception as error:  # numpy, zipfile, zlib and json raise a dozen kinds on damaged files
        raise InputError(f"{path} does not hold {kind}: {error}") from error
    if not isinstance(about, dict) or about.get("format") != kind:
        raise InputError(f"{path} does not hold {kind}: it says otherwise")
    if about.get("version") != VERSION:
        raise InputError(f"{path} has version {about.get('version')}, this vitscope reads {VERSION}")
    return arrays, about
