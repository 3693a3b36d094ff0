"""Dividing labelled images: stratified, seeded, the same on every machine."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["stratified_split", "stratified_subset"]


def stratified_split(
    labels: NDArray[np.int64], names: Sequence[str], *, fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out a share of every class.

    Within a class, images are ordered by SHA-256 of the seed and their name, and the first are held out: the
    choice depends on the seed and the names alone, not on the images' order, the machine or any library's
    random numbers. The total is ⌈n · fraction⌉; each class has its share, n_class · total / n, rounded by
    largest remainder. A class of two or more has at least one on either side, a single image is kept.

    Args:
        labels: `[image]`, the class of each image.
        names: `[image]`, each once.
        fraction: The share to hold out, 0 < fraction < 1.
        seed: Any whole number.

    Returns:
        The indices of the kept and of the held-out images, each ascending.

    Raises:
        DataError: The fraction is out of range, or labels and names do not fit together.
    """
    if not 0 < fraction < 1:
        raise DataError(f"expected a fraction between 0 and 1, got {fraction}")
    if len(labels) != len(names):
        raise DataError(f"expected as many names as labels, got {len(names)} and {len(labels)}")
    classes, counts = np.unique(labels, return_counts=True)
    total = math.ceil(len(labels) * fraction - 1e-9)
    wanted = _largest_remainder(counts, total=total)
    wanted = np.clip(wanted, np.minimum(1, counts - 1), np.maximum(counts - 1, 0))
    held = _first_of_each(
        labels, names, wanted=dict(zip(classes.tolist(), wanted.tolist(), strict=True)), seed=seed
    )
    kept = np.setdiff1d(np.arange(len(labels)), held, assume_unique=True)
    return kept, held


def stratified_subset(labels: NDArray[np.int64], count: int, *, seed: int) -> NDArray[np.int64]:
    """Choose `count` images, each class its share by largest remainder; all where there are no more.

    Args:
        labels: `[image]`, the class of each image.
        count: How many to choose, at least 1.
        seed: Any whole number.

    Returns:
        The indices of the chosen images, ascending.

    Raises:
        DataError: The count is below 1.
    """
    if count < 1:
        raise DataError(f"expected a subset of at least 1 image, got {count}")
    if count >= len(labels):
        return np.arange(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    wanted = _largest_remainder(counts, total=count)
    names = [str(index) for index in range(len(labels))]
    return _first_of_each(
        labels, names, wanted=dict(zip(classes.tolist(), wanted.tolist(), strict=True)), seed=seed
    )


def _largest_remainder(counts: NDArray[np.int64], *, total: int) -> NDArray[np.int64]:
    # Whole-number arithmetic: a remainder is compared exactly, and ties go to the first class.
    scaled = counts.astype(np.int64) * total
    size = max(int(counts.sum()), 1)
    wanted = scaled // size
    missing = total - int(wanted.sum())
    order = np.argsort(-(scaled % size), kind="stable")
    wanted[order[:missing]] += 1
    return wanted


def _first_of_each(
    labels: NDArray[np.int64], names: Sequence[str], *, wanted: dict[int, int], seed: int
) -> NDArray[np.int64]:
    chosen: list[int] = []
    for label, count in wanted.items():
        members = np.flatnonzero(labels == label).tolist()
        members.sort(key=lambda index: _rank(names[index], seed))
        chosen.extend(members[:count])
    return np.sort(np.asarray(chosen, dtype=np.int64))


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode(errors="surrogateescape")).digest()
