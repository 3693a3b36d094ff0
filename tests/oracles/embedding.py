"""Trustworthiness and Procrustes in plain loops."""

from __future__ import annotations

import numpy as np

__all__ = ["procrustes_by_angles", "trustworthiness_by_ranks"]


def trustworthiness_by_ranks(features, points, k):
    """Venna and Kaski's sum, image by image: how far the false neighbours are by features."""
    n, penalty = len(points), 0
    for i in range(n):
        by_features = sorted(
            (j for j in range(n) if j != i), key=lambda j: np.linalg.norm(features[i] - features[j])
        )
        by_points = sorted(
            (j for j in range(n) if j != i), key=lambda j: np.linalg.norm(points[i] - points[j])
        )
        for j in by_points[:k]:
            rank = by_features.index(j) + 1
            if rank > k:
                penalty += rank - k
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * penalty


def procrustes_by_angles(points, target, steps=900):
    """The least share of variance that is left over, by trying angles, with and without a mirror."""
    moved, still = points - points.mean(0), target - target.mean(0)
    best = 1.0
    for mirror in (1, -1):
        for angle in np.linspace(0, 2 * np.pi, steps, endpoint=False):
            cosine, sine = np.cos(angle), np.sin(angle)
            turned = (moved * [1, mirror]) @ np.array([[cosine, sine], [-sine, cosine]])
            scale = (turned * still).sum() / (turned**2).sum()
            best = min(best, ((scale * turned - still) ** 2).sum() / (still**2).sum())
    return best
