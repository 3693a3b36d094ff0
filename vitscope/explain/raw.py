"""Raw attention: where each head of one layer looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from vitscope.records.attention import Attention

__all__ = ["raw_attention"]


def raw_attention(attention: Attention, layer: int = -1) -> tuple[Heatmap, ...]:
    """Return the attention of one layer over the patches, one record a head.

    The class token's row A[h, 0, patches] where the head of the model reads the class token; the mean of the
    patches' rows where it averages the patches. `options` says which, with the layer's name and the head's
    number. Rows are not renormalised: what a map lacks of 1 went to the prefix tokens.

    Args:
        attention: What `capture` recorded.
        layer: The layer's number, from 0 at the input; negative from the end.

    Returns:
        A record a head, each `[image, row, column]`, float32; one alone where capturing fused the heads.

    Raises:
        InputError: There is no such layer.
    """
    depth = len(attention.weights)
    if not -depth <= layer < depth:
        raise InputError(f"expected a layer in 0 … {depth - 1} or -{depth} … -1, got {layer}")
    number = layer % depth
    weights = attention.weights[number].detach()
    patches = slice(attention.prefix, None)
    if attention.pool == "cls":
        rows = weights[:, :, 0, patches]
    else:
        rows = weights[:, :, patches, patches].mean(dim=2)
    maps = rows.float().cpu().numpy().reshape(len(attention), -1, *attention.grid)
    options: dict[str, object] = {
        "layer": number,
        "name": attention.layers[number],
        "query": "class token" if attention.pool == "cls" else "mean of the patches",
    }
    return tuple(
        Heatmap(
            values=np.ascontiguousarray(maps[:, head]),
            method="raw attention",
            options=options | {"head": attention.heads or head},
        )
        for head in range(maps.shape[1])
    )
