"""The comparison of two models, image by image and in whole numbers."""

from __future__ import annotations

import math
from fractions import Fraction

from tests.oracles.scoring import arg_max, brier, ece, nll, top_k


def mcnemar(b, c):
    """Add up the binomial's probabilities as fractions."""
    n = b + c
    tail = sum(math.comb(n, i) for i in range(min(b, c) + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**n)))


def mcnemar_by_logarithms(b, c):
    """Add up the same terms from the largest down, each from the one before: for counts in the millions."""
    n, m = b + c, min(b, c)
    largest = math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1) - n * math.log(2)
    terms, term = [], 1.0
    for i in range(m, -1, -1):
        terms.append(term)
        term *= i / (n - i + 1)
        if term < 1e-20:
            break
    return min(1.0, 2 * math.exp(largest) * math.fsum(terms))


def mid_p(b, c):
    """Weigh every outcome of the binomial: as even as seen by half, less even in full."""
    n = b + c
    if not n:
        return 1.0
    total = Fraction(0)
    for i in range(n + 1):
        if abs(2 * i - n) > abs(b - c):
            total += Fraction(math.comb(n, i), 2**n)
        elif abs(2 * i - n) == abs(b - c):
            total += Fraction(math.comb(n, i), 2 * 2**n)
    return float(total)


def holm(values):
    """Step down through the sorted values by hand."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    adjusted, largest = [0.0] * len(values), 0.0
    for step, index in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - step) * values[index]))
        adjusted[index] = largest
    return adjusted


def score_statistic(b, c, n, difference):
    """Return the score test's z of a paired difference, with the likeliest share by a search.

    Given Δ = P(only first) − P(only second), maximise over q the logarithm of the likelihood,
    b ln(q + Δ) + c ln q + (n − b − c) ln(1 − 2q − Δ).
    """

    def loss(q):
        total = 0.0
        for count, share in ((b, q + difference), (c, q), (n - b - c, 1 - 2 * q - difference)):
            if count:
                total -= count * math.log(share) if share > 0 else -math.inf
        return total

    low, high = max(0.0, -difference), (1 - difference) / 2
    for _ in range(200):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, second) if loss(first) < loss(second) else (first, high)
    q = (low + high) / 2
    variance = n * (2 * q + difference - difference**2)
    distance = b - c - n * difference
    return distance / math.sqrt(variance) if variance > 1e-15 else math.copysign(math.inf, distance)


def balanced(rows, labels):
    shares = []
    for kind in sorted(set(labels)):
        own = [arg_max(row) == label for row, label in zip(rows, labels, strict=True) if label == kind]
        shares.append(sum(own) / len(own))
    return math.fsum(shares) / len(shares)


def accuracy(rows, labels):
    return sum(arg_max(row) == label for row, label in zip(rows, labels, strict=True)) / len(rows)


METRICS = {
    "accuracy": accuracy,
    "top5": lambda rows, labels: top_k(rows, labels, 5),
    "balanced_accuracy": balanced,
    "nll": nll,
    "brier": brier,
    "ece": lambda rows, labels: ece(rows, labels, 15),
}


def quantile(values, share):
    """Interpolate between the order statistics."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def overlap(first, second, labels):
    """Count both right, only first, only second, wrong alike, wrong apart."""
    counts = [0] * 5
    for row, other, label in zip(first, second, labels, strict=True):
        a, b = arg_max(row), arg_max(other)
        if a == label and b == label:
            counts[0] += 1
        elif a == label:
            counts[1] += 1
        elif b == label:
            counts[2] += 1
        else:
            counts[3 if a == b else 4] += 1
    return counts


def kappa(first, second, labels):
    """Cohen's kappa of the two columns right or wrong, from their two-by-two table."""
    right = [
        [arg_max(row) == label for row, label in zip(rows, labels, strict=True)] for rows in (first, second)
    ]
    n = len(labels)
    observed = Fraction(sum(a == b for a, b in zip(*right, strict=True)), n)
    p, q = Fraction(sum(right[0]), n), Fraction(sum(right[1]), n)
    expected = p * q + (1 - p) * (1 - q)
    return None if expected == 1 else float((observed - expected) / (1 - expected))
