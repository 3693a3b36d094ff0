"""Attention rollout: how much of each patch reaches the head, through all layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.errors import InputError
from vitscope.records.attention import fuse_heads
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from vitscope.records.attention import Attention, Fusion

__all__ = ["over_patches", "reading_row", "rollout", "through"]


def rollout(attention: Attention, *, fuse: Fusion = "mean", discard: float = 0.0) -> Heatmap:
    """Return attention rollout over the patches, one map an image.

    With A_l the fused attention of layer l: Â_l = row-normalise(A_l + I), R = Â_L · … · Â_1. The map is
    R[0, patches] for a model whose head reads the class token, and the mean of the patches' rows for one that
    averages the patches. Each row of R sums to 1; what a map lacks of 1 went to the prefix tokens.

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

    Returns:
        Maps `[image, row, column]` on the grid of patches, float32, each ≥ 0 with a sum of at most 1.

    Raises:
        InputError: `fuse` contradicts heads that were fused in capturing, or `discard` is out of range.
    """
    if not 0 <= discard < 1:
        raise InputError(f"expected discard at least 0 and below 1, got {discard}")
    if attention.heads not in (None, fuse):
        raise InputError(
            f"the heads were fused by {attention.heads} in capturing, so that {fuse} is out of reach",
            hint=f'capture with heads=None or heads="{fuse}"',
        )
    with torch.no_grad():
        row = reading_row(attention)
        for weight in reversed(attention.weights):
            fused = fuse_heads(weight, fuse)[:, 0].to(row.dtype)
            if discard > 0:
                fused = _without_smallest(fused, discard, prefix=attention.prefix)
            row = through(row, fused)
    return Heatmap(
        values=over_patches(row, attention),
        method="rollout",
        options={"fuse": fuse, "discard": discard, "pool": attention.pool, "layers": len(attention.weights)},
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
    """Return `row` · Â, `[image, 1, token]`; Â = row-normalise(A + I), A is `[image, token, token]`."""
    # row · Â = (row/s) · A + row/s, with s the row sums of A + I.
    shared = row / (fused.sum(dim=-1, keepdim=True).transpose(1, 2) + 1)
    return torch.bmm(shared, fused.to(row.device)) + shared


def over_patches(row: Tensor, attention: Attention) -> NDArray[np.float32]:
    """Return what a row `[image, 1, token]` has for the patches, as maps `[image, row, column]`."""
    values = row[:, 0, attention.prefix :].reshape(len(attention), *attention.grid)
    return np.ascontiguousarray(values.float().cpu().numpy())


def _without_smallest(fused: Tensor, fraction: float, *, prefix: int) -> Tensor:
    """Set the smallest entries with a patch for a key to 0, and scale each row back to sum 1."""
    patches = fused[:, :, prefix:].flatten(1)
    count = int(fraction * patches.shape[1])
    smallest = patches.argsort(dim=1, stable=True)[:, :count]
    kept = patches.scatter(1, smallest, 0.0).view(len(fused), fused.shape[1], -1)
    sparse = torch.cat([fused[:, :, :prefix], kept], dim=2)
    total = sparse.sum(dim=-1, keepdim=True)
    return sparse / torch.where(total > 0, total, 1)
