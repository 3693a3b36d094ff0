"""Records of faithfulness with known means, to rank and to draw."""

from __future__ import annotations

import numpy as np

from vitscope.records.faithfulness import Faithfulness

GRIDS = {"random 8x8": (8, 8), "pixels": (8, 8), "centre": (8, 8)}


def made(scores, methods=("good", "poor", "random", "centre"), metrics=("deletion",), curves=None, **known):
    """A record of scores `[method, metric, image]`."""
    scores = np.asarray(scores, dtype=float)
    images = scores.shape[2]
    curves = curves or {}
    return Faithfulness(
        methods=tuple(methods),
        metrics=tuple(metrics),
        scores=scores,
        grids=tuple(GRIDS.get(name, (4, 4)) for name in methods),
        fractions={name: np.linspace(0, 1, each.shape[2]) for name, each in curves.items()},
        curves=curves,
        targets=np.zeros(images, dtype=np.int64),
        confidence=np.ones(images),
        **known,
    )


def noisy(means, images=60, seed=0, spread=0.1):
    """Scores with these means `[method, metric]` and noise that all methods share in part."""
    random = np.random.default_rng(seed)
    means = np.asarray(means, dtype=float)[..., None]
    return (
        means
        + spread * random.normal(size=(1, means.shape[1], images))
        + 0.02 * random.normal(size=(*means.shape[:2], images))
    )
