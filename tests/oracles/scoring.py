"""Accuracy, confusion, proper scores and calibration, image by image in plain Python."""

from __future__ import annotations

import math


def softmax(row):
    top = max(row)
    powers = [math.exp(value - top) for value in row]
    return [power / math.fsum(powers) for power in powers]


def logsumexp(row):
    top = max(row)
    return top + math.log(math.fsum(math.exp(value - top) for value in row))


def entropy(p):
    return math.fsum(-value * math.log(value) for value in p if value > 0)


def arg_max(row):
    best = 0
    for index, value in enumerate(row):
        if value > row[best]:
            best = index
    return best


def rank_of(row, label):
    """Sort by falling score, then rising index: where does the label stand?"""
    order = sorted(range(len(row)), key=lambda index: (-row[index], index))
    return order.index(label)


def top_k(rows, labels, k):
    return sum(rank_of(row, label) < k for row, label in zip(rows, labels, strict=True)) / len(rows)


def confusion_counts(rows, labels):
    width = len(rows[0])
    counts = [[0] * width for _ in range(width)]
    for row, label in zip(rows, labels, strict=True):
        counts[label][arg_max(row)] += 1
    return counts


def nll(rows, labels):
    losses = []
    for row, label in zip(rows, labels, strict=True):
        top = max(row)
        losses.append(top + math.log(math.fsum(math.exp(value - top) for value in row)) - row[label])
    return math.fsum(losses) / len(losses)


def brier(rows, labels):
    """The squared distance of the probabilities to the one-hot label."""
    scores = []
    for row, label in zip(rows, labels, strict=True):
        p = softmax(row)
        scores.append(math.fsum((p[index] - (index == label)) ** 2 for index in range(len(p))))
    return math.fsum(scores) / len(scores)


def bins_of(confidences, count):
    """Search the right-closed bin of each confidence among the edges; 0 belongs to the first."""
    found = []
    for confidence in confidences:
        for index in range(count):
            if confidence * count <= index + 1 + 1e-12:
                found.append(index)
                break
    return found


def class_bins(rows, labels, count):
    """Count, hits and mass of every class and bin, one probability after the other."""
    width = len(rows[0])
    tables = [[[0] * count for _ in range(width)] for _ in range(3)]
    for row, label in zip(rows, labels, strict=True):
        p = softmax(row)
        for index, found in enumerate(bins_of(p, count)):
            tables[0][index][found] += 1
            tables[1][index][found] += index == label
            tables[2][index][found] += p[index]
    return tables


def ece(rows, labels, count):
    confidences = [max(softmax(row)) for row in rows]
    right = [arg_max(row) == label for row, label in zip(rows, labels, strict=True)]
    total = 0.0
    for index in range(count):
        members = [i for i, found in enumerate(bins_of(confidences, count)) if found == index]
        if members:
            accuracy = sum(right[i] for i in members) / len(members)
            confidence = math.fsum(confidences[i] for i in members) / len(members)
            total += len(members) / len(rows) * abs(accuracy - confidence)
    return total


def wilson_by_search(successes, trials, z=1.959963984540054):
    """The shares that a score test does not reject: roots of |p̂ − p| = z √(p(1 − p)/n), by bisection."""
    share = successes / trials

    def rejected(p):
        return abs(share - p) > z * math.sqrt(p * (1 - p) / trials)

    def edge(inside, outside):
        for _ in range(200):
            middle = (inside + outside) / 2
            if rejected(middle):
                outside = middle
            else:
                inside = middle
        return inside

    return edge(share, 0.0) if successes else 0.0, edge(share, 1.0) if successes < trials else 1.0
