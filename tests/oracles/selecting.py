"""Selective prediction, ROC areas and their variance, by loops over images, pairs and orders."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction


def risks(certainty, wrong):
    """The mean error rate among the i surest over every order of tied images, for i = 1 … n: exact."""
    groups = {}
    for value, error in zip(certainty, wrong, strict=True):
        groups.setdefault(value, []).append(int(error))
    orders = [[]]
    for value in sorted(groups, reverse=True):
        orders = [head + list(tail) for head in orders for tail in itertools.permutations(groups[value])]
    count = len(wrong)
    return [Fraction(sum(sum(order[:i]) for order in orders), i * len(orders)) for i in range(1, count + 1)]


def aurc(certainty, wrong):
    return float(sum(risks(certainty, wrong)) / len(wrong))


def repeated_aurc(certainty, wrong):
    """The same without orders, for more images: tied images are each wrong with their group's share."""
    images = sorted(zip(certainty, wrong, strict=True), key=lambda pair: -pair[0])
    total, done, errors = 0.0, 0, 0.0
    for _, group in itertools.groupby(images, key=lambda pair: pair[0]):
        members = [error for _, error in group]
        share = sum(members) / len(members)
        for _ in members:
            done, errors = done + 1, errors + share
            total += errors / done
    return total / len(images)


def best_aurc(count, errors):
    return sum(max(0, i - (count - errors)) / i for i in range(1, count + 1)) / count


def coverage_at(certainty, wrong, risk):
    best = 0.0
    for threshold in certainty:
        kept = [error for value, error in zip(certainty, wrong, strict=True) if value >= threshold]
        if sum(kept) <= risk * len(kept) + 1e-12:
            best = max(best, len(kept) / len(wrong))
    return best


def compare(x, y):
    return 1.0 if x > y else 0.5 if x == y else 0.0


def area(positive, negative):
    return math.fsum(compare(x, y) for x in positive for y in negative) / (len(positive) * len(negative))


def spread(values, others):
    """The covariance of two lists, with one degree of freedom less."""
    mean, other = math.fsum(values) / len(values), math.fsum(others) / len(others)
    return math.fsum((v - mean) * (o - other) for v, o in zip(values, others, strict=True)) / (
        len(values) - 1
    )


def components(positive, negative):
    above = [math.fsum(compare(x, y) for y in negative) / len(negative) for x in positive]
    below = [math.fsum(compare(x, y) for x in positive) / len(positive) for y in negative]
    return above, below


def delong_covariance(first, second):
    """DeLong's covariance of two areas, each given as (positives, negatives) of the same images."""
    above, below = components(*first)
    above_too, below_too = components(*second)
    return spread(above, above_too) / len(above) + spread(below, below_too) / len(below)


def least_false_positives(positive, negative, tpr):
    """The least share of negatives at or above any threshold that finds enough positives."""
    shares = [
        sum(y >= threshold for y in negative) / len(negative)
        for threshold in positive
        if sum(x >= threshold for x in positive) / len(positive) >= tpr - 1e-12
    ]
    return min(shares)
