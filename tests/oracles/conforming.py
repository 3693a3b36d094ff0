"""Conformal sets class by class: each class's score by its own sum, each threshold by sorting."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal

from tests.oracles.scoring import softmax


def order_of(p):
    return sorted(range(len(p)), key=lambda index: (-p[index], index))


def score(p, label, u, *, method, penalty=0.01, free_ranks=5):
    if method == "lac":
        return 1 - p[label]
    order = order_of(p)
    rank = order.index(label)
    mass = math.fsum(p[index] for index in order[:rank])
    value = mass + u * p[label]
    return value + penalty * max(0, rank + 1 - free_ranks) if method == "raps" else value


def threshold(scores, alpha):
    """The ⌈(n + 1)(1 − α)⌉-th smallest score, with α as the decimal that it is written as."""
    place = ((len(scores) + 1) * (1 - Decimal(str(alpha)))).to_integral_value(rounding=ROUND_CEILING)
    return sorted(scores)[int(place) - 1] if place <= len(scores) else math.inf


def sets(rows, u, limit, **form):
    found = []
    for row, draw in zip(rows, u, strict=True):
        p = softmax(row)
        found.append({label for label in range(len(p)) if score(p, label, draw, **form) <= limit})
    return found
