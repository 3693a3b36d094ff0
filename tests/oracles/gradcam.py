"""Grad-CAM in plain loops, the gradients by differences: the definition, read aloud."""

from __future__ import annotations

import numpy as np


def slopes(features, score, step=1e-5):
    """∂score/∂F at every entry by central differences, in float64; `score` takes an array like `features`."""
    found = np.zeros_like(features)
    for place in np.ndindex(features.shape):
        moved = [features.copy() for _ in range(2)]
        moved[0][place] += step
        moved[1][place] -= step
        found[place] = (score(moved[0]) - score(moved[1])) / (2 * step)
    return found


def grad_cam_map(features, gradients):
    """relu(Σ_k w_k F_k) of `[channel, row, column]`, w_k the mean of the gradients over the positions."""
    channels, rows, columns = features.shape
    result = np.zeros((rows, columns))
    for channel in range(channels):
        total = 0.0
        for row in range(rows):
            for column in range(columns):
                total += gradients[channel, row, column]
        weight = total / (rows * columns)
        for row in range(rows):
            for column in range(columns):
                result[row, column] += weight * features[channel, row, column]
    return np.array([[max(value, 0.0) for value in line] for line in result])
