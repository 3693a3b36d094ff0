"""Antialiased resampling by the textbook: one weighted sum a pixel, rows after columns."""

from __future__ import annotations

import math

import numpy as np


def cubic(x: float) -> float:
    """Keys' cubic with a = −0.5."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def triangle(x: float) -> float:
    """The bilinear filter."""
    return max(0.0, 1 - abs(x))


def resize(values: np.ndarray, size: tuple[int, int], kernel: str) -> np.ndarray:
    """Resize `[row, column]` to `size` (rows, columns), rounded and clipped after each pass."""
    weigh, support = (cubic, 2.0) if kernel == "bicubic" else (triangle, 1.0)
    across = _along_columns(values.astype(float), size[1], weigh, support)
    return _along_columns(across.T, size[0], weigh, support).T.astype(np.uint8)


def _along_columns(values: np.ndarray, length: int, weigh, support: float) -> np.ndarray:
    scale = values.shape[1] / length
    stretch = max(scale, 1.0)
    result = np.zeros((values.shape[0], length))
    for target in range(length):
        centre = (target + 0.5) * scale
        low = max(0, math.floor(centre - support * stretch + 0.5))
        high = min(values.shape[1], math.floor(centre + support * stretch + 0.5))
        weights = [weigh((source + 0.5 - centre) / stretch) for source in range(low, high)]
        total = sum(weights)
        for row in range(values.shape[0]):
            mean = sum(w * values[row, low + k] for k, w in enumerate(weights)) / total
            result[row, target] = min(255, max(0, math.floor(mean + 0.5)))
    return result
