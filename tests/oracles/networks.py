"""Parts of networks in plain loops."""

from __future__ import annotations

import math

import numpy as np


def sequence_pool(tokens, weight, bias):
    """The mean of tokens `[token, feature]`, weighted by a softmax of a linear score of each."""
    scores = [sum(w * value for w, value in zip(weight, token, strict=True)) + bias for token in tokens]
    powers = [math.exp(score - max(scores)) for score in scores]
    total = sum(powers)
    return [
        sum(power / total * token[feature] for power, token in zip(powers, tokens, strict=True))
        for feature in range(len(tokens[0]))
    ]


def patches(images, side):
    """All patches of images `[image, channel, row, column]`, each flat: channel, row, column."""
    found = [
        image[:, top : top + side, left : left + side].reshape(-1)
        for image in images
        for top in range(image.shape[1] - side + 1)
        for left in range(image.shape[2] - side + 1)
    ]
    return np.stack(found)
