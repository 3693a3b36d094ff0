"""Augmentation of one image at a time, by slicing and by an explicit bilinear loop."""

from __future__ import annotations

import math

import numpy as np


def shifted_and_flipped(image, draws, *, flip, padding):
    """Pad, cut, then mirror one `[channel, row, column]` image by its seven draws."""
    _, height, width = image.shape
    row, column = (int(float(draws[each]) * (2 * padding + 1)) for each in (1, 2))
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    cut = padded[:, row : row + height, column : column + width]
    return cut[:, :, ::-1] if flip and float(draws[0]) < 0.5 else cut


def warped(image, *, degrees, size, right, down):
    """Sample one image: for each pixel of the result, where it comes from, in pixels from the centre."""
    _, height, width = image.shape
    result = np.zeros(image.shape)
    cosine, sine = math.cos(math.radians(degrees)) / size, math.sin(math.radians(degrees)) / size
    for row in range(height):
        for column in range(width):
            x, y = column - (width - 1) / 2, row - (height - 1) / 2
            from_x = cosine * x - sine * y + right * width + (width - 1) / 2
            from_y = sine * x + cosine * y + down * height + (height - 1) / 2
            left, top = math.floor(from_x), math.floor(from_y)
            for i, j in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                if 0 <= i < height and 0 <= j < width:
                    weight = (1 - abs(from_y - i)) * (1 - abs(from_x - j))
                    result[:, row, column] += weight * image[:, i, j]
    return result
