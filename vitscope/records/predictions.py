"""Predictions: one row an image, from which every metric and figure is made."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vitscope.errors import InputError
from vitscope.paths import MANIFEST, staged_folder, write_atomically, write_json
from vitscope.records.provenance import Provenance
from vitscope.records.shards import Shards
from vitscope.records.storage import create_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from vitscope.records.storage import RowReader

__all__ = ["Predictions"]

FORMAT = "vitscope.predictions"
VERSION = 1
_BLOCK = 2**20  # values looked at in one go


@dataclass(frozen=True, eq=False)
class Predictions:
    """The outputs of one model on one set of labelled images.

    Attributes:
        logits: `[image, class]`, float16, 32 or 64; may be memory-mapped, shards of which each is, or made
            when rows are read. Probabilities where `kind` says so.
        labels: `[image]`, int64, each in `0 … classes − 1`.
        classes: The class names, in the order of the logits' columns.
        names: One name an image: its path below the data folder, or its index in the split.
        kind: Whether `logits` holds logits or probabilities; never guessed from the values.
        features: `[image, feature]`, where they were asked for; may be memory-mapped.
        provenance: Where it comes from.

    Raises:
        InputError: Shapes, labels or names do not fit together.
    """

    logits: NDArray[np.floating] | RowReader
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    names: tuple[str, ...]
    kind: Literal["logits", "probabilities"] = "logits"
    features: NDArray[np.floating] | RowReader | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class with the largest logit, the first of equals; −1 where a row is not finite."""
        predicted = np.empty(len(self), dtype=np.int64)
        for rows in self._blocks():
            predicted[rows] = self.logits[rows].argmax(axis=1)
        return np.where(self.finite, predicted, -1)

    @cached_property
    def finite(self) -> NDArray[np.bool_]:
        """Which rows are finite throughout: `[image]`."""
        finite = np.empty(len(self), dtype=np.bool_)
        for rows in self._blocks():
            np.isfinite(self.logits[rows]).all(axis=1, out=finite[rows])
        return finite

    def _blocks(self) -> Iterator[slice]:
        step = max(1, _BLOCK // self.logits.shape[1])
        return (slice(start, start + step) for start in range(0, len(self), step))

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the logits in float64, all at once: `[image, class]`; not-finite rows are NaN."""
        values = np.array(self.logits, dtype=np.float64)
        values[~self.finite] = np.nan
        if self.kind == "logits":
            values -= values.max(axis=1, keepdims=True)
            np.exp(values, out=values)
            values /= values.sum(axis=1, keepdims=True)
        return values

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Predictions:
        """Return the chosen images, by a mask or by indices; their logits are copied into memory."""
        index = np.arange(len(self))[rows]
        return replace(
            self,
            logits=self.logits[index],
            labels=self.labels[index],
            names=tuple(self.names[place] for place in index),
            features=None if self.features is None else self.features[index],
        )

    def save(self, folder: Path | str, *, overwrite: bool = False) -> Path:
        """Write the folder: `samples.parquet`, `logits.npy`, `features.npy`, and `manifest.json` last.

        Logits in shards are written as they are, `logits-00000.npy` and so on.

        Raises:
            OutputError: The folder exists and `overwrite` is off.
            EnvironmentFault: It cannot be written there.
        """
        folder = Path(folder)
        with staged_folder(folder, overwrite=overwrite) as stage:
            self.write(stage)
        return folder

    def write(self, stage: Path) -> None:
        """Write the record's files into a folder that the caller keeps whole.

        Logits that are memory-mapped from the very file that would be written are left where they are.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {"name": _text_column(self.names), "label": self.labels, "predicted": self.predicted}
        with write_atomically(stage / "samples.parquet") as temporary:
            pq.write_table(pa.table(columns), temporary)
        parts = self.logits.parts if isinstance(self.logits, Shards) else (self.logits,)
        files = _logit_files(stage, len(parts) if isinstance(self.logits, Shards) else 0)
        for file, part in zip(files, parts, strict=True):
            _write_array(file, part)
        if self.features is not None:
            _write_array(stage / "features.npy", self.features)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "n": len(self),
            "classes": list(self.classes),
            "kind": self.kind,
            "features": self.features is not None,
            "shards": len(parts) if isinstance(self.logits, Shards) else 0,
            "provenance": self.provenance.to_dict(),
        }
        write_json(stage / MANIFEST, manifest)

    @classmethod
    def load(cls, folder: Path | str) -> Predictions:
        """Open a predictions folder; logits and features stay on disk, memory-mapped.

        Raises:
            InputError: The folder is not a whole predictions folder of a version known here.
        """
        folder = Path(folder)
        manifest = _read_manifest(folder)
        try:
            names, labels = _read_samples(folder / "samples.parquet")
            if len(labels) != manifest["n"]:
                raise InputError(f"{MANIFEST} says {manifest['n']} images, samples.parquet has {len(labels)}")
            return cls(
                logits=_read_logits(folder, manifest.get("shards", 0)),
                labels=labels,
                classes=tuple(manifest["classes"]),
                names=names,
                kind=manifest["kind"],
                features=_read_array(folder / "features.npy") if manifest["features"] else None,
                provenance=Provenance.from_dict(manifest["provenance"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            raise InputError(
                f"{folder} is not a whole predictions folder: {error}",
                hint="make it again with `vitscope evaluate`",
            ) from error


class _Stream:
    """A file of which NumPy knows only `write`: its own `tofile` hides why a write fails, a full disk too."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self.write = write


def _logit_files(folder: Path, shards: int) -> list[Path]:
    if not shards:
        return [folder / "logits.npy"]
    return [folder / f"logits-{index:05d}.npy" for index in range(shards)]


def _read_logits(folder: Path, shards: int) -> NDArray[np.floating] | Shards:
    arrays = [_read_array(file) for file in _logit_files(folder, shards)]
    return Shards(arrays) if shards else arrays[0]


def _write_array(path: Path, array: NDArray[np.floating] | RowReader) -> None:
    if isinstance(array, np.memmap) and _is_all_of(array, path):
        array.flush()
        return
    if not isinstance(array, np.ndarray):
        _write_rows(path, array)
        return
    with write_atomically(path) as temporary, temporary.open("wb") as stream:
        np.save(_Stream(stream.write), array, allow_pickle=False)


def _write_rows(path: Path, array: RowReader) -> None:
    with write_atomically(path) as temporary:
        place = create_array(temporary, array.shape, array.dtype)
        step = max(1, _BLOCK // array.shape[1])
        for start in range(0, len(array), step):
            place[start : start + step] = array[start : start + step]
        place.flush()


def _is_all_of(array: np.memmap[Any, Any], path: Path) -> bool:
    """Tell whether the array is the whole content of the file: a part of it keeps its name."""
    same = array.filename is not None and Path(array.filename) == path.resolve()
    return same and path.stat().st_size == array.offset + array.nbytes


def _read_array(path: Path) -> NDArray[np.floating]:
    try:
        array: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header raises whatever Python's tokenizer raises
        raise InputError(f"{path.name} is damaged: {error}") from error
    return array


def _text_column(texts: tuple[str, ...]) -> list[str] | list[bytes]:
    """Return the names as Parquet can hold them: bytes, where a file name is not valid Unicode."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return [text.encode(errors="surrogateescape") for text in texts]
    return list(texts)


def _read_samples(path: Path) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["name", "label"])
    except pa.ArrowException as error:
        raise InputError(f"samples.parquet is damaged: {error}") from error
    names = table["name"].to_pylist()
    texts = (name.decode(errors="surrogateescape") if isinstance(name, bytes) else name for name in names)
    return tuple(texts), np.asarray(table["label"].to_numpy(), dtype=np.int64)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{folder} is not a predictions folder: no readable {MANIFEST}",
            hint="`vitscope evaluate best.pth` writes one",
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{folder} is not a predictions folder: its {MANIFEST} says otherwise")
    if manifest.get("version") != VERSION:
        raise InputError(f"{folder} has version {manifest.get('version')}, this vitscope reads {VERSION}")
    return manifest


def _check(record: Predictions) -> None:
    logits, labels = record.logits, record.labels
    if logits.ndim != 2 or not np.issubdtype(logits.dtype, np.floating):
        raise InputError(f"expected logits as floats [image, class], got {logits.dtype} {list(logits.shape)}")
    count, width = logits.shape
    if not width:
        raise InputError("expected logits of at least one class, got none")
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"expected {count} integer labels, got {labels.dtype} {list(labels.shape)}")
    if count and not (int(labels.min()) >= 0 and int(labels.max()) < width):
        raise InputError(f"expected labels in 0 … {width - 1}, got {labels.min()} … {labels.max()}")
    if record.kind not in ("logits", "probabilities"):
        raise InputError(f"expected kind `logits` or `probabilities`, got {record.kind!r}")
    _check_names("class names, one a column", record.classes, width)
    _check_names("image names", record.names, count)
    features = record.features
    if features is not None and (features.ndim != 2 or len(features) != count):
        raise InputError(f"expected features [image, feature] of {count} images, got {list(features.shape)}")


def _check_names(what: str, names: tuple[str, ...], count: int) -> None:
    if len(names) != count:
        raise InputError(f"expected {count} {what}, got {len(names)}")
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"expected {what} as text")
