"""The lens by layer: how early a model knows, in shares with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.bootstrap import REPLICATES, resampled_weights
from vitscope.analysis.intervals import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.lens import Lens

__all__ = ["LENS_MEASURES", "LensCurves", "lens_by_layer"]

LENS_MEASURES = ("accuracy", "agreement", "true_class", "final_class")


@dataclass(frozen=True, eq=False)
class LensCurves:
    """What the head says after each layer, means over images.

    Attributes:
        values: By measure, `[layer]`, 0 … 1. `accuracy`: the share of images that are right; `agreement`: of
            those on which the last layer predicts the same class; `true_class` and `final_class`: the mean
            probability of the true class and of the class that the last layer predicts.
        intervals: The same of 95 % intervals over images, `[layer, 2]`: Wilson's of the shares, the
            bootstrap's of the means, all layers with the same draws.
        layers: The layers' names.
        n: How many images.
    """

    values: dict[str, NDArray[np.float64]]
    intervals: dict[str, NDArray[np.float64]]
    layers: tuple[str, ...]
    n: int


def lens_by_layer(lens: Lens, *, replicates: int = REPLICATES, seed: int = 0) -> LensCurves:
    """Return accuracy, agreement and mean probabilities by layer, each with its interval over images.

    Args:
        lens: What `vitscope.explain.lens.logit_lens` returns.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
    """
    count = len(lens)
    shares = {"accuracy": lens.correct, "agreement": lens.agrees}
    means = {"true_class": lens.truth, "final_class": lens.final}
    rows = np.concatenate(list(means.values()))
    draws = np.array(
        [rows @ resampled_weights(count, replicate=each, seed=seed) / count for each in range(replicates)]
    )
    ends = np.quantile(draws, (0.025, 0.975), axis=0).T.clip(0, 1).reshape(len(means), -1, 2)
    values = {name: hits.mean(axis=1) for name, hits in shares.items()}
    intervals = {name: wilson(hits.sum(axis=1), np.full(len(hits), count)) for name, hits in shares.items()}
    return LensCurves(
        values=values | {name: each.mean(axis=1) for name, each in means.items()},
        intervals=intervals | dict(zip(means, ends, strict=True)),
        layers=lens.layers,
        n=count,
    )
