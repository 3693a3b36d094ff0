"""Admission: a file is examined here before anything in it is read as a checkpoint."""

from __future__ import annotations

import math
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from vitscope.checkpoint.archive import examine_archive
from vitscope.checkpoint.outline import ITEM_SIZES, Name, Storage, TensorOutline, outline_pickle
from vitscope.checkpoint.signature import HEAD, name_kind, printable
from vitscope.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["admit", "open_regular"]

_VALUES, _LEVELS, _LETTERS = 1_000_000, 80, 64 << 20  # far more than any checkpoint has
_DIMENSIONS = 64
_OURS = "give the best.pth or last.pth of a vitscope run"


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading, without waiting at pipes.

    Raises:
        CheckpointError: There is none, it is something else, or it cannot be read.
    """
    try:
        # A pipe opened for reading waits for a writer unless told otherwise.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise CheckpointError("there is no such file", hint="`vitscope train` makes one") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CheckpointError(f"it cannot be read: {reason.lower()}") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise _describe_folder(path)
        if not stat.S_ISREG(mode):
            kind = "a pipe" if stat.S_ISFIFO(mode) else "a device"
            raise CheckpointError(f"it is {kind}, not a file", hint="write it to a file first")
        stream = os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
    with stream:
        yield stream


def admit(stream: BinaryIO, form: str) -> None:
    """Check that a file is one of `form` that torch can read without harm.

    Raises:
        CheckpointError: It is not; the message says what it looks like.
    """
    size = os.fstat(stream.fileno()).st_size
    stream.seek(0)
    head = stream.read(HEAD)
    if not head.startswith(b"PK\x03\x04"):
        kind, hint = name_kind(head, size)
        raise CheckpointError(f"it looks like {kind}, not like a checkpoint", hint=hint)
    archive = examine_archive(stream, size)
    outline = outline_pickle(archive.pickle)
    _check_form(outline.value, form)
    if outline.foreign:
        raise CheckpointError(
            f"damaged: its pickle holds {printable(outline.foreign)}, which no checkpoint has"
        )
    tensors = _tensors(outline.value)
    keys = [_storage_key(tensor, archive.sizes) for tensor in tensors]
    if sorted(keys) != sorted(archive.sizes):
        raise CheckpointError("damaged: its tensors share storages, or leave some unused")


def _describe_folder(path: Path) -> CheckpointError:
    names = {entry.name for entry in path.iterdir()} if os.access(path, os.R_OK) else set()
    for name in ("best.pth", "last.pth"):
        if name in names:
            return CheckpointError("it is a folder, not a file", hint=f"give {path / name}")
    if ".metadata" in names or any(name.endswith(".distcp") for name in names):
        return CheckpointError(
            "it looks like a distributed checkpoint, a folder, which is not read", hint=_OURS
        )
    if "config.json" in names:
        return CheckpointError(
            "it looks like a Hugging Face model's folder, not like a checkpoint", hint=_OURS
        )
    return CheckpointError("it is a folder, not a file", hint=_OURS)


def _check_form(value: Any, form: str) -> None:  # noqa: ANN401 - whatever the pickle describes
    if isinstance(value, dict) and value.get("format") == form:
        return
    if isinstance(value, TensorOutline):
        raise CheckpointError("it holds one tensor, not a checkpoint", hint=_OURS)
    if not isinstance(value, dict):
        raise CheckpointError(f"it holds a {type(value).__name__}, not a checkpoint", hint=_OURS)
    if value and all(isinstance(item, TensorOutline) for item in value.values()):
        first = printable(str(next(iter(value))), 40)
        raise CheckpointError(
            f"it is a bare state dict of {len(value)} tensors (`{first}`, …), not a vitscope checkpoint",
            hint="it lacks the model's name, classes and preprocessing: build the model in Python first",
        )
    keys = ", ".join(printable(str(key), 24) for key in list(value)[:4])
    raise CheckpointError(
        f"it is a dictionary of another program (keys {keys}), not a vitscope checkpoint", hint=_OURS
    )


def _tensors(value: Any) -> list[TensorOutline]:  # noqa: ANN401 - nested
    """Walk through a description within bounds: shared parts count each time, as a reader would meet them."""
    tensors: list[TensorOutline] = []
    waiting, count, letters = [(value, 0)], 0, 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        letters += len(item) if isinstance(item, str) else 0
        if count > _VALUES or depth > _LEVELS or letters > _LETTERS:
            raise CheckpointError("it holds more nested values than a checkpoint needs")
        if isinstance(item, TensorOutline):
            tensors.append(item)
        elif isinstance(item, dict):
            waiting += [(each, depth + 1) for pair in item.items() for each in pair]
        elif isinstance(item, list | tuple):
            waiting += [(each, depth + 1) for each in item]
        elif isinstance(item, Name | Storage):
            raise CheckpointError("damaged: its pickle holds parts of tensors")
    return tensors


def _storage_key(tensor: TensorOutline, sizes: dict[str, int]) -> str:
    """Hold a tensor to its bytes in the archive: the whole of one storage, in order, and nothing beyond."""
    try:
        storage, offset, shape, stride, requires_grad, hooks = tensor.arguments
        word, kind, key, _, count = storage.identity
        item_size = ITEM_SIZES[kind.path]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError("damaged: it describes a tensor that makes no sense") from error
    sound = word == "storage" and type(key) is str and requires_grad is False and hooks == {}
    if not sound or not _are_sizes(shape) or not _are_sizes(stride) or not _are_sizes((offset, count)):
        raise CheckpointError("damaged: it describes a tensor that makes no sense")
    if offset or math.prod(shape) != count or not _in_order(shape, stride):
        shown = printable("x".join(map(str, shape)))
        raise CheckpointError(
            f"damaged: it describes a tensor ({shown}) that is not the whole of its storage",
            hint="such a tensor can be larger than the memory: get the original",
        )
    if sizes.get(key) != count * item_size:
        raise CheckpointError(
            f"damaged: a tensor needs {count * item_size} bytes where its storage has {sizes.get(key, 0)}"
        )
    return str(key)


def _are_sizes(numbers: Any) -> bool:  # noqa: ANN401 - whatever the pickle describes
    if not isinstance(numbers, tuple) or len(numbers) > _DIMENSIONS:
        return False
    return all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)


def _in_order(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether the last dimension runs fastest; the stride of a dimension of size one says nothing."""
    if len(shape) != len(stride):
        return False
    step = 1
    for size, stepped in zip(reversed(shape), reversed(stride), strict=True):
        if size > 1 and stepped != step and step:
            return False
        step *= size
    return True
