"""Which method's maps are the most faithful to a model, and which are no better than none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from vitscope.analysis.bootstrap import REPLICATES, interval, resampled_weights
from vitscope.analysis.tables import number, write_table
from vitscope.records.faithfulness import METRICS, is_baseline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from vitscope.records.faithfulness import Faithfulness

    Floats = NDArray[np.float64]

__all__ = ["Advantage", "MethodRanking", "all_draws", "rank_methods"]


@dataclass(frozen=True)
class Advantage:
    """How a method's score differs from a baseline's on the same images.

    Attributes:
        method: The method.
        metric: The metric.
        baseline: The baseline, noise being that of the method's own grid.
        difference: The method's mean less the baseline's.
        low: The lower end of its paired bootstrap 95 % interval; NaN where there is none.
        high: The upper end.
        better: Whether the interval lies wholly on the good side of 0.
    """

    method: str
    metric: str
    baseline: str
    difference: float
    low: float
    high: float
    better: bool


@dataclass(frozen=True, eq=False)
class MethodRanking:
    """The methods' mean scores, their places, and whether they beat the baselines.

    Attributes:
        methods: As in the record, baselines last.
        metrics: As in the record.
        n: The number of images.
        measured: `[metric]`, how many of them it was measured on.
        means: `[method, metric]`, over the images.
        intervals: `[method, metric, 2]`, bootstrap 95 %; NaN where the scores do not vary.
        ranks: `[method, metric]`, 1 is the best, equals share the mean of their places; NaN for baselines.
        mean_ranks: `[method]`, over the metrics of faithfulness; NaN for baselines, and for all where none
            was measured.
        advantages: A method, a metric and a baseline each.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    n: int
    measured: NDArray[np.int64]
    means: Floats
    intervals: Floats
    ranks: Floats
    mean_ranks: Floats
    advantages: tuple[Advantage, ...]

    @property
    def order(self) -> list[int]:
        """The methods' places in `methods`, the best mean rank first, baselines last."""
        order: list[int] = np.argsort(self.mean_ranks, kind="stable").tolist()  # NaN comes last
        return order

    def beaten(self, method: str, metric: str) -> bool:
        """Tell whether a method beats every baseline that the metric can be compared with."""
        return not self.unbeaten(method, metric)

    def unbeaten(self, method: str, metric: str) -> tuple[str, ...]:
        """Return the baselines that a method does not beat."""
        return tuple(
            each.baseline
            for each in self.advantages
            if (each.method, each.metric) == (method, metric) and not each.better
        )

    def verdict(self, method: str) -> str:
        """Return in words which baselines a method does not beat, and in which metrics."""
        if is_baseline(method):
            return "baseline"
        if self.n < 2:
            return "one image cannot tell"
        lacking: dict[tuple[str, ...], list[str]] = {}
        for metric in self.metrics:
            if names := self.unbeaten(method, metric):
                lacking.setdefault(names, []).append(metric)
        parts = [f"than {' or '.join(names)} in {', '.join(metrics)}" for names, metrics in lacking.items()]
        return f"not better {', '.join(parts)}" if parts else "better than the baselines"

    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary a method, the best first, with keys that stay as they are.

        `method`, `mean_rank`, `verdict`, and for each metric `M`: `M`, `M_interval`, `M_rank`, and of each
        kind of baseline compared with, `M_beats_random` and `M_beats_centre`. None stands for what there is
        not.
        """
        return [self._row(place) for place in self.order]

    def _row(self, place: int) -> dict[str, Any]:
        method = self.methods[place]
        row: dict[str, Any] = {"method": method, "mean_rank": number(self.mean_ranks[place])}
        row["verdict"] = self.verdict(method)
        for column, metric in enumerate(self.metrics):
            bounds = self.intervals[place, column]
            row[metric] = float(self.means[place, column])
            row[f"{metric}_interval"] = bounds.tolist() if np.isfinite(bounds).all() else None
            row[f"{metric}_rank"] = number(self.ranks[place, column])
        for each in self.advantages:
            if each.method == method:
                row[f"{each.metric}_beats_{each.baseline.partition(' ')[0]}"] = each.better
        return row

    def save(self, folder: Path) -> list[Path]:
        """Write `ranking`, `scores` and `advantages` as CSV with LaTeX; return the paths of the CSV files."""
        tables: dict[str, tuple[tuple[str, ...], Iterator[list[Any]]]] = {
            "ranking": (("method", "mean_rank", *self.metrics, "verdict"), self._ranks()),
            "scores": (("method", "metric", "better", "value", "low", "high", "rank"), self._scores()),
            "advantages": (
                ("method", "metric", "better", "baseline", "difference", "low", "high", "beats"),
                self._advantages(),
            ),
        }
        for name, (columns, rows) in tables.items():
            write_table(folder / f"{name}.csv", columns, rows)
        return [folder / f"{name}.csv" for name in tables]

    def _ranks(self) -> Iterator[list[Any]]:
        for place in self.order:
            ranks = (self.mean_ranks[place], *self.ranks[place])
            yield [self.methods[place], *map(float, ranks), self.verdict(self.methods[place])]

    def _scores(self) -> Iterator[list[Any]]:
        for column, metric in enumerate(self.metrics):
            for place in self.order:
                bounds = self.intervals[place, column].tolist()
                values = [float(self.means[place, column]), *bounds, float(self.ranks[place, column])]
                yield [self.methods[place], metric, METRICS[metric].better, *values]

    def _advantages(self) -> Iterator[list[Any]]:
        for each in self.advantages:
            said = "yes" if each.better else "no"
            values = [each.difference, each.low, each.high, said]
            yield [each.method, each.metric, METRICS[each.metric].better, each.baseline, *values]


def rank_methods(record: Faithfulness, *, replicates: int = REPLICATES, seed: int = 0) -> MethodRanking:
    """Rank the methods by each metric, with bootstrap intervals over the images.

    All methods and metrics of a replicate see the same images, so that differences are paired. A method
    beats a baseline where the 95 % interval of its difference lies wholly on the good side of 0. Each
    comparison stands by itself: of forty methods that know nothing, about one beats a baseline by chance.

    Args:
        record: The scores.
        replicates: How often the images are drawn anew.
        seed: The seed of the draws.
    """
    means = np.nanmean(record.scores, axis=2)
    draws = _draws(record, replicates, seed)
    ranks = _ranks(record, means)
    faithful = [METRICS[metric].faithful for metric in record.metrics]
    mean_ranks = ranks[:, faithful].mean(axis=1) if any(faithful) else np.full(len(ranks), np.nan)
    return MethodRanking(
        methods=record.methods,
        metrics=record.metrics,
        n=len(record),
        measured=record.measured.sum(axis=1),
        means=means,
        intervals=np.array(
            [[_bounds(row, float(mean)) for row, mean in zip(*each, strict=True)]
             for each in zip(draws, means, strict=True)]
        ),
        ranks=ranks,
        mean_ranks=mean_ranks,
        advantages=tuple(_advantages(record, draws)),
    )  # fmt: skip


def _draws(record: Faithfulness, replicates: int, seed: int) -> Floats:
    """Return every mean score of the images drawn anew, `[method, metric, replicate]`."""
    found = np.empty((*record.scores.shape[:2], replicates))
    for column, measured in enumerate(record.measured):
        count = int(measured.sum())
        weights = all_draws(count, replicates=replicates, seed=seed)
        found[:, column] = record.scores[:, column, measured] @ weights.T / count
    return found


def all_draws(count: int, *, replicates: int, seed: int) -> Floats:
    """Return how often each image is drawn in each replicate of the bootstrap, `[replicate, image]`."""
    return np.stack([resampled_weights(count, replicate=number, seed=seed) for number in range(replicates)])


def _ranks(record: Faithfulness, means: Floats) -> Floats:
    methods = [place for place, name in enumerate(record.methods) if not is_baseline(name)]
    signs = np.array([1 if METRICS[metric].better == "lower" else -1 for metric in record.metrics])
    ranks = np.full(means.shape, np.nan)
    if methods:
        ranks[methods] = rankdata(means[methods] * signs, axis=0)
    return ranks


def _bounds(draws: Floats, estimate: float) -> tuple[float, float]:
    return interval(draws, estimate) or (np.nan, np.nan)


def _advantages(record: Faithfulness, draws: Floats) -> Iterator[Advantage]:
    for place, method in enumerate(record.methods):
        if is_baseline(method):
            continue
        for column, metric in enumerate(record.metrics):
            for kind in METRICS[metric].against:
                baseline = record.baseline_of(method, kind)
                if baseline not in record.methods:
                    continue
                other = record.methods.index(baseline)
                difference = float(np.nanmean(record.scores[place, column] - record.scores[other, column]))
                low, high = _bounds(draws[place, column] - draws[other, column], difference)
                if np.isnan(low) and record.measured[column].sum() > 1:
                    low = high = difference  # the same on every image
                better = high < 0 if METRICS[metric].better == "lower" else low > 0
                yield Advantage(method, metric, baseline, difference, low, high, better)
