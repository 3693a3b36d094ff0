"""The data sets that torchvision downloads, with their checksums."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.errors import DataError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["DOWNLOADS", "data_folder", "load_download"]

DOWNLOADS = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashion-mnist": "FashionMNIST"}
_SECONDS = 10.0


def data_folder(root: str = "") -> Path:
    """Return where downloads are kept: `root`, else `$VITSCOPE_DATA`, else the user's cache folder."""
    chosen = root or os.environ.get("VITSCOPE_DATA", "")
    if chosen:
        return Path(os.path.expanduser(chosen))  # noqa: PTH111 - takes an unknown user as it stands
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache else Path.home() / ".cache") / "vitscope"


def load_download(
    name: str, *, train: bool, root: str = ""
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Load one half of a data set that torchvision knows, downloading it first where it is missing.

    Args:
        name: One of `DOWNLOADS`.
        train: The training half, else the test half.
        root: The folder that holds it or will; see `data_folder`.

    Returns:
        Images, uint8 `[image, channel, row, column]`; labels, int64 `[image]`; the class names.

    Raises:
        EnvironmentFault: The download failed, came damaged, or cannot be written.
        DataError: What is on disk cannot be read.
    """
    folder = data_folder(root)
    dataset = _on_disk(name, folder, train=train)
    if dataset is None:
        _download(name, folder)
        dataset = _on_disk(name, folder, train=train)
    if dataset is None:
        raise EnvironmentFault(f"{name} was downloaded to {folder} but came damaged", hint="try once more")
    array = np.asarray(dataset.data, dtype=np.uint8)
    array = array[:, None] if array.ndim == 3 else np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    return array, np.asarray(dataset.targets, dtype=np.int64), tuple(str(label) for label in dataset.classes)


def _source(name: str) -> Any:  # noqa: ANN401 - torchvision has no types
    from torchvision import datasets

    return getattr(datasets, DOWNLOADS[name])


def _on_disk(name: str, folder: Path, *, train: bool) -> Any:  # noqa: ANN401 - torchvision has no types
    try:
        with warnings.catch_warnings():
            # CIFAR's files were pickled by Python 2, with an `align=0` that NumPy has come to warn of.
            warnings.simplefilter("ignore", category=np.exceptions.VisibleDeprecationWarning)
            return _source(name)(folder, train=train, download=False)
    except RuntimeError:  # torchvision's word for missing, and for a checksum that does not fit
        return None
    except Exception as error:
        raise DataError(
            f"{name} in {folder} cannot be read: {' '.join(str(error).split()) or type(error).__name__}",
            hint="remove its folder there, and it is downloaded again",
        ) from error


def _download(name: str, folder: Path) -> None:
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{name}.lock"), _short_waits(), _quiet_off_terminal():
            _fetch(_source(name), folder)
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        reason = " ".join(str(getattr(error, "reason", "") or error).split()) or type(error).__name__
        raise EnvironmentFault(
            f"cannot download {name} to {folder}: {reason}", hint=_advice(name, folder)
        ) from error


def _fetch(source: Any, folder: Path) -> None:  # noqa: ANN401 - torchvision has no types
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=np.exceptions.VisibleDeprecationWarning)
        source(folder, train=True, download=True)


def _advice(name: str, folder: Path) -> str:
    source = _source(name)
    if hasattr(source, "filename"):
        place = f"put {source.filename} (from {source.url}) into {folder}"
    else:
        place = f"put {source.__name__}/raw from another machine into {folder}"
    return f"{place}, or set VITSCOPE_DATA to a folder that has it, or give a folder of images, or use digits"


@contextmanager
def _short_waits() -> Iterator[None]:
    # urllib takes no timeout from torchvision, so the process-wide one is lent and given back.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _quiet_off_terminal() -> Iterator[None]:
    # torchvision draws its bar wherever it runs: a terminal gets it on stderr, a log file is spared.
    stream = sys.stderr if sys.stderr.isatty() else StringIO()
    with redirect_stdout(stream), redirect_stderr(stream):
        yield
