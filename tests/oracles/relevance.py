"""Maps from attention and gradients in plain loops over lists: the definitions, read aloud."""

from __future__ import annotations

import numpy as np

from tests.oracles.rollout import full_rollout, product


def weighted(weights, gradients, *, relu_first):
    """One layer of one image, `[head][query][key]`, as `[query][key]`: relu and mean of A ⊙ ∂y/∂A."""
    heads, tokens = len(weights), len(weights[0])
    result = [[0.0] * tokens for _ in range(tokens)]
    for query in range(tokens):
        for key in range(tokens):
            products = [weights[head][query][key] * gradients[head][query][key] for head in range(heads)]
            if relu_first:
                result[query][key] = sum(max(value, 0.0) for value in products) / heads
            else:
                result[query][key] = max(sum(products) / heads, 0.0)
    return result


def relevance_matrix(layers, gradients):
    """R ← R + Ā·R from the first layer to the last, of one image: `[token][token]`."""
    tokens = len(layers[0][0])
    result = [[float(row == column) for column in range(tokens)] for row in range(tokens)]
    for weights, slopes in zip(layers, gradients, strict=True):
        update = product(weighted(weights, slopes, relu_first=True), result)
        result = [[result[i][j] + update[i][j] for j in range(tokens)] for i in range(tokens)]
    return result


def gradient_rollout_matrix(layers, gradients):
    """Rollout over relu(mean over heads of A ⊙ ∂y/∂A), of one image: `[token][token]`."""
    steps = [
        [weighted(weights, slopes, relu_first=False)]
        for weights, slopes in zip(layers, gradients, strict=True)
    ]
    return full_rollout(steps)


def read_off(matrix, grid, prefix, pool):
    """What the head reads of the matrix, `[row, column]`."""
    rows = matrix[:1] if pool == "cls" else matrix[prefix:]
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return np.array(mean[prefix:]).reshape(grid)
