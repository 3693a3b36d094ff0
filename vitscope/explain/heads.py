"""What heads do: how widely each spreads its attention, and how far it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from vitscope.errors import InputError
from vitscope.records.heads import MEASURES, HeadStatistics

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from vitscope.records.attention import Attention

__all__ = ["HeadSums", "head_statistics"]


class _Layout(NamedTuple):
    """What all batches must have in common."""

    layers: tuple[str, ...]
    grid: tuple[int, int]
    prefix: int
    tokens: int


class HeadSums:
    """Running sums over batches of images, from which `head_statistics` is made; their size is fixed.

    Args:
        size: Height and width of the images that the model sees, in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._layout: _Layout | None = None
        self._images = 0
        # By measure and layer: how many images gave a number, their sum and sum of squares, each `[head]`.
        self._sums: dict[str, list[NDArray[np.float64]]] = {}

    def add(self, attention: Attention) -> None:
        """Add a batch.

        Raises:
            InputError: The heads were fused, or the batch is of other layers or tokens than the first.
        """
        if attention.heads is not None:
            raise InputError(
                "expected each head's attention, got fused heads", hint="capture with heads=None"
            )
        layout = _Layout(attention.layers, attention.grid, attention.prefix, attention.tokens)
        if self._layout not in (None, layout):
            raise InputError("expected batches of one model and one size of image")
        self._layout = layout
        self._images += len(attention)
        distances = self._distances(layout, attention.weights[0].device)
        for layer, weights in enumerate(attention.weights):
            for name, values in _measured(weights.detach(), attention, distances).items():
                self._add(name, layer, values)

    def result(self) -> HeadStatistics:
        """Return the statistics of all images added.

        Raises:
            InputError: There was none.
        """
        layout = self._layout
        if layout is None:
            raise InputError("expected the attention of at least one image, got none")
        names = [name for name in MEASURES if name in self._sums]
        found = {name: self._moments(name) for name in names}
        return HeadStatistics(
            means={name: found[name][0] for name in names},
            errors={name: found[name][1] for name in names},
            layers=layout.layers,
            grid=layout.grid,
            patch=self._patch(layout),
            tokens=layout.tokens,
            images=self._images,
        )

    def _patch(self, layout: _Layout) -> tuple[float, float]:
        return self._size[0] / layout.grid[0], self._size[1] / layout.grid[1]

    def _distances(self, layout: _Layout, device: torch.device) -> dict[str, Tensor]:
        """Return the distance of every two patches by measure, `[patch, patch]`, float32."""
        sides = {"distance": (1.0, 1.0), "pixel_distance": self._patch(layout)}
        return {
            name: _between_patches(layout.grid, patch).float().to(device) for name, patch in sides.items()
        }

    def _add(self, name: str, layer: int, values: Tensor) -> None:
        given = values.cpu().double().numpy()
        known = np.isfinite(given)
        held = np.where(known, given, 0)
        sums = np.stack([known.sum(axis=0), held.sum(axis=0), (held**2).sum(axis=0)])
        layers = self._sums.setdefault(name, [])
        if layer < len(layers):
            layers[layer] = layers[layer] + sums
        else:
            layers.append(sums)

    def _moments(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        layers = self._sums[name]
        widest = max(each.shape[1] for each in layers)
        means, errors = np.full((2, len(layers), widest), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            for layer, (count, total, squares) in enumerate(layers):
                mean = total / count
                variance = (squares / count - mean**2).clip(min=0) / (count - 1)
                means[layer, : len(count)] = mean
                errors[layer, : len(count)] = np.where(count > 1, np.sqrt(variance), np.nan)
        return means, errors


def head_statistics(attention: Attention, *, size: tuple[int, int]) -> HeadStatistics:
    """Return entropy and mean attention distance of every head of every layer, means over images.

    - `entropy`: −Σ a ln a of each row (0 ln 0 = 0), in nats, mean over all queries, prefix tokens among them;
      ln N for a row that is uniform over N tokens.
    - `class_entropy`: the same of the class token's row alone, where the model's head reads that token.
    - `distance`: Σ_j a_ij ‖p_i − p_j‖ in patches, mean over the patches i, with p the places on the grid.
      The prefix tokens' rows and columns are left out, and what is left of each row is scaled to sum 1; rows
      of which nothing is left are left out too.
    - `pixel_distance`: the same with places in pixels, row and column each times the patch's own side.

    *Source*: Dosovitskiy et al. 2021, arXiv 2010.11929, Fig. 7 right, for the distance.

    Args:
        attention: What `capture` recorded, each head kept.
        size: Height and width of the images that the model saw, in pixels.

    Raises:
        InputError: The heads were fused.
    """
    sums = HeadSums(size)
    sums.add(attention)
    return sums.result()


def _measured(weights: Tensor, attention: Attention, distances: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return each measure of one layer, `[image, head]`."""
    entropies = torch.special.entr(weights).sum(dim=-1)
    found = {"entropy": entropies.mean(dim=-1)}
    if attention.pool == "cls":
        found["class_entropy"] = entropies[:, :, 0]
    patches = weights[:, :, attention.prefix :, attention.prefix :]
    total = patches.sum(dim=-1)
    for name, between in distances.items():
        far = torch.einsum("ihqk,qk->ihq", patches, between.to(patches.dtype))
        found[name] = torch.where(total > 0, far / total, torch.nan).nanmean(dim=-1)
    return found


def _between_patches(grid: tuple[int, int], patch: tuple[float, float]) -> Tensor:
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in grid), indexing="ij")
    places = torch.stack([rows.flatten() * patch[0], columns.flatten() * patch[1]], dim=1).double()
    # Not cdist, whose way over inner products leaves a patch a distance to itself.
    apart = places[:, None] - places[None]
    return (apart**2).sum(dim=2).sqrt()
