"""Perturbation metrics in plain loops, from their definitions: slow, and independent of vitscope."""

from __future__ import annotations

import math

import numpy as np


def enlarge(grid, rows, columns):
    """Bilinear interpolation, cell centres half a cell from the edge, beyond which the edge's value stays."""
    grid = np.asarray(grid, dtype=float)
    result = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            down = min(max((row + 0.5) * grid.shape[0] / rows - 0.5, 0), grid.shape[0] - 1)
            across = min(max((column + 0.5) * grid.shape[1] / columns - 0.5, 0), grid.shape[1] - 1)
            top, left = int(down), int(across)
            bottom, right = min(top + 1, grid.shape[0] - 1), min(left + 1, grid.shape[1] - 1)
            y, x = down - top, across - left
            result[row, column] = (
                grid[top, left] * (1 - y) * (1 - x)
                + grid[top, right] * (1 - y) * x
                + grid[bottom, left] * y * (1 - x)
                + grid[bottom, right] * y * x
            )
    return result


def ranking(values):
    """Pixels (row, column) from the highest to the lowest, equals in reading order."""
    rows, columns = values.shape
    places = [(row, column) for row in range(rows) for column in range(columns)]
    return sorted(places, key=lambda place: -values[place])  # Python's sort is stable


def replaced(start, end, places):
    """The image `start` with these pixels of `end`, in every channel."""
    image = np.array(start)
    for row, column in places:
        for channel in range(len(image)):
            image[channel, row, column] = end[channel, row, column]
    return image


def trapezoid(fractions, values):
    total = 0.0
    for step in range(1, len(fractions)):
        total += (fractions[step] - fractions[step - 1]) * (values[step] + values[step - 1]) / 2
    return total


def blur(image, sigma):
    """A Gaussian over all pixels of the image, weights made to sum to 1 for each pixel."""
    channels, rows, columns = image.shape
    result = np.zeros_like(image, dtype=float)
    for row in range(rows):
        for column in range(columns):
            total = 0.0
            value = np.zeros(channels)
            for other in range(rows):
                for beside in range(columns):
                    weight = math.exp(-((row - other) ** 2 + (column - beside) ** 2) / (2 * sigma**2))
                    total += weight
                    value += weight * image[:, other, beside]
            result[:, row, column] = value / total
    return result


def neighbours(row, column, rows, columns):
    """Each neighbour within the image, with its weight."""
    found = []
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            if (down, across) == (0, 0):
                continue
            if 0 <= row + down < rows and 0 <= column + across < columns:
                found.append(((row + down, column + across), 1 / 12 if down and across else 1 / 6))
    return found


def impute(image, removed):
    """Every removed pixel as the weighted mean of its neighbours: one dense system, solved directly."""
    channels, rows, columns = image.shape
    holes = [(row, column) for row in range(rows) for column in range(columns) if removed[row, column]]
    place = {hole: index for index, hole in enumerate(holes)}
    result = np.array(image, dtype=float)
    for channel in range(channels):
        matrix, right = np.eye(len(holes)), np.zeros(len(holes))
        for hole, index in place.items():
            around = neighbours(*hole, rows, columns)
            total = sum(weight for _, weight in around)
            for other, weight in around:
                if other in place:
                    matrix[index, place[other]] -= weight / total
                else:
                    right[index] += weight / total * image[channel][other]
        for hole, value in zip(holes, np.linalg.solve(matrix, right), strict=True):
            result[channel][hole] = value
    return result


def infidelity(changes, sums):
    """Mean squared error of β·sum against the change of the answer, at the β that makes it least."""
    numerator = sum(change * total for change, total in zip(changes, sums, strict=True))
    denominator = sum(total * total for total in sums)
    beta = numerator / denominator if denominator else 0.0
    errors = [(beta * total - change) ** 2 for change, total in zip(changes, sums, strict=True)]
    return sum(errors) / len(errors)


def ranks(values):
    """Ranks from 1, equals share their mean."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


def spearman(one, other):
    first, second = ranks(list(np.ravel(one))), ranks(list(np.ravel(other)))
    mean = (len(first) + 1) / 2
    above = sum((a - mean) * (b - mean) for a, b in zip(first, second, strict=True))
    below = math.sqrt(sum((a - mean) ** 2 for a in first) * sum((b - mean) ** 2 for b in second))
    return above / below


def ssim(one, other, side):
    """Mean over all windows of side × side within the map; both scaled to 0 … 1, variances of samples."""
    scaled = [(each - each.min()) / (each.max() - each.min()) for each in (one, other)]
    rows, columns = one.shape
    values = []
    for top in range(rows - side + 1):
        for left in range(columns - side + 1):
            first, second = (
                [each[top + down, left + across] for down in range(side) for across in range(side)]
                for each in scaled
            )
            count = side * side
            mean1, mean2 = sum(first) / count, sum(second) / count
            variance1 = sum((value - mean1) ** 2 for value in first) / (count - 1)
            variance2 = sum((value - mean2) ** 2 for value in second) / (count - 1)
            both = sum((a - mean1) * (b - mean2) for a, b in zip(first, second, strict=True)) / (count - 1)
            c1, c2 = 0.0001, 0.0009
            values.append(
                (2 * mean1 * mean2 + c1)
                * (2 * both + c2)
                / ((mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2))
            )
    return sum(values) / len(values)
