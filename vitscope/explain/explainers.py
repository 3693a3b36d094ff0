"""Explainers: methods and baselines alike, as functions of a model and images that can be called again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vitscope.explain.baselines import centre_map, random_map
from vitscope.explain.methods import explain
from vitscope.explain.perturbation import passes
from vitscope.records.faithfulness import CENTRE, RANDOM, is_baseline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    Maps = NDArray[np.float32]

__all__ = ["Explainers", "explainers"]


@dataclass(frozen=True, eq=False)
class Explainers:
    """Methods and baselines with the maps that they have for some images and one class of each.

    Attributes:
        model: The model.
        images: `[image, channel, row, column]`, normalised.
        targets: `[image]`, the classes.
        maps: By name, methods first: `[image, row, column]`.
        numbers: `[image]`, by which noise and perturbations are drawn.
        seed: Of noise.
        options: Of methods, by name.
    """

    model: nn.Module
    images: Tensor
    targets: Tensor
    numbers: NDArray[np.int64]
    maps: dict[str, Maps] = field(default_factory=dict)
    seed: int = 0
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of pixels."""
        rows, columns = self.images.shape[-2:]
        return rows, columns

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each one's maps."""
        return tuple((each.shape[1], each.shape[2]) for each in self.maps.values())

    def explain(
        self, name: str, model: nn.Module, images: Tensor, targets: Tensor, keys: NDArray[np.int64]
    ) -> Maps:
        """Return maps of other images, or of another model, on the grid that the name's maps have.

        Args:
            name: A key of `maps`.
            model: The model.
            images: `[image, channel, row, column]`.
            targets: `[image]`, the classes.
            keys: `[image, number]`, what noise is drawn from; see `random_map`.
        """
        if name == CENTRE:
            return centre_map(len(images), self.size).values
        if is_baseline(name):
            rows, columns = self.maps[name].shape[1:]
            return random_map(keys, (rows, columns), seed=self.seed).values
        return explain(model, images, method=name, targets=targets, **self.options.get(name, {})).values

    def take(self, chosen: NDArray[np.int64]) -> Explainers:
        """Return the chosen images with their maps; each keeps its number."""
        places = torch.from_numpy(chosen).to(self.images.device)
        return replace(
            self,
            images=self.images[places],
            targets=self.targets[places],
            numbers=self.numbers[chosen],
            maps={name: each[chosen] for name, each in self.maps.items()},
        )

    def again(self, name: str, model: nn.Module, call: int) -> Maps:
        """Return the maps of all images by another model; noise is drawn anew for each call."""
        keys = np.stack([self.numbers, np.full_like(self.numbers, call)], axis=1)
        return np.concatenate(
            [
                self.explain(name, model, self.images[part], self.targets[part], keys[part])
                for part in passes(self.images)
            ]
        )


def explainers(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    methods: Sequence[str],
    seed: int,
    options: Mapping[str, Mapping[str, Any]],
) -> Explainers:
    """Make the maps of the methods, and after them those of the baselines.

    Noise has the grid of the methods: `random` the coarsest, and where there are finer ones a further
    `random 32x32` for each, since taking out single pixels in any order destroys a picture sooner than taking
    out patches. The centre's Gaussian is smooth, and has the pixels.
    """
    made = Explainers(model, images, targets, np.arange(len(images)), seed=seed, options=options)
    for name in methods:
        made.maps[name] = made.again(name, model, 0)
    grids = sorted(set(made.grids), key=lambda grid: grid[0] * grid[1])
    keys = np.stack([made.numbers, np.zeros_like(made.numbers)], axis=1)
    for place, (rows, columns) in enumerate(grids):
        name = RANDOM if place == 0 else f"{RANDOM} {rows}x{columns}"
        made.maps[name] = random_map(keys, (rows, columns), seed=seed).values
    made.maps[CENTRE] = centre_map(len(images), made.size).values
    return made
