"""Parameter counts by hand, from the architectures' papers."""

from __future__ import annotations

import math
from itertools import pairwise


def transformer(
    *,
    classes: int,
    image_size: int,
    channels: int,
    width: int,
    depth: int,
    patch: int,
    mlp_ratio: float = 4.0,
    pool: str = "cls",
    convolution: bool = False,
) -> int:
    hidden = int(width * mlp_ratio)
    attention = width * 3 * width + 3 * width + width * width + width
    mlp = width * hidden + hidden + hidden * width + width
    block = 2 * (2 * width) + attention + mlp
    side = image_size // patch
    if convolution:
        side = math.ceil(math.ceil(image_size / 2) / 2)
        widths = [channels, 64, 128, width]
        embedding = sum(9 * a * b + 2 * b for a, b in pairwise(widths))
    else:
        embedding = patch * patch * channels * width + width
    tokens = side * side + (pool == "cls")
    return (
        embedding
        + tokens * width
        + (pool == "cls") * width
        + depth * block
        + 2 * width
        + width * classes
        + classes
    )


def resnet18(*, classes: int, channels: int, stem: int) -> int:
    total = stem * stem * channels * 64 + 2 * 64
    before = 64
    for width in (64, 128, 256, 512):
        for first in (True, False):
            inputs = before if first else width
            total += 9 * inputs * width + 9 * width * width + 4 * width
            if first and before != width:
                total += before * width + 2 * width
        before = width
    return total + 512 * classes + classes
