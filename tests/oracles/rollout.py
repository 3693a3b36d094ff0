"""Attention rollout in plain loops over lists: the definition, read aloud."""

from __future__ import annotations

import numpy as np


def fused(heads, how):
    """One layer of one image, `[head][query][key]`, with its heads fused to `[query][key]`."""
    count, tokens = len(heads), len(heads[0])
    result = [[0.0] * tokens for _ in range(tokens)]
    for query in range(tokens):
        for key in range(tokens):
            values = [float(heads[head][query][key]) for head in range(count)]
            result[query][key] = {"mean": sum(values) / count, "max": max(values), "min": min(values)}[how]
    return result


def discarded(matrix, fraction, prefix):
    """The smallest fraction of the entries with a patch for a key set to 0, rows scaled to sum 1."""
    tokens = len(matrix)
    entries = [(matrix[query][key], query, key) for query in range(tokens) for key in range(prefix, tokens)]
    entries.sort()
    result = [row[:] for row in matrix]
    for _, query, key in entries[: int(fraction * len(entries))]:
        result[query][key] = 0.0
    for query in range(tokens):
        total = sum(result[query])
        if total > 0:
            result[query] = [value / total for value in result[query]]
    return result


def with_residual(matrix):
    """Â = row-normalise(A + I)."""
    tokens = len(matrix)
    result = []
    for query in range(tokens):
        row = [matrix[query][key] + (1.0 if query == key else 0.0) for key in range(tokens)]
        total = sum(row)
        result.append([value / total for value in row])
    return result


def product(left, right):
    tokens = len(left)
    return [
        [sum(left[i][k] * right[k][j] for k in range(tokens)) for j in range(tokens)] for i in range(tokens)
    ]


def full_rollout(layers, how="mean", fraction=0.0, prefix=0):
    """R = Â_L … Â_1 of one image, `[token][token]`; layers are `[head][query][key]`, from input to output."""
    result = None
    for heads in layers:
        matrix = fused(heads, how)
        if fraction > 0:
            matrix = discarded(matrix, fraction, prefix)
        step = with_residual(matrix)
        result = step if result is None else product(step, result)
    return result


def rollout_map(layers, grid, prefix, pool, how="mean", fraction=0.0):
    """The map of one image, `[row, column]`."""
    matrix = full_rollout(layers, how, fraction, prefix)
    if pool == "cls":
        row = matrix[0]
    else:
        patches = matrix[prefix:]
        row = [sum(column) / len(patches) for column in zip(*patches, strict=True)]
    return np.array(row[prefix:]).reshape(grid)


def maps_by_depth(layers, grid, prefix, pool, how="mean", fraction=0.0):
    """The map of one image after the first layer, after the second, and so on."""
    return [
        rollout_map(layers[:depth], grid, prefix, pool, how, fraction) for depth in range(1, len(layers) + 1)
    ]
