"""Corruptions pixel by pixel, in plain Python loops, and streams that give what they are told."""

from __future__ import annotations

import colorsys
import math

import numpy as np


class Told:
    """Stands in for the streams of one image: gives these draws, in this order, whatever is asked for."""

    def __init__(self, *draws):
        self.draws = list(draws)

    def __len__(self):
        return 1

    def _next(self, *_):
        return np.asarray(self.draws.pop(0))[None].copy()

    normal = uniform = integers = poisson = _next


def cut(value):
    """The grey level of a value 0 … 255: cut, not rounded, with 1/5000 of a level to spare."""
    return int(min(max(value, 0), 255) + 2e-4)


def edge(index, length):
    return min(max(index, 0), length - 1)


def mirror(index, length):
    """… 2 1 | 0 1 2: steps back and forth until inside."""
    while not 0 <= index < length:
        if length == 1:
            return 0
        index = -index if index < 0 else 2 * (length - 1) - index
    return index


def reflect(index, length):
    """… 1 0 | 0 1 2."""
    while not 0 <= index < length:
        index = -index - 1 if index < 0 else 2 * length - 1 - index
    return index


def gaussian_weights(sigma, truncate):
    reach = int(truncate * sigma + 0.5)
    weights = [math.exp(-(step**2) / (2 * sigma**2)) for step in range(-reach, reach + 1)]
    return reach, [weight / sum(weights) for weight in weights]


def gaussian(channel, sigma, border=edge, truncate=4.0):
    """Blur a channel of lists first down, then across."""
    reach, weights = gaussian_weights(sigma, truncate)
    for _ in range(2):
        length = len(channel)
        channel = [
            [
                sum(
                    weight * channel[border(row + step - reach, length)][column]
                    for step, weight in enumerate(weights)
                )
                for column in range(len(channel[0]))
            ]
            for row in range(length)
        ]
        channel = [list(line) for line in zip(*channel, strict=True)]  # turned, twice in all
    return channel


def defocus_kernel(radius, softness):
    """A disk of 0 and 1, made to sum to one, seen through a small Gaussian."""
    reach = 8 if radius <= 8 else int(radius)
    half = 1 if radius <= 8 else 2
    size = 2 * reach + 1
    disk = [
        [float((row - reach) ** 2 + (column - reach) ** 2 <= radius**2) for column in range(size)]
        for row in range(size)
    ]
    total = sum(map(sum, disk))
    soft = [math.exp(-(step**2) / (2 * softness**2)) for step in range(-half, half + 1)]
    soft = [weight / sum(soft) for weight in soft]
    return [
        [
            sum(
                soft[i]
                * soft[j]
                * disk[mirror(row + i - half, size)][mirror(column + j - half, size)]
                / total
                for i in range(2 * half + 1)
                for j in range(2 * half + 1)
            )
            for column in range(size)
        ]
        for row in range(size)
    ]


def correlate(channel, kernel):
    height, width, reach = len(channel), len(channel[0]), len(kernel) // 2
    return [
        [
            sum(
                weight * channel[mirror(row + i - reach, height)][mirror(column + j - reach, width)]
                for i, line in enumerate(kernel)
                for j, weight in enumerate(line)
                if weight
            )
            for column in range(width)
        ]
        for row in range(height)
    ]


def smear(channel, angle, radius, sigma):
    """Half a Gaussian along the angle, in steps of whole pixels, with the edge's pixels beyond the edge."""
    height, width = len(channel), len(channel[0])
    weights = [math.exp(-(step**2) / (2 * sigma**2)) for step in range(2 * radius + 1)]
    result = [[0.0] * width for _ in range(height)]
    for step, weight in enumerate(weights):
        down = math.ceil(step * math.sin(math.radians(angle)) - 0.5)
        right = math.ceil(step * math.cos(math.radians(angle)) - 0.5)
        for row in range(height):
            for column in range(width):
                value = channel[edge(row + down, height)][edge(column + right, width)]
                result[row][column] += weight / sum(weights) * value
    return result


def zoomed(channel, factor):
    """Stretch the middle linearly, end on end, and trim what is too much."""
    height, width = len(channel), len(channel[0])
    kept = [math.ceil(length / factor) for length in (height, width)]
    first = [(length - part) // 2 for length, part in zip((height, width), kept, strict=True)]
    size = [round(part * factor) for part in kept]
    trim = [(whole - length) // 2 for whole, length in zip(size, (height, width), strict=True)]

    def source(place, axis):
        return (place + trim[axis]) * (kept[axis] - 1) / max(size[axis] - 1, 1)

    result = []
    for row in range(height):
        y = source(row, 0)
        line = []
        for column in range(width):
            x = source(column, 1)
            line.append(between(channel, y + first[0], x + first[1], edge))
        result.append(line)
    return result


def between(channel, y, x, border):
    """Bilinear interpolation."""
    top, left = math.floor(y), math.floor(x)
    value = 0.0
    for row, share_down in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, share_right in ((left, 1 - (x - left)), (left + 1, x - left)):
            if share_down * share_right:
                pixel = channel[border(row, len(channel))][border(column, len(channel[0]))]
                value += share_down * share_right * pixel
    return value


def glass(levels, shifts, reach):
    """One round of the shuffle on `[row, column, …]`: from last to first, each takes another's value."""
    result = levels.copy()
    height, width = levels.shape[:2]
    for i, row in reversed(list(enumerate(range(reach + 1, height - reach + 1)))):
        for j, column in reversed(list(enumerate(range(reach + 1, width - reach + 1)))):
            result[row, column] = result[row + shifts[0, i, j], column + shifts[1, i, j]]
    return result


def plasma(side, decay, noise):
    """Diamond-square on a torus, one point after the other; `noise` in −1 … 1 is used up in order."""
    field = np.zeros((side, side))
    noise = iter(noise)
    step, amplitude = side, 1.0
    while step >= 2:
        half = step // 2

        def fill(points, corners, amplitude=amplitude):
            made = {}
            for row, column in points:
                mean = sum(field[(row + dy) % side, (column + dx) % side] for dy, dx in corners) / 4
                made[row, column] = mean + amplitude * next(noise)
            for (row, column), value in made.items():
                field[row, column] = value

        whole, between_ = range(0, side, step), range(half, side, step)
        diagonal = [(-half, -half), (-half, half), (half, -half), (half, half)]
        straight = [(-half, 0), (half, 0), (0, -half), (0, half)]
        fill([(row, column) for row in between_ for column in between_], diagonal)
        fill([(row, column) for row in whole for column in between_], straight)
        fill([(row, column) for row in between_ for column in whole], straight)
        step, amplitude = half, amplitude / decay**2
    field -= field.min()
    return field / field.max()


def in_hsv(image, change):
    """Change hue, saturation and value of every pixel of `[row, column, 3]` by a function of the three."""
    result = np.empty_like(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            hsv = colorsys.rgb_to_hsv(*(image[row, column] / 255.0))
            result[row, column] = [cut(255 * value) for value in colorsys.hsv_to_rgb(*change(*hsv))]
    return result


def canny(levels, low=50, high=150):
    """Edges of `[row, column]`: Sobel, thinning along the gradient, then growth from the strong ones."""
    height, width = levels.shape

    def at(row, column):
        return int(levels[edge(row, height), edge(column, width)])

    gx, gy = np.zeros((height, width), int), np.zeros((height, width), int)
    for row in range(height):
        for column in range(width):
            for step, weight in ((-1, 1), (0, 2), (1, 1)):
                gx[row, column] += weight * (at(row + step, column + 1) - at(row + step, column - 1))
                gy[row, column] += weight * (at(row + 1, column + step) - at(row - 1, column + step))
    size = np.abs(gx) + np.abs(gy)

    def magnitude(row, column):
        return size[row, column] if 0 <= row < height and 0 <= column < width else 0

    kept = {}
    for row in range(height):
        for column in range(width):
            own, x, y = size[row, column], gx[row, column], gy[row, column]
            if own <= low:
                continue
            steepness = abs(y) / abs(x) if x else math.inf
            if steepness < math.tan(math.pi / 8):
                crest = own > magnitude(row, column - 1) and own >= magnitude(row, column + 1)
            elif steepness > math.tan(3 * math.pi / 8):
                crest = own > magnitude(row - 1, column) and own >= magnitude(row + 1, column)
            else:
                sign = -1 if (x < 0) != (y < 0) else 1
                crest = own > magnitude(row - 1, column - sign) and own > magnitude(row + 1, column + sign)
            if crest:
                kept[row, column] = own
    edges = np.zeros((height, width), bool)
    pending = [place for place, own in kept.items() if own > high]
    while pending:
        row, column = pending.pop()
        if edges[row, column]:
            continue
        edges[row, column] = True
        pending += [
            (row + dy, column + dx)
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if (row + dy, column + dx) in kept
        ]
    return edges


def equalised(levels):
    """OpenCV's equalizeHist of `[row, column]`."""
    values = levels.ravel().tolist()
    least = min(values)
    rest = len(values) - values.count(least)
    if not rest:
        return levels.copy()
    table = {
        level: round(255 / rest * (sum(value <= level for value in values) - values.count(least)))
        for level in set(values)
    }
    return np.array([table[value] for value in values], dtype=np.uint8).reshape(levels.shape)
