"""Calibration in plain loops: of pairs of a confidence and whether the prediction was right."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from tests.oracles.scoring import arg_max, bins_of, softmax


def pairs(rows, labels):
    """The confidence and the outcome, 0 or 1, of each image."""
    confidences = [max(softmax(row)) for row in rows]
    return confidences, [int(arg_max(row) == label) for row, label in zip(rows, labels, strict=True)]


def equal_width(confidences, outcomes, count):
    """The pairs of each bin, empty bins too."""
    found = [[] for _ in range(count)]
    for index, pair in zip(bins_of(confidences, count), zip(confidences, outcomes, strict=True), strict=True):
        found[index].append(pair)
    return found


def equal_mass(confidences, outcomes, count):
    order = sorted(range(len(confidences)), key=lambda index: confidences[index])  # sorted is stable
    size, more = divmod(len(order), count)
    found, start = [], 0
    for index in range(count):
        stop = start + size + (index < more)
        found.append([(confidences[i], outcomes[i]) for i in order[start:stop]])
        start = stop
    return found


def gap(members):
    """Accuracy less mean confidence of one bin."""
    return math.fsum(right - confidence for confidence, right in members) / len(members)


def error(bins):
    total = sum(len(members) for members in bins)
    return math.fsum(len(members) / total * abs(gap(members)) for members in bins if members)


def largest(bins):
    return max(abs(gap(members)) for members in bins if members)


def squared(bins, *, debiased):
    total, terms = sum(len(members) for members in bins), []
    for members in bins:
        if not members or (debiased and len(members) == 1):
            continue
        share = sum(right for _, right in members) / len(members)
        noise = share * (1 - share) / (len(members) - 1) if debiased else 0.0
        terms.append(len(members) / total * (gap(members) ** 2 - noise))
    return math.fsum(terms)


def classwise(rows, labels, count):
    """The mean over classes of the error of p_k as a forecast of class k."""
    probabilities = [softmax(row) for row in rows]
    width = len(rows[0])
    errors = []
    for k in range(width):
        forecasts = [row[k] for row in probabilities]
        errors.append(error(equal_width(forecasts, [int(label == k) for label in labels], count)))
    return math.fsum(errors) / width


def smooth_error_at(confidences, outcomes, sigma):
    """∫ |mean K_σ(t, c)(a − c)| dt, exactly: Gaussians and their mirror images, integrated between zeros."""
    c, r = np.array(confidences), np.array(outcomes) - np.array(confidences)
    centres = np.concatenate([side * c + 2 * k for side in (1, -1) for k in range(-4, 5)])
    weights = np.tile(r, 18) / len(r)

    def density(t):
        return float(weights @ np.exp(-0.5 * ((t - centres) / sigma) ** 2))

    def mass_below(t):
        return float(weights @ ndtr((t - centres) / sigma))

    grid = np.linspace(0, 1, 501)
    signs = [density(t) for t in grid]
    zeros = [0.0]
    for left, right, one, other in zip(grid[:-1], grid[1:], signs[:-1], signs[1:], strict=True):
        if one * other < 0:
            low, high = left, right
            for _ in range(40):
                middle = (low + high) / 2
                low, high = (middle, high) if density(middle) * one > 0 else (low, middle)
            zeros.append(low)
    zeros.append(1.0)
    masses = [mass_below(t) for t in zeros]
    return math.fsum(abs(b - a) for a, b in pairwise(masses))


def smooth_error(confidences, outcomes):
    """The width that equals its error, by bisection."""
    low, high = 1e-3, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        if smooth_error_at(confidences, outcomes, middle) > middle:
            low = middle
        else:
            high = middle
    return low


def nll_at(rows, labels, temperature):
    total = 0.0
    for row, label in zip(rows, labels, strict=True):
        total -= math.log(softmax([value / temperature for value in row])[label])
    return total / len(rows)


def temperature(rows, labels, low=1e-2, high=1e2):
    """The minimum over ln T by golden sections."""
    a, b = math.log(low), math.log(high)
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(80):
        c, d = b - ratio * (b - a), a + ratio * (b - a)
        if nll_at(rows, labels, math.exp(c)) < nll_at(rows, labels, math.exp(d)):
            b = d
        else:
            a = c
    return math.exp((a + b) / 2)
