"""Pictures: the images behind predictions that were made some time ago, found again by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vitscope.data.imageset import ImageSet

__all__ = ["find_pictures"]


def find_pictures(
    images: ImageSet, names: Sequence[str], labels: NDArray[np.int64]
) -> Callable[[int], NDArray[np.uint8]] | None:
    """Return a function from the row of a prediction to its picture, or None if these are other images.

    They are the same images where every name is found, and where images of one class, and no others, have one
    label: names that only count, as those of a download, would fit any data.

    Args:
        images: The images, of which the predictions may be a part, in any order.
        names: `[image]`, the names of the predictions; none where they are empty.
        labels: `[image]`, their labels; the classes may have other names and places.
    """
    places = {name: index for index, name in enumerate(images.names)}
    if not names or not all(name in places for name in names):
        return None
    rows = np.array([places[name] for name in names], dtype=np.int64)
    pairs = np.unique(np.stack([images.labels[rows], labels]), axis=1)
    if any(len(np.unique(line)) < pairs.shape[1] for line in pairs):
        return None
    return lambda index: np.asarray(images.image(int(rows[index])))
