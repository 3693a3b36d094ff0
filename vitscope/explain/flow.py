"""Attention flow: how much of each patch could reach the head at most, with the layers as pipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from vitscope.errors import InputError
from vitscope.explain.rollout import reading_row, through
from vitscope.records.attention import fuse_heads
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.attention import Attention, Fusion

__all__ = ["attention_flow"]

# Capacities become whole numbers. What leaves the source sums to 1, so that no flow is above 2^30 and a half
# for each token, and int32 holds every flow and every residual capacity.
_UNIT = 2**30


def attention_flow(attention: Attention, *, fuse: Fusion = "mean") -> Heatmap:
    """Return attention flow over the patches, one map an image.

    The nodes are the tokens of every layer, (l, i); the edge (l, i) → (l − 1, j) carries at most Â_l[i, j],
    with Â_l = row-normalise(A_l + I) and A_l the fused attention. F[j] is the maximum flow from the class
    token of the last layer, (L, 0), to token j of the input, (0, j), each j by itself. The map is F/ΣF over
    all tokens, at the patches; what it lacks of 1 went to the prefix tokens. One layer gives Â[0]; two give
    F[j] = Σ_k min(Â_2[0, k], Â_1[k, j]).

    With many layers nothing may hold the flow up between the first and the last: then F[j] is
    min(1, Σ_k Â_1[k, j]), what token j gives to the first layer, and the map shows nothing of the others.

    *Source*: Abnar and Zuidema 2020, arXiv 2005.00928, section 3.
    *Differs*: where the head averages the patches, which the paper does not treat, the average joins the last
    layer: the source's edges carry at most the mean of the patches' rows of Â_L. Capacities are rounded to
    2^−30: F is off by at most 2^−31 an edge that the minimum cut crosses, 10⁻⁸ as a rule.

    Args:
        attention: What `capture` recorded, on any device.
        fuse: How the heads become one: `mean`, `max` or `min`.

    Returns:
        Maps `[image, row, column]` on the grid of patches, float32, each ≥ 0 with a sum of at most 1. A third
        of a second an image for 65 tokens and 12 layers, and it grows with the cube of the tokens.

    Raises:
        InputError: `fuse` contradicts heads that were fused in capturing.
    """
    if attention.heads not in (None, fuse):
        raise InputError(
            f"the heads were fused by {attention.heads} in capturing, so that {fuse} is out of reach",
            hint=f'capture with heads=None or heads="{fuse}"',
        )
    with torch.no_grad():
        fused = [fuse_heads(weight, fuse)[:, 0].double() for weight in attention.weights]
        source = through(reading_row(attention).double(), fused[-1])[:, 0].cpu().numpy()
        below = [_with_residual(weight).cpu().numpy() for weight in fused[:-1]]
    flows = np.stack(
        [_flows(row, [weight[image] for weight in below]) for image, row in enumerate(source)],
    )
    shares = flows / flows.sum(axis=1, keepdims=True)
    values = shares[:, attention.prefix :].reshape(len(attention), *attention.grid)
    return Heatmap(
        values=np.ascontiguousarray(values, dtype=np.float32),
        method="attention flow",
        options={"fuse": fuse, "pool": attention.pool, "layers": len(attention.weights)},
    )


def _with_residual(fused: torch.Tensor) -> torch.Tensor:
    hat = fused + torch.eye(fused.shape[-1], device=fused.device, dtype=fused.dtype)
    return hat / hat.sum(dim=-1, keepdim=True)


def _flows(source: NDArray[np.float64], below: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the maximum flow to each token of the input.

    Args:
        source: `[token]`, what the source can send to each token under the last layer.
        below: Â of the other layers, from input to output, `[query, key]`.
    """
    if not below:
        return source
    first = np.rint(below[0] * _UNIT).astype(np.int32)
    graph = _graph(source, below[1:])
    tokens, sink = len(source), graph.shape[0] - 1
    flows = np.empty(tokens)
    for token in range(tokens):
        # The last edges stored lead into the sink; only they depend on the token.
        graph.data[-tokens:] = first[:, token]
        flows[token] = maximum_flow(graph, 0, sink, method="dinic").flow_value / _UNIT
    return flows


def _graph(source: NDArray[np.float64], layers: list[NDArray[np.float64]]) -> csr_array:
    """Return the graph: source, tokens from the output on, sink; the edges into the sink are still empty."""
    tokens, steps = len(source), len(layers)
    nodes = (steps + 1) * tokens + 2
    targets = [
        np.arange(1, tokens + 1),
        *(np.tile(np.arange(tokens) + step * tokens + 1, tokens) for step in range(1, steps + 1)),
        np.full(tokens, nodes - 1),
    ]
    capacities = [source, *(layer.ravel() for layer in reversed(layers)), np.zeros(tokens)]
    degrees = np.concatenate([np.full(1 + steps * tokens, tokens), np.ones(tokens, dtype=int), [0]])
    return csr_array(
        (
            np.rint(np.concatenate(capacities) * _UNIT).astype(np.int32),
            np.concatenate(targets).astype(np.int32),
            np.concatenate([[0], degrees.cumsum()]).astype(np.int32),
        ),
        shape=(nodes, nodes),
    )
