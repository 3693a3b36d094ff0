"""Files and folders: written whole or not at all, told apart by their manifest, put in natural order."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.errors import EnvironmentFault, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "folder_format",
    "fresh_path",
    "natural_key",
    "staged_folder",
    "utc_stamp",
    "write_atomically",
    "write_json",
    "write_text",
]

MANIFEST = "manifest.json"
_LOCK = ".lock"
_LARGEST = 64 << 20  # bytes of a manifest; ours have kilobytes, or a few megabytes of class names
# What can only come from writing: other errors count when they name a path of ours.
_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
_LONGEST = 240  # bytes of a name; most file systems take 255, and the temporary names are longer


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an operating-system error of writing `path` into one clear line; errors of other files pass.

    Raises:
        EnvironmentFault: No space, no permission, a read-only disk or a file where a folder should be.
    """
    try:
        yield
    except OSError as error:
        if not _concerns(error, path):
            raise
        raise EnvironmentFault(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}",
            hint="choose another place with --out, or make room there",
        ) from error


def _concerns(error: OSError, path: Path) -> bool:
    if error.errno is None or error.filename is None:
        return error.errno in _WRITING
    if isinstance(error.filename, int):
        return True
    named = Path(os.path.abspath(os.fsdecode(error.filename)))  # noqa: PTH100 - links stay as they are
    whole = Path(os.path.abspath(path))  # noqa: PTH100
    ours = {whole, *(_beside(whole, suffix) for suffix in ("partial", "old", "failed"))}
    return named in whole.parents or not ours.isdisjoint({named, *named.parents})


def _beside(path: Path, suffix: str) -> Path:
    """Return the hidden name of what will be, or was, `path`."""
    name = path.name
    if len(os.fsencode(name)) + len(suffix) + 2 > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return path.with_name(f".{name}.{suffix}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary file's path; on success it takes the place of `path`, else it is removed.

    The file is flushed to disk, renamed, and the folder flushed, so that a kill or a power cut leaves the
    old file or the new one, whole. One process may write a given path at a time.

    Raises:
        EnvironmentFault: The disk is full, read-only or not ours to write.
    """
    temporary = _beside(path, "partial")
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)  # what a killed process left, or a link to elsewhere
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` in UTF-8, whole or not at all."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write `value` as indented JSON; NaN and infinity are refused, since JSON has neither."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # Names that are not Unicode hold lone surrogates; as \udcff they are valid JSON and come back exactly.
    write_text(path, text.encode(errors="backslashreplace").decode())


def utc_stamp() -> str:
    """Return the time now as a file name can hold it, like `20261121T034512Z`."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def natural_key(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """Return a sorting key by which `class 2` comes before `class 10`."""
    parts = re.split(r"([0-9]+)", name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part.casefold()) for part in parts], name


def fresh_path(path: Path) -> Path:
    """Return `path`, or `path-2`, `path-3`… : the first that does not exist."""
    candidate, count = path, 1
    while candidate.exists():
        count += 1
        candidate = path.with_name(f"{path.name}-{count}")
    return candidate


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuse an output folder that exists, before any long work.

    Raises:
        OutputError: It exists and `overwrite` is off, or it was not made by vitscope.
    """
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise OutputError(f"the output {path} exists", hint="choose another --out, or add --overwrite")
    if not is_ours(path):
        raise OutputError(
            f"the output {path} was not made by vitscope (it has no {MANIFEST} of ours)",
            hint="choose another --out: only vitscope's own folders are overwritten",
        )


def is_ours(folder: Path) -> bool:
    """Return whether a folder has a manifest that vitscope wrote."""
    return folder_format(folder).startswith("vitscope.")


def folder_format(folder: Path) -> str:
    """Return what a folder's manifest says that it is, such as `vitscope.predictions`.

    Empty where there is no manifest, or none that can be read: a pipe is not waited at, and a file far
    larger than any manifest is not read.
    """
    path = folder / MANIFEST
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return ""
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    kind = manifest.get("format") if isinstance(manifest, dict) else None
    return kind if isinstance(kind, str) else ""


@contextmanager
def staged_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a hidden folder beside `path` that becomes `path` when all went well, and vanishes otherwise.

    Args:
        path: The folder to make.
        overwrite: Replace a folder that vitscope made before; the old one stays until the new one is whole.

    Raises:
        OutputError: The folder exists, or another process is making it.
        EnvironmentFault: It cannot be written there.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - `.` has no name, and `a/../a` none once `a` is moved
    check_output(path, overwrite=overwrite)
    stage = _beside(path, "partial")
    with explained(path), _only_writer(stage, path) as failed:
        _recover(stage, path)
        try:
            check_output(path, overwrite=overwrite)  # another process may just have made it
            yield stage
            _exchange(stage, path, overwrite=overwrite)
        except BaseException:
            # Moved away first, since another process may make the stage anew while this one is being emptied.
            with suppress(OSError):
                stage.rename(failed)
            raise


@contextmanager
def _only_writer(stage: Path, path: Path) -> Iterator[Path]:
    """Hold the lock inside `stage`, which a killed process gives back; yield where a failed stage goes.

    The lock's file is removed before the lock is given back, and from where nobody looks for it, so that
    two processes never hold locks of two files at one path.
    """
    from filelock import FileLock, Timeout

    stage.mkdir(parents=True, exist_ok=True)
    lock = FileLock(stage / _LOCK)
    try:
        lock.acquire(timeout=0)
    except (Timeout, FileNotFoundError):
        raise OutputError(f"another process is writing {path}", hint="choose another --out") from None
    failed = _beside(path, "failed")
    try:
        shutil.rmtree(failed, ignore_errors=True)
        yield failed
    finally:
        shutil.rmtree(failed, ignore_errors=True)
        with suppress(OSError):
            (path / _LOCK).unlink(missing_ok=True)
        lock.release()


def _recover(stage: Path, path: Path) -> None:
    """Clear what a killed process left: a half-made stage, or an old folder already moved aside."""
    old = _beside(path, "old")
    if old.is_dir() and not os.path.lexists(path):
        old.rename(path)
    for stale in stage.iterdir():
        if stale.name != _LOCK:
            shutil.rmtree(stale) if stale.is_dir() and not stale.is_symlink() else stale.unlink()


def _exchange(stage: Path, path: Path, *, overwrite: bool) -> None:
    check_output(path, overwrite=overwrite)
    old = _beside(path, "old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    try:
        stage.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    _sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)
