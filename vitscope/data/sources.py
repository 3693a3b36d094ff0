"""Finding a data set by its name or its folder, and one split of it."""

from __future__ import annotations

import difflib
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vitscope.data.downloads import DOWNLOADS, load_download
from vitscope.data.folders import FolderLayout, find_layout, list_classes, list_images
from vitscope.data.imageset import ImageSet
from vitscope.data.split import stratified_split
from vitscope.errors import DataError

__all__ = ["DataSpec", "Split", "dataset_names", "load_split"]

Split = Literal["train", "validation", "test"]
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class DataSpec:
    """What to load and how to divide it: all that a checkpoint needs to find its data again.

    Attributes:
        source: A name of `dataset_names`, or the path of an image folder.
        root: Where downloads are kept; empty for `$VITSCOPE_DATA` or the user's cache folder.
        validation: The share of the training images held out for validation, 0 ≤ share < 1, unless the folder
            has a `val/` beside `train/` and `test/`.
        test: The share held out for testing where the source is not divided, 0 ≤ share ≤ 1; 1 makes all of it
            the test split.
        split_seed: The seed of both.

    Raises:
        DataError: A value is out of range.
    """

    source: str
    root: str = ""
    validation: float = 0.1
    test: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not self.source or not isinstance(self.root, str):
            raise DataError(f"expected a data set's name or folder, got {self.source!r}, in {self.root!r}")
        if type(self.split_seed) is not int:
            raise DataError(f"expected a whole number as split seed, got {self.split_seed!r}")
        if type(self.validation) not in (int, float) or not 0 <= self.validation < 1:
            raise DataError(f"expected a validation share of at least 0 and below 1, got {self.validation!r}")
        if type(self.test) not in (int, float) or not 0 <= self.test <= 1:
            raise DataError(f"expected a test share in 0 … 1, got {self.test!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: object) -> DataSpec:
        """Make the record from `to_dict`'s result.

        Raises:
            DataError: It is not one, or a value is out of range.
        """
        known = {item.name for item in fields(cls)}
        if not isinstance(value, dict) or "source" not in value or not set(value) <= known:
            raise DataError(f"expected a data source with the keys {', '.join(sorted(known))}, got {value!r}")
        return cls(**value)


def dataset_names() -> tuple[str, ...]:
    """Return the data sets known by name; `digits` is embedded, the others are downloaded once."""
    return ("digits", *DOWNLOADS)


def load_split(spec: DataSpec, split: Split) -> ImageSet:
    """Load one split of a data set; files are listed, not decoded.

    The test split is the source's own where it has one, else a stratified, seeded share. The validation split
    is the folder's own `val/` beside `train/` and `test/`, else such a share of the training images.

    Raises:
        DataError: There is no such data set or folder, it cannot be divided, or it has no such split.
        EnvironmentFault: It had to be downloaded and could not be.
    """
    if split not in _SPLITS:
        raise DataError(f"expected a split of {', '.join(_SPLITS)}, got {split!r}")
    if spec.source == "digits":
        return _part_of_whole(_digits(), spec, split)
    if spec.source in DOWNLOADS:
        return _downloaded(spec, split)
    return _folder(spec, split)


def _digits() -> ImageSet:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # Brightness 0 … 16 to 0 … 255, rounded half up.
    array = np.floor(digits.images * (255 / 16) + 0.5).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    return ImageSet("digits", "", tuple("0123456789"), labels, _indices(len(labels)), array=array)


def _downloaded(spec: DataSpec, split: Split) -> ImageSet:
    array, labels, classes = load_download(spec.source, train=split != "test", root=spec.root)
    images = ImageSet(spec.source, split, classes, labels, _indices(len(labels)), array=array)
    return images if split == "test" else _part_of_training(images, spec, split)


def _folder(spec: DataSpec, split: Split) -> ImageSet:
    # Unlike Path's methods, these two take unknown users and names too long for what they are: not there.
    root = Path(os.path.expanduser(spec.source))  # noqa: PTH111
    if not os.path.exists(root):
        raise DataError(f"there is no data set or folder {spec.source!r}", hint=_suggestion(spec.source))
    layout = find_layout(root)
    if layout.whole:
        return _part_of_whole(_listed(root, root), spec, split)
    _check_same_classes(layout)
    if split == "train" and layout.train is not None and layout.validation is not None:
        return _named(_listed(layout.train, root), "train")
    folder = {"train": layout.train, "validation": layout.validation or layout.train, "test": layout.test}[
        split
    ]
    if folder is None:
        there = layout.train or layout.test
        raise DataError(
            f"{root} has no {split} images, only {there}",
            hint=f"add {split}/ with a folder for each class, or give {there} itself, which is then divided",
        )
    images = _listed(folder, root)
    own = split == "test" or layout.validation is not None
    return _named(images, split) if own else _part_of_training(images, spec, split)


def _listed(folder: Path, root: Path) -> ImageSet:
    found = list_images(folder, root=root)
    name = root.resolve().name or str(root)
    labels = np.asarray(found.labels, dtype=np.int64)
    return ImageSet(name, "", found.classes, labels, tuple(found.names), paths=tuple(found.paths))


def _check_same_classes(layout: FolderLayout) -> None:
    folders = [folder for folder in (layout.train, layout.validation, layout.test) if folder is not None]
    first = folders[0]
    expected = list_classes(first)
    for folder in folders[1:]:
        classes = list_classes(folder)
        lacking = [name for name in expected if name not in classes]
        foreign = [name for name in classes if name not in expected]
        if lacking or foreign:
            lacks = f"lacks {_few(lacking)}" if lacking else ""
            has = f"has {_few(foreign)} beyond them" if foreign else ""
            raise DataError(
                f"expected the same class folders in {first} and {folder}, but {folder.name}/ "
                + " and ".join(filter(None, (lacks, has))),
                hint="give both the same class folders",
            )


def _part_of_whole(images: ImageSet, spec: DataSpec, split: Split) -> ImageSet:
    if spec.test == 1 and split == "test":
        return _named(images, split)
    if spec.test in (0, 1):
        if split == "test" or spec.test == 1:
            raise DataError(f"{images.name} has no {split} images with a test share of {spec.test}")
        return _part_of_training(images, spec, split)
    _check_divisible(images, 3 if spec.validation else 2)
    kept, held = stratified_split(images.labels, images.names, fraction=spec.test, seed=spec.split_seed)
    if split == "test":
        return _named(images.take(held), split)
    return _part_of_training(images.take(kept), spec, split)


def _part_of_training(images: ImageSet, spec: DataSpec, split: Split) -> ImageSet:
    if spec.validation == 0:
        if split == "validation":
            raise DataError(f"{images.name} has no validation images with a validation share of 0")
        return _named(images, split)
    _check_divisible(images, 2)
    kept, held = stratified_split(images.labels, images.names, fraction=spec.validation, seed=spec.split_seed)
    return _named(images.take(kept if split == "train" else held), split)


def _check_divisible(images: ImageSet, least: int) -> None:
    counts = np.bincount(images.labels, minlength=len(images.classes))
    smallest = int(counts.argmin())
    if counts[smallest] < least:
        raise DataError(
            f"expected at least {least} images a class to divide {images.name}, "
            f"but {images.classes[smallest]!r} has {counts[smallest]}",
            hint="add images to the class, or remove it",
        )


def _named(images: ImageSet, split: str) -> ImageSet:
    return ImageSet(
        images.name, split, images.classes, images.labels, images.names, images.array, images.paths
    )


def _indices(count: int) -> tuple[str, ...]:
    return tuple(str(index) for index in range(count))


def _few(names: list[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _suggestion(source: str) -> str:
    near = difflib.get_close_matches(source.lower(), dataset_names(), n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    names = ", ".join(dataset_names())
    return f"{guess}known by name: {names}; else a folder of images: where it has moved, name it with --data"
