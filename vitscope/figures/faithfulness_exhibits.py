"""The exhibits of faithfulness: how far maps can be believed, with captions and data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.rounding import with_interval
from vitscope.figures.captions import caption, counted
from vitscope.figures.exhibit import Exhibit, Table
from vitscope.figures.faithfulness import draw_method_ranking, draw_perturbation_curves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vitscope.analysis.faithfulness import MethodRanking
    from vitscope.analysis.perturbation_curves import MeanCurve

__all__ = ["curves_exhibit", "ranking_exhibit"]


def ranking_exhibit(ranking: MethodRanking, *, target: str, seed: int, source: str = "") -> Exhibit:
    """Return the figure of methods in the order of their faithfulness.

    Args:
        ranking: What `rank_methods` returns.
        target: Which class was explained: `predicted` or `true`.
        seed: Of noise, perturbations and redrawn parameters.
        source: The sentence of a caption that says which model and data they are of.
    """
    best = ranking.methods[int(ranking.order[0])] if len(ranking.order) else ""
    rows: list[list[Any]] = []
    for place, method in enumerate(ranking.methods):
        for column, metric in enumerate(ranking.metrics):
            ends = ranking.intervals[place, column].tolist()
            rank, value = float(ranking.ranks[place, column]), float(ranking.means[place, column])
            rows.append([method, metric, int(ranking.measured[column]), value, *ends, rank])
    named = np.isfinite(ranking.mean_ranks).any() and bool(best)
    first = int(ranking.methods.index(best)) if named else 0
    scores = ", ".join(
        f"{metric.replace('_', ' ')} {with_interval(float(mean), *map(float, ends))}"
        for metric, mean, ends in zip(
            ranking.metrics, ranking.means[first], ranking.intervals[first], strict=True
        )
        if np.isfinite(mean)
    )
    text = caption(
        f"Scores of {counted(len(ranking.methods), 'method')} on the class {target} by "
        f"{counted(len(ranking.metrics), 'metric')} with bootstrap 95 % intervals over images "
        f"(n = {ranking.n:,}), the best first, baselines last.",
        f"{best}: {scores}." if named and scores else "",
        f"Seed of noise and perturbations: {seed}.",
        source,
    )
    columns = ("method", "metric", "n", "mean", "low", "high", "rank")
    return Exhibit("ranking", partial(draw_method_ranking, ranking), text, Table(columns, rows))


def curves_exhibit(
    curves: Mapping[str, Mapping[str, MeanCurve]], *, n: int, target: str, seed: int, source: str = ""
) -> Exhibit:
    """Return the figure of the mean curves of deletion, insertion and the like."""
    rows: list[list[Any]] = []
    for outer, inner in curves.items():
        for name, curve in inner.items():
            points = (curve.fractions.tolist(), curve.means.tolist(), curve.intervals.tolist())
            rows += [[outer, name, x, y, *ends] for x, y, ends in zip(*points, strict=True)]
    text = caption(
        f"Mean probability of the class {target} as pixels are taken out or put in, the most important "
        f"first, with bootstrap 95 % intervals over images (n = {n:,}; {' and '.join(curves)}).",
        f"Seed of noise and perturbations: {seed}.",
        source,
    )
    columns = ("kind", "method", "fraction", "probability", "low", "high")
    return Exhibit("curves", partial(draw_perturbation_curves, curves), text, Table(columns, rows))
