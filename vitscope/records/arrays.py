"""Predictions from arrays that any program can write: logits and labels as `.npy`, class names as text."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vitscope.errors import InputError
from vitscope.paths import natural_key
from vitscope.records.predictions import Predictions
from vitscope.records.provenance import Provenance
from vitscope.records.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_arrays", "read_logits", "read_names"]

_LABELS, _NAMES = 256 << 20, 64 << 20  # bytes of a text file; ImageNet's 1.3 million labels need 5 MB
_DIGITS = 12  # of an index: more than any model has classes, and it fits the integers of NumPy
_SURROGATE = re.compile("[\ud800-\udfff]")  # alone; JSON can hold them, text cannot
_ARCHIVE, _ARRAY = b"PK", b"\x93NUMPY"  # how a .npz and a .npy begin


def read_arrays(
    logits: Sequence[Path],
    labels: Path,
    *,
    classes: Path | None = None,
    kind: Literal["logits", "probabilities"] = "logits",
) -> Predictions:
    """Open logits `[image, class]` and labels `[image]` as predictions; the logits stay on disk.

    Args:
        logits: One `.npy` file, several in order, or one folder of them, taken in the natural order of
            their names: `part2.npy` before `part10.npy`.
        labels: A `.npy` file of whole numbers, or a text file with one label a line: the classes' names in
            all lines, or their indices in all. Where the names are numbers themselves and the two readings
            differ, the file is refused.
        classes: A text file with one name a line, or a JSON list of names; `0`, `1`, … without it.
        kind: Whether the scores are logits or probabilities; never guessed from the values.

    Raises:
        InputError: A file cannot be read, or they do not fit together.
    """
    scores = read_logits(logits)
    names = tuple(map(str, range(scores.shape[1]))) if classes is None else read_names(classes)
    if len(names) != scores.shape[1]:
        raise InputError(
            f"expected {scores.shape[1]} class names, one a column, got {len(names)} in {classes}"
        )
    values = _read_labels(labels, names)
    if len(values) != len(scores):
        raise InputError(
            f"expected {len(scores):,} labels, one a row of logits, got {len(values):,} in {labels}"
        )
    return Predictions(
        logits=scores,
        labels=values,
        classes=names,
        names=tuple(map(str, range(len(values)))),
        kind=kind,
        provenance=Provenance.collect(data=", ".join(str(path) for path in logits)),
    )


def read_logits(paths: Sequence[Path]) -> NDArray[np.floating] | Shards:
    """Open one or more `.npy` files of floats `[image, class]`, or a folder of them, memory-mapped.

    Raises:
        InputError: There is none, one is not such a file, or they do not fit together.
    """
    files = [file for path in paths for file in _parts(path)]
    if not files:
        raise InputError(f"there is no .npy file in {', '.join(map(str, paths))}")
    arrays = [_read_array(file) for file in files]
    for file, array in zip(files, arrays, strict=True):
        if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating) or not array.shape[1]:
            raise InputError(
                f"expected floats [image, class] in {file}, got {array.dtype} {list(array.shape)}",
                hint="save them with numpy.save('logits.npy', logits)",
            )
    return arrays[0] if len(arrays) == 1 else Shards(arrays)


def read_names(path: Path) -> tuple[str, ...]:
    """Read names from a text file with one a line, or a JSON list of text.

    Lines end at a line feed, a carriage return or both; other separators of Unicode belong to the name.

    Raises:
        InputError: It cannot be read, holds none, or a name stands twice.
    """
    text = _read_text(path, _NAMES)
    names: Any = _lines(text)
    if path.suffix.lower() == ".json":
        try:
            names = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"expected one name a line in {path}, none empty, or a JSON list of names")
    seen: dict[str, int] = {}
    for line, name in enumerate(names, 1):
        if _SURROGATE.search(name):
            raise InputError(f"{path} has {name[:80]!r} as name {line}, which is not valid Unicode")
        if name in seen:
            raise InputError(f"{path} has {name!r} twice, as names {seen[name]} and {line}")
        seen[name] = line
    return tuple(names)


def _read_labels(path: Path, classes: tuple[str, ...]) -> NDArray[np.int64]:
    if path.suffix.lower() == ".npy":
        values = np.asarray(_read_array(path))
        if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
            raise InputError(
                f"expected whole numbers [image] in {path}, got {values.dtype} {list(values.shape)}"
            )
        return _checked(values, path, len(classes))
    words = _lines(_read_text(path, _LABELS))
    return _checked(_understood(words, path, classes), path, len(classes))


def _understood(words: list[str], path: Path, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Read the lines of a file as names or as indices, all in the same way.

    Raises:
        InputError: Neither is possible, or both are and differ.
    """
    index = {name: place for place, name in enumerate(classes)}
    named = np.fromiter((index.get(word, -1) for word in words), np.int64, len(words))
    counted = np.fromiter(map(_whole_number, words), np.int64, len(words))
    unnamed, uncounted = _first(named < 0), _first(counted < 0)
    if unnamed < len(words) and uncounted < len(words):
        odd = max(unnamed, uncounted)
        expected = "index or name"
        if unnamed != uncounted:
            expected = ("name" if odd == unnamed else "index") + ", as in the lines before"
        raise InputError(f"{path}, line {odd + 1}: expected a class's {expected}, got {words[odd][:80]!r}")
    if unnamed < len(words):
        return counted
    differs = _first(named != counted)
    if uncounted < len(words) or differs == len(words) or (counted >= len(classes)).any():
        return named
    raise InputError(
        f"{path}, line {differs + 1}: {words[differs]!r} is the name of class {named[differs]} and also "
        f"the index of class {counted[differs]}, {classes[counted[differs]][:80]!r}",
        hint="give the labels as a .npy file of indices, or the classes names that are not numbers",
    )


def _whole_number(word: str) -> int:
    digits = word.strip()
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) <= _DIGITS else -1


def _first(mask: NDArray[np.bool_]) -> int:
    """Return the place of the first that is true; the length where none is."""
    return int(mask.argmax()) if mask.any() else len(mask)


def _checked(values: NDArray[Any], path: Path, count: int) -> NDArray[np.int64]:
    wrong = np.flatnonzero((values < 0) | (values >= count))
    if wrong.size:
        raise InputError(
            f"expected labels in 0 … {count - 1}, got {values[wrong[0]]} for image {wrong[0]} in {path}",
            hint="rows to be ignored, such as -100 or -1, must be left out of both files",
        )
    return values.astype(np.int64)


def _parts(path: Path) -> list[Path]:
    if not os.path.isdir(path):
        return [path]
    return sorted(path.glob("*.npy"), key=lambda file: natural_key(file.name))


def _read_array(path: Path) -> NDArray[Any]:
    _check_file(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(len(_ARRAY))
        if head.startswith(_ARCHIVE):
            raise InputError(
                f"{path} is an archive, expected a .npy file", hint="save one array with numpy.save"
            )
        if head != _ARRAY:
            raise InputError(f"{path} is not a .npy file of numbers")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of shapes that overflow, which are refused all the same
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except Exception as error:  # a damaged header raises whatever Python's tokenizer raises
        raise InputError(f"{path} is not a .npy file of numbers: {_reason(error)}") from error
    return array


def _reason(error: Exception) -> str:
    """Return why NumPy does not read a file, without its advice to trust the file."""
    reason = " ".join(str(error).split())
    if "Python objects" in reason:
        return "it holds Python objects"
    if "greater than file size" in reason:
        return "it is shorter than its header says"
    return "its header is damaged" if "pickle" in reason else reason[:160]


def _read_text(path: Path, limit: int) -> str:
    _check_file(path, limit)
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read {path}: {reason.lower()}") from error


def _check_file(path: Path, limit: float = math.inf) -> None:
    """Refuse what is no regular file, before it is opened: a pipe would be waited at for ever."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read {path}: {reason.lower()}") from error
    if not stat.S_ISREG(status.st_mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"))
        kind = next((word for matches, word in kinds if matches(status.st_mode)), "a device")
        raise InputError(f"{path} is not a regular file but {kind}", hint="give a file on disk")
    if status.st_size > limit:
        raise InputError(f"{path} has {status.st_size:,} bytes, expected a text file of {limit:,} at most")


def _lines(text: str) -> list[str]:
    """Split at line feeds alone, which all ends of lines have become when a text was read."""
    return text.removesuffix("\n").split("\n") if text else []
