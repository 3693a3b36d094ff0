"""Image folders: where the splits, the classes and the images of a folder are."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.data.images import IMAGE_SUFFIXES
from vitscope.errors import DataError
from vitscope.paths import natural_key

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FolderImages",
    "FolderLayout",
    "find_layout",
    "list_classes",
    "list_files",
    "list_images",
]

_SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_EXPECTED = "expected train/ and test/ with a folder for each class, or one folder for each class"


@dataclass(frozen=True)
class FolderLayout:
    """Which folder holds which split; `whole` where the classes stand side by side without splits.

    Attributes:
        root: The data folder.
        train: The training images, if they have a folder of their own.
        validation: The validation images, if they have one beside train and test.
        test: The test images, if they have one.
    """

    root: Path
    train: Path | None = None
    validation: Path | None = None
    test: Path | None = None

    @property
    def whole(self) -> bool:
        """Whether the folder is not divided into splits."""
        return self.train is None and self.test is None


@dataclass(frozen=True)
class FolderImages:
    """The images of a folder of class folders.

    Attributes:
        classes: The class folders' names, in natural order.
        labels: One label an image.
        names: One path an image, below the data folder, with forward slashes.
        paths: One file an image.
    """

    classes: tuple[str, ...]
    labels: list[int]
    names: list[str]
    paths: list[Path]


def find_layout(root: Path) -> FolderLayout:
    """Find out how a data folder is divided.

    `train/` with `test/` or `val/` are splits; a `val/` without a `test/` is the test split. A folder without
    them is one set of class folders.

    Raises:
        DataError: There is no such folder, or it is a file, or it is empty.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DataError(f"expected a folder of images, but {root} {what}", hint=_EXPECTED)
    folders = {path.name: path for path in _subfolders(root)}
    found = {
        split: next((folders[alias] for alias in aliases if alias in folders), None)
        for split, aliases in _SPLIT_FOLDERS.items()
    }
    train, validation, test = found["train"], found["validation"], found["test"]
    divided = train is not None and (test is not None or validation is not None)
    only_splits = bool(folders) and set(folders) <= {
        alias for group in _SPLIT_FOLDERS.values() for alias in group
    }
    if not (divided or only_splits):
        return FolderLayout(root)
    if test is None:
        test, validation = validation, None
    return FolderLayout(root, train=train, validation=validation, test=test)


def list_classes(folder: Path) -> tuple[str, ...]:
    """Return the class names of a folder of class folders, in natural order.

    Raises:
        DataError: There are fewer than two.
    """
    classes = tuple(sorted((path.name for path in _subfolders(folder)), key=natural_key))
    if not classes:
        what = "holds images but no class folders" if _has_images(folder) else "holds no class folders"
        raise DataError(f"{folder} {what}", hint=_EXPECTED)
    if len(classes) == 1:
        raise DataError(f"expected two classes or more in {folder}, got only {classes[0]!r}", hint=_EXPECTED)
    return classes


def list_images(folder: Path, *, root: Path) -> FolderImages:
    """List the images below each class folder, in natural order.

    Hidden files and folders and files without an image's suffix are left out. A directory is visited once,
    however many links lead to it, and links to a directory above the data folder are not followed.

    Args:
        folder: The folder that holds the class folders.
        root: The data folder, below which names are given.

    Raises:
        DataError: Fewer than two classes, a class without images, or a folder that cannot be listed.
    """
    classes = list_classes(folder)
    lineage = _lineage(root)
    visited = lineage | {_identity(folder)}
    for name in classes:  # all before the first is walked: a link from one class into another is not followed
        identity = _identity(folder / name)
        if identity in visited:
            raise DataError(f"the class folder {folder / name} is a link to another folder of the same data")
        visited.add(identity)
    found = FolderImages(classes, [], [], [])
    prefix = os.path.join(root, "")  # noqa: PTH118 - with the separator at its end; a tenth of relative_to's time
    for label, name in enumerate(classes):
        files = sorted(_walk(folder / name, visited), key=natural_key)
        if not files:
            raise DataError(f"the class folder {folder / name} holds no images", hint="fill it or remove it")
        found.labels.extend([label] * len(files))
        found.names.extend(file.removeprefix(prefix).replace(os.sep, "/") for file in files)
        found.paths.extend(map(Path, files))
    return found


def list_files(folder: Path) -> tuple[list[str], list[Path]]:
    """List all images in and below a folder, in class folders or not, as `list_images` does those of a class.

    Returns:
        Their paths below the folder, with forward slashes, and the files.

    Raises:
        DataError: It is not a folder, cannot be listed, or holds no images.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"expected a folder of images, but {folder} {what}")
    files = sorted(_walk(folder, _lineage(folder)), key=natural_key)
    if not files:
        raise DataError(
            f"{folder} holds no images", hint="known by their ends: " + ", ".join(sorted(IMAGE_SUFFIXES))
        )
    prefix = os.path.join(folder, "")  # noqa: PTH118 - as above
    return [file.removeprefix(prefix).replace(os.sep, "/") for file in files], list(map(Path, files))


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"cannot list the folder {folder}: {reason}", hint="make it readable") from error


def _subfolders(folder: Path) -> list[Path]:
    with _explained(folder):
        return [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir()]


def _has_images(folder: Path) -> bool:
    with _explained(folder):
        return any(_is_image_name(path.name) for path in folder.iterdir())


def _is_image_name(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - a tenth of Path's time


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _lineage(root: Path) -> set[tuple[int, int]]:
    resolved = root.resolve()
    return {_identity(folder) for folder in (resolved, *resolved.parents)}


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _walk(start: Path, visited: set[tuple[int, int]]) -> list[str]:
    files: list[str] = []
    pending = [start]
    while pending:
        folder = pending.pop()
        below: list[Path] = []
        with _explained(folder), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_directory(entry):
                    below.append(Path(entry.path))
                elif _is_image_name(entry.name):
                    files.append(entry.path)
        # Real folders before links, each by name: the disk's order must not decide which way in counts.
        for child in sorted(below, key=lambda path: (path.is_symlink(), path.name)):
            with _explained(child):
                identity = _identity(child)
            if identity not in visited:
                visited.add(identity)
                pending.append(child)
    return files
