"""Crops, erased boxes and mixed images, one at a time and in plain loops."""

from __future__ import annotations

import colorsys
import math

import numpy as np


def crop_window(draws, smallest, width, height):
    """RandomResizedCrop by its own description: ten tries of area and ratio, then the centre."""
    draws = [float(draw) for draw in draws]
    for attempt in range(10):
        area = (smallest + draws[2 * attempt] * (1 - smallest)) * width * height
        ratio = math.exp(math.log(3 / 4) + draws[2 * attempt + 1] * (math.log(4 / 3) - math.log(3 / 4)))
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            left, top = (
                math.floor(draws[20] * (width - wide + 1)),
                math.floor(draws[21] * (height - tall + 1)),
            )
            return left, top, left + wide, top + tall
    wide, tall = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    left, top = (width - wide) // 2, (height - tall) // 2
    return left, top, left + wide, top + tall


def erased_box(draws, width, height):
    """Random erasing: the first of ten boxes that is smaller than the image both ways, else none."""
    draws = [float(draw) for draw in draws]
    for attempt in range(10):
        area = (0.02 + draws[2 * attempt] * 0.31) * width * height
        ratio = math.exp(math.log(0.3) + draws[2 * attempt + 1] * (math.log(3.3) - math.log(0.3)))
        tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if tall < height and wide < width:
            left, top = (
                math.floor(draws[20] * (width - wide + 1)),
                math.floor(draws[21] * (height - tall + 1)),
            )
            return left, top, left + wide, top + tall
    return None


def cut_out(image, draws, side):
    """Set the pixels of a square to zero, pixel by pixel, where they are in the image."""
    image = image.copy()
    _, height, width = image.shape
    row, column = math.floor(float(draws[0]) * height), math.floor(float(draws[1]) * width)
    for i in range(row - side // 2, row - side // 2 + side):
        for j in range(column - side // 2, column - side // 2 + side):
            if 0 <= i < height and 0 <= j < width:
                image[:, i, j] = 0
    return image


def stretched(image, window):
    """Bring a window to the image's size: each pixel from the four nearest ones of the window."""
    _, height, width = image.shape
    left, top, right, bottom = window
    cut = image[:, top:bottom, left:right].astype(float)
    result = np.zeros(image.shape)
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * cut.shape[1] / height - 0.5, 0), cut.shape[1] - 1)
            x = min(max((j + 0.5) * cut.shape[2] / width - 0.5, 0), cut.shape[2] - 1)
            y0, x0 = math.floor(y), math.floor(x)
            y1, x1 = min(y0 + 1, cut.shape[1] - 1), min(x0 + 1, cut.shape[2] - 1)
            upper = cut[:, y0, x0] * (1 - (x - x0)) + cut[:, y0, x1] * (x - x0)
            lower = cut[:, y1, x0] * (1 - (x - x0)) + cut[:, y1, x1] * (x - x0)
            result[:, i, j] = upper * (1 - (y - y0)) + lower * (y - y0)
    return result


def turned_hue(image, turn):
    """Turn the hue of an image, pixel by pixel, as the standard library converts colours."""
    result = np.zeros(image.shape)
    for i in range(image.shape[1]):
        for j in range(image.shape[2]):
            hue, saturation, value = colorsys.rgb_to_hsv(*(image[:, i, j] / 255))
            result[:, i, j] = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
    return result * 255


def mixed(own, partner, weight, box):
    """Mix two images pixel by pixel: the partner's in the box, a weighted mean outside."""
    left, top, right, bottom = box
    result = np.zeros(own.shape)
    for i in range(own.shape[1]):
        for j in range(own.shape[2]):
            in_box = left <= j < right and top <= i < bottom
            result[:, i, j] = (
                partner[:, i, j] if in_box else weight * own[:, i, j] + (1 - weight) * partner[:, i, j]
            )
    return result
