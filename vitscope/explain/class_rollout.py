"""Rollout averaged over a class: where a model looks for each kind of thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ClassMaps", "class_rollout"]


class ClassMaps:
    """Running sums of maps by class; their size is fixed.

    Args:
        classes: The class names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._counts = np.zeros(len(self._classes), dtype=np.int64)
        self._sums: NDArray[np.float64] | None = None
        self._first: Heatmap | None = None

    def add(self, maps: Heatmap, labels: NDArray[np.int64]) -> None:
        """Add maps and the classes of their images.

        Raises:
            InputError: The labels are not one known class a map, or the maps have another grid than before.
        """
        if len(labels) != len(maps) or (
            len(labels) and not 0 <= min(labels) <= max(labels) < len(self._counts)
        ):
            raise InputError(f"expected {len(maps)} labels in 0 … {len(self._counts) - 1}")
        if self._sums is None:
            self._sums = np.zeros((len(self._counts), *maps.values.shape[1:]))
            self._first = maps
        if self._sums.shape[1:] != maps.values.shape[1:]:
            raise InputError(f"expected maps of {self._sums.shape[1:]}, got {maps.values.shape[1:]}")
        np.add.at(self._sums, labels, maps.values)
        self._counts += np.bincount(labels, minlength=len(self._counts))

    def result(self) -> Heatmap:
        """Return one map a class that had an image; `options` has how many, as `images`.

        Raises:
            InputError: There was no image.
        """
        if self._sums is None or self._first is None:
            raise InputError("expected at least one map, got none")
        there = np.flatnonzero(self._counts)
        means = self._sums[there] / self._counts[there, None, None]
        return Heatmap(
            values=means.astype(np.float32),
            method=f"{self._first.method}, class mean",
            targets=there,
            options=dict(self._first.options) | {"images": self._counts[there].tolist()},
            names=tuple(self._classes[index] for index in there),
        )


def class_rollout(maps: Heatmap, labels: NDArray[np.int64], classes: Sequence[str]) -> Heatmap:
    """Return the mean of a class's maps, one map a class: M_c = (1/n_c)·Σ over its images of their maps.

    The maps are averaged as they are, in their own units: every rollout has a sum of at most 1, so that no
    image counts more than another. Objects that stand anywhere in the image average to a blur.

    Args:
        maps: One map an image, of rollout or of any other method.
        labels: `[image]`, the class of each.
        classes: The class names.

    Returns:
        A record of the classes that have images; `targets` says which, `names` what they are called.

    Raises:
        InputError: The labels do not fit, or there is no map.
    """
    sums = ClassMaps(classes)
    sums.add(maps, np.asarray(labels, dtype=np.int64))
    return sums.result()
