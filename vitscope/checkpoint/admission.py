"""Admission: a file is examined here before anything in it is read as a checkpoint."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from vitscope.checkpoint.archive import examine_archive
from vitscope.checkpoint.extent import part_of_storage, whole_storage
from vitscope.checkpoint.outline import (
    ATTRIBUTES,
    PARAMETER,
    Name,
    Outline,
    Storage,
    TensorOutline,
    outline_pickle,
)
from vitscope.checkpoint.signature import HEAD, name_kind, printable
from vitscope.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["admit", "admit_state", "find_state", "is_of_form", "open_regular"]

_ITSELF = "give the checkpoint itself as the model"
_ONE_STATE = "in the program that made it, save model.state_dict() alone"
_VALUES, _LEVELS, _LETTERS = 1_000_000, 80, 64 << 20  # far more than any checkpoint has
_OURS = "give the best.pth or last.pth of a vitscope run"
_SHARING = 4  # how often the bytes of a state may be used by several tensors: tied weights are used twice
_NESTS = ("model", "state_dict")  # where training programs keep the weights beside other things
# What state dicts have beyond plain tensors: versions of layers, parameters, shapes.
_OF_STATES = frozenset({ATTRIBUTES, PARAMETER, "torch.Size", "torch.device"})


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
    outline, sizes = _examine(stream)
    _check_form(outline.value, form)
    if outline.foreign:
        raise CheckpointError(
            f"damaged: its pickle holds {printable(outline.foreign[0])}, which no checkpoint has"
        )
    keys = [whole_storage(tensor, sizes) for tensor in _tensors(outline.value)]
    if sorted(keys) != sorted(sizes):
        raise CheckpointError("damaged: its tensors share storages, or leave some unused")


def is_of_form(stream: BinaryIO, form: str) -> bool:
    """Tell whether a file says that it is of `form`; nothing that it holds is made.

    Raises:
        CheckpointError: It is damaged, or no archive of torch.
    """
    outline, _ = _examine(stream)
    return isinstance(outline.value, dict) and outline.value.get("format") == form


def admit_state(stream: BinaryIO) -> None:
    """Check that a file is a state dict that torch can read without harm.

    It stands alone, or under `model` or `state_dict`. As strict as `admit` in all that can act or fill the
    memory, it differs in what other programs write: tensors may be views of a storage and share it, as long
    as each lies within its bytes and all of them together are at most a few times the file.

    Raises:
        CheckpointError: It is not; the message says what it looks like.
    """
    outline, sizes = _examine(stream)
    find_state(outline.value, TensorOutline)
    if strange := [name for name in outline.foreign if name not in _OF_STATES]:
        raise CheckpointError(
            f"its pickle holds {printable(strange[0])}, which plain weights do not need",
            hint="in the program that made it, save model.state_dict() in float32 alone",
        )
    for tensor in outline.tensors:  # also what hangs on attributes, which torch makes too
        part_of_storage(tensor, sizes)
    needed = sum(part_of_storage(tensor, sizes) for tensor in _tensors(outline.value))
    if needed > _SHARING * sum(sizes.values()):
        raise CheckpointError("its tensors share their bytes so often that they would fill the memory")


def find_state(content: Any, kind: type) -> dict[str, Any]:  # noqa: ANN401 - whatever the file holds
    """Return the dictionary of weights in what a file holds: itself, or what lies under a name for it.

    Args:
        content: What the file holds, or its outline.
        kind: What a weight is there: a tensor, or the outline of one.

    Raises:
        CheckpointError: There is none, or there are two.
    """
    if isinstance(content, dict) and content.get("format") == "vitscope.checkpoint":
        raise CheckpointError(
            "it is a whole vitscope checkpoint, not weights for another model", hint=_ITSELF
        )
    inner = [content[name] for name in _NESTS if name in content] if isinstance(content, dict) else []
    found = [each for each in (content, *inner) if _is_state(each, kind)]
    if len(found) == 1:
        return dict(found[0])
    if len(found) > 1:
        raise CheckpointError(f"it holds weights under both {' and '.join(_NESTS)}", hint=_ONE_STATE)
    keys = (
        ", ".join(printable(str(key), 24) for key in list(content)[:4]) if isinstance(content, dict) else ""
    )
    shown = f"a dictionary with the keys {keys}" if keys else f"a {type(content).__name__}"
    raise CheckpointError(f"expected a state dict of named tensors, got {shown}", hint=_ONE_STATE)


def _is_state(value: object, kind: type) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(type(name) is str and isinstance(item, kind) for name, item in value.items())
    )


def _examine(stream: BinaryIO) -> tuple[Outline, dict[str, int]]:
    """Return the outline of the file's pickle and the bytes of each storage in its archive."""
    size = os.fstat(stream.fileno()).st_size
    stream.seek(0)
    head = stream.read(HEAD)
    if not head.startswith(b"PK\x03\x04"):
        kind, hint = name_kind(head, size)
        raise CheckpointError(f"it looks like {kind}, not like a checkpoint", hint=hint)
    archive = examine_archive(stream, size)
    return outline_pickle(archive.pickle), archive.sizes


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
            hint="name its architecture: timm:NAME or torchvision:NAME, with --weights and this file",
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
