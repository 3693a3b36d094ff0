"""Baselines: maps that know nothing of the model, which every method has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.records.faithfulness import CENTRE, RANDOM
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["centre_map", "random_map"]

_WIDTH = 1 / 4  # of a side: the Gaussian's standard deviation


def random_map(keys: NDArray[np.int64], grid: tuple[int, int], *, seed: int = 0) -> Heatmap:
    """Return maps of independent noise, uniform in 0 … 1.

    A map depends on the seed and its own key alone, not on the other images.

    Args:
        keys: `[image, number]`, whole numbers ≥ 0 that tell one map from another.
        grid: Rows and columns of the maps.
        seed: A whole number ≥ 0.
    """
    values = np.empty((len(keys), *grid), dtype=np.float32)
    for place, key in enumerate(keys.tolist()):
        values[place] = np.random.default_rng((seed, *key)).random(grid, dtype=np.float32)
    return Heatmap(values=values, method=RANDOM, options={"seed": seed})


def centre_map(count: int, grid: tuple[int, int]) -> Heatmap:
    """Return maps with a Gaussian in the middle of the image: where photographers put what they show.

    exp(−(u² + v²)/2), u and v the distances of a cell's centre from the middle in quarters of the image's
    height and width.

    Args:
        count: The number of images.
        grid: Rows and columns of the maps.
    """
    down, across = (_bump(side) for side in grid)
    values = np.repeat(np.outer(down, across)[None].astype(np.float32), count, axis=0)
    return Heatmap(values=values, method=CENTRE)


def _bump(side: int) -> NDArray[np.float64]:
    place = (np.arange(side) + 0.5) / side - 0.5
    return np.exp(-((place / _WIDTH) ** 2) / 2)
