"""Average linkage in plain Python, and how far apart confused classes stand."""

from __future__ import annotations


def similarity(counts):
    """The mean of both directions' row shares; a class without images is like none."""
    shares = []
    for row in counts:
        total = sum(row)
        shares.append([value / total if total else 0.0 for value in row])
    width = len(counts)
    return [[(shares[i][j] + shares[j][i]) / 2 for j in range(width)] for i in range(width)]


def clusters(similar):
    """Merge the two clusters with the largest mean similarity until one is left; return all made."""
    found = [frozenset([index]) for index in range(len(similar))]
    made = []
    while len(found) > 1:
        best = None
        for i, a in enumerate(found):
            for j in range(i):
                mean = sum(similar[x][y] for x in a for y in found[j]) / (len(a) * len(found[j]))
                if best is None or mean > best[0]:
                    best = (mean, i, j)
        _, i, j = best
        merged = found[i] | found[j]
        found = [each for place, each in enumerate(found) if place not in (i, j)] + [merged]
        made.append(merged)
    return made


def spread(similar, order):
    """The mean distance on the axis of two confused classes, weighted with their similarity."""
    mass = total = 0.0
    for a, i in enumerate(order):
        for b, j in enumerate(order):
            if i != j:
                mass += similar[i][j]
                total += similar[i][j] * abs(a - b)
    return total / mass
