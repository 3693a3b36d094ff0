"""Attributions in plain loops over a function of one image: the definitions, read aloud."""

from __future__ import annotations

import numpy as np

from tests.oracles.gradcam import slopes


def integrated_gradients_map(image, baseline, score, steps=400):
    """(x − b) ⊙ the mean gradient at the middles of equal steps from b to x, summed over the channels."""
    total = np.zeros_like(image)
    for number in range(steps):
        total += slopes(baseline + (number + 0.5) / steps * (image - baseline), score)
    return ((image - baseline) * total / steps).sum(axis=0)


def occlusion_map(image, baseline, score, window, stride):
    """The fall of the score for each window, averaged over the windows that cover a pixel."""
    _, rows, columns = image.shape
    falls, covers = np.zeros((rows, columns)), np.zeros((rows, columns))
    whole = score(image)
    for top in starts(rows, window, stride):
        for left in starts(columns, window, stride):
            covered = image.copy()
            for row in range(top, min(top + window, rows)):
                for column in range(left, min(left + window, columns)):
                    covered[:, row, column] = baseline[:, row, column]
            fall = whole - score(covered)
            for row in range(top, min(top + window, rows)):
                for column in range(left, min(left + window, columns)):
                    falls[row, column] += fall
                    covers[row, column] += 1
    return falls / covers


def starts(length, window, stride):
    """Every `stride` pixels from 0 until a window reaches the end."""
    found = [0]
    while found[-1] + window < length:
        found.append(found[-1] + stride)
    return found
