"""Predictions from arrays that any program can write: logits and labels as `.npy`, class names as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vitscope.errors import InputError
from vitscope.records.predictions import Predictions
from vitscope.records.provenance import Provenance
from vitscope.records.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_arrays", "read_logits", "read_names"]


def read_arrays(
    logits: Sequence[Path],
    labels: Path,
    *,
    classes: Path | None = None,
    kind: Literal["logits", "probabilities"] = "logits",
) -> Predictions:
    """Open logits `[image, class]` and labels `[image]` as predictions; the logits stay on disk.

    Args:
        logits: One `.npy` file, several in order, or one folder of them, taken in the order of their names.
        labels: A `.npy` file of whole numbers, or a text file with one label a line, each a class's index or
            its name.
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
    files = [file for path in paths for file in (sorted(path.glob("*.npy")) if path.is_dir() else [path])]
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

    Raises:
        InputError: It cannot be read, holds none, or a name stands twice.
    """
    text = _read_text(path)
    names: Any = text.splitlines()
    if path.suffix.lower() == ".json":
        try:
            names = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"expected one name a line in {path}, none empty, or a JSON list of names")
    seen: dict[str, int] = {}
    for line, name in enumerate(names, 1):
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
    index = {name: place for place, name in enumerate(classes)}
    found = []
    for line, word in enumerate(_read_text(path).splitlines(), 1):
        if word in index:
            found.append(index[word])
        elif word.strip().isdecimal() and word.strip().isascii():
            found.append(int(word))
        else:
            raise InputError(f"{path}, line {line}: expected a class's index or name, got {word[:80]!r}")
    return _checked(np.array(found, dtype=np.int64), path, len(classes))


def _checked(values: NDArray[Any], path: Path, count: int) -> NDArray[np.int64]:
    wrong = np.flatnonzero((values < 0) | (values >= count))
    if wrong.size:
        raise InputError(
            f"expected labels in 0 … {count - 1}, got {values[wrong[0]]} for image {wrong[0]} in {path}",
            hint="rows to be ignored, such as -100 or -1, must be left out of both files",
        )
    return values.astype(np.int64)


def _read_array(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except Exception as error:  # a damaged header raises whatever Python's tokenizer raises
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path} is not a .npy file of numbers: {reason}") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an archive, expected a .npy file", hint="save one array with numpy.save")
    return array


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read {path}: {reason.lower()}") from error
