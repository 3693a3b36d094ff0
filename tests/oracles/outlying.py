"""Open-set scores image by image, and label issues by the definition of confident learning."""

from __future__ import annotations

import math

from tests.oracles.scoring import arg_max, softmax


def energy(row, temperature):
    top = max(row)
    return -top - temperature * math.log(math.fsum(math.exp((z - top) / temperature) for z in row))


def unit(feature):
    length = math.sqrt(math.fsum(value**2 for value in feature))
    return [value / length for value in feature]


def neighbour(feature, bank, k):
    own = unit(feature)
    return sorted(math.dist(own, unit(other)) for other in bank)[k - 1]


def label_issues(rows, labels):
    """The indices of the issues, and nothing of cleanlab."""
    p = [softmax(row) for row in rows]
    thresholds = []
    for label in range(len(rows[0])):
        own = [q[label] for q, given in zip(p, labels, strict=True) if given == label]
        thresholds.append(math.fsum(own) / len(own) if own else math.inf)
    other = [index for index, row in enumerate(rows) if arg_max(row) != labels[index]]
    count = sum(max(p[index]) >= thresholds[arg_max(rows[index])] - 1e-6 for index in other)
    return sorted(other, key=lambda index: (p[index][labels[index]], index))[:count]
