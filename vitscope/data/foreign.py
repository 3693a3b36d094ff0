"""Foreign images: any data set or folder taken as pictures alone, for a model that knows other classes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from vitscope.data.folders import find_layout, list_files
from vitscope.data.imageset import ImageSet
from vitscope.data.sources import DataSpec, dataset_names, load_split

__all__ = ["UNLABELLED", "foreign_images"]

UNLABELLED = "unlabelled"
"""The one class of images whose classes do not matter."""


def foreign_images(source: str, *, root: str = "") -> ImageSet:
    """Load a data set by its name, or any folder of images, without labels.

    By name, the data set's test split; of the digits, which have none, all. Of a folder with a test split,
    that; else all images in and below it, in class folders or not. Files are listed, not decoded.

    Args:
        source: A name of `dataset_names`, or a folder.
        root: Where downloads are kept; empty for the usual place.

    Returns:
        The images, each with the one class `unlabelled`.

    Raises:
        DataError: There is no such data set or folder, or it holds no images.
        EnvironmentFault: It had to be downloaded and could not be.
    """
    folder = Path(os.path.expanduser(source))  # noqa: PTH111 - Path's own takes no unknown users
    if source in dataset_names() or not os.path.exists(folder):
        # A name that means nothing is explained there.
        return _unlabelled(load_split(DataSpec(source=source, root=root, test=1), "test"))
    layout = find_layout(folder)
    names, paths = list_files(layout.test or folder)
    return ImageSet(
        name=folder.resolve().name or str(folder),
        split="test",
        classes=(UNLABELLED,),
        labels=np.zeros(len(paths), dtype=np.int64),
        names=tuple(names),
        paths=tuple(paths),
    )


def _unlabelled(images: ImageSet) -> ImageSet:
    return replace(images, classes=(UNLABELLED,), labels=np.zeros(len(images), dtype=np.int64))
