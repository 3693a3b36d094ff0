"""Attention rollout: how much of each patch reaches the head, through all layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.errors import InputError
from vitscope.records.attention import choose_numbers, fuse_heads
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from vitscope.records.attention import Attention, Fusion

__all__ = ["added", "over_patches", "reading_row", "rollout", "rollout_by_depth", "through"]


def rollout(
    attention: Attention,
    *,
    fuse: Fusion = "mean",
    discard: float = 0.0,
    layers: Sequence[int] | None = None,
) -> Heatmap:
    """Return attention rollout over the patches, one map an image.

    With A_l the fused attention of layer l: Â_l = row-normalise(A_l + I), R = Â_L · … · Â_1. The map is
    R[0, patches] for a model whose head reads the class token, and the mean of the patches' rows for one that
    averages the patches. Each row of R sums to 1; what a map lacks of 1 went to the prefix tokens.

    Of layers a … b alone: R = Â_b · … · Â_a, what the tokens that enter layer a give to the class token (or
    the patches) that leaves layer b.

    *Source*: Abnar and Zuidema 2020, arXiv 2005.00928, eq. 1; heads fused by maximum and the smallest entries
    discarded as in Gildenblat 2020, "Exploring explainability for vision transformers".
    *Differs*: one row is carried from the last layer back, vector times matrix, which is the same product at
    a token's share of the cost. Discarding is done for each image alone, among the entries whose key is a
    patch, so that no prefix token's column is ever lost, and each row is scaled to sum 1 afterwards; a row of
    which nothing is left keeps its token's own share alone.

    Args:
        attention: What `capture` recorded, on any device.
        fuse: How the heads become one: `mean`, `max` or `min`.
        discard: The fraction, 0 ≤ discard < 1, of each image's entries that are set to 0 in every layer: the
            smallest first, and of equals the first in reading order.
        layers: The layers' numbers without a gap, such as `range(6, 12)`, from 0 at the input; negative from
            the end. All of them where left out.

    Returns:
        Maps `[image, row, column]` on the grid of patches, float32, each ≥ 0 with a sum of at most 1.

    Raises:
        InputError: `fuse` contradicts heads that were fused in capturing, `discard` is out of range, or
            `layers` are not layers in a row.
    """
    _check_options(attention, fuse, discard)
    options: dict[str, object] = {}
    if layers is not None:
        options["first_layer"] = _first_of(layers, attention)
        attention = attention.select(layers=layers)
    with torch.no_grad():
        row = reading_row(attention)
        for fused in _backwards(attention, fuse, discard):
            row = through(row, fused)
    options = {"fuse": fuse, "discard": discard, "pool": attention.pool} | options
    return _heatmap(row, attention, options | {"layers": len(attention.weights)})


def rollout_by_depth(
    attention: Attention, *, fuse: Fusion = "mean", discard: float = 0.0
) -> tuple[Heatmap, ...]:
    """Return the rollout of the first layer, of the first two, and so on to all of them.

    R_l = Â_l · … · Â_1, l = 1 … L, read off as in `rollout`, which the last of them equals: what the input's
    patches have given to the class token (or to the mean of the patches) when it leaves layer l.

    *Source*: Abnar and Zuidema 2020, arXiv 2005.00928, eq. 1 (see `rollout`).
    *Differs*: the rows of all depths are carried back together, each from its own layer on.

    Args:
        attention: What `capture` recorded, on any device.
        fuse: How the heads become one: `mean`, `max` or `min`.
        discard: The fraction of each image's entries that are set to 0, as in `rollout`.

    Returns:
        One record a depth, from 1 to the number of layers; its `options["layers"]` is the depth.

    Raises:
        InputError: `fuse` contradicts heads that were fused in capturing, or `discard` is out of range.
    """
    _check_options(attention, fuse, discard)
    with torch.no_grad():
        start = reading_row(attention)
        rows = start[:, :0]
        for fused in _backwards(attention, fuse, discard):
            rows = through(torch.cat([start, rows], dim=1), fused)
    options: dict[str, object] = {"fuse": fuse, "discard": discard, "pool": attention.pool}
    return tuple(
        _heatmap(rows[:, depth - 1 : depth], attention, options | {"layers": depth})
        for depth in range(1, len(attention.weights) + 1)
    )


def reading_row(attention: Attention) -> Tensor:
    """Return what the head reads, `[image, 1, token]`: the class token, or each patch alike."""
    last = attention.weights[-1]
    row = torch.zeros(
        (len(attention), 1, attention.tokens),
        device=last.device,
        dtype=torch.promote_types(last.dtype, torch.float32),
    )
    if attention.pool == "cls":
        row[:, 0, 0] = 1
    else:
        row[:, 0, attention.prefix :] = 1 / (attention.tokens - attention.prefix)
    return row


def through(row: Tensor, fused: Tensor) -> Tensor:
    """Return `row` · Â, `[image, row, token]`; Â = row-normalise(A + I), A is `[image, token, token]`."""
    fused = fused.to(row.device)
    # row · Â = (row/s) · A + row/s, with s the row sums of A + I.
    shared = row / (fused.sum(dim=-1).unsqueeze(1) + 1)
    return added(shared, fused)


def added(row: Tensor, matrix: Tensor) -> Tensor:
    """Return `row` + `row` · `matrix`, in their own precision under autocast as well."""
    with torch.autocast(row.device.type, enabled=False):
        return torch.baddbmm(row, row, matrix)


def over_patches(row: Tensor, attention: Attention) -> NDArray[np.float32]:
    """Return what a row `[image, 1, token]` has for the patches, as maps `[image, row, column]`."""
    values = row[:, 0, attention.prefix :].reshape(len(attention), *attention.grid)
    return np.ascontiguousarray(values.float().cpu().numpy())


def _check_options(attention: Attention, fuse: Fusion, discard: float) -> None:
    if not 0 <= discard < 1:
        raise InputError(f"expected discard at least 0 and below 1, got {discard}")
    if attention.heads not in (None, fuse):
        raise InputError(
            f"the heads were fused by {attention.heads} in capturing, so that {fuse} is out of reach",
            hint=f'capture with heads=None or heads="{fuse}"',
        )


def _first_of(layers: Sequence[int], attention: Attention) -> int:
    """Return the first of layers in a row."""
    numbers = choose_numbers(layers, len(attention.weights), what="layer")
    if numbers[-1] - numbers[0] != len(numbers) - 1:
        raise InputError(
            f"expected layers without a gap, got {numbers}",
            hint="what a rollout leaves out in between is not what the model computed",
        )
    return numbers[0]


def _backwards(attention: Attention, fuse: Fusion, discard: float) -> Iterator[Tensor]:
    """Give A of each layer, `[image, token, token]`, from the last to the first."""
    dtype = torch.promote_types(attention.weights[-1].dtype, torch.float32)
    for weight in reversed(attention.weights):
        fused = fuse_heads(weight, fuse)[:, 0].to(dtype)
        yield _without_smallest(fused, discard, prefix=attention.prefix) if discard > 0 else fused


def _heatmap(row: Tensor, attention: Attention, options: dict[str, object]) -> Heatmap:
    return Heatmap(values=over_patches(row, attention), method="rollout", options=options)


def _without_smallest(fused: Tensor, fraction: float, *, prefix: int) -> Tensor:
    """Set the smallest entries with a patch for a key to 0, and scale each row back to sum 1."""
    patches = fused[:, :, prefix:].flatten(1)
    count = int(fraction * patches.shape[1])
    smallest = patches.argsort(dim=1, stable=True)[:, :count]
    kept = patches.scatter(1, smallest, 0.0).view(len(fused), fused.shape[1], -1)
    sparse = torch.cat([fused[:, :, :prefix], kept], dim=2)
    total = sparse.sum(dim=-1, keepdim=True)
    return sparse / torch.where(total > 0, total, 1)
