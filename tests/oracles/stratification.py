"""Stratified quotas in exact fractions, one class at a time."""

from __future__ import annotations

import math
from fractions import Fraction


def quotas(counts: list[int], total: int) -> list[int]:
    """Return each class's whole share of `total` by largest remainder, ties to the first class."""
    exact = [Fraction(count * total, sum(counts)) for count in counts]
    whole = [math.floor(share) for share in exact]
    while sum(whole) < total:
        remainders = [share - part for share, part in zip(exact, whole, strict=True)]
        whole[remainders.index(max(remainders))] += 1
    return whole
