"""Perturbation curves: what becomes of a model's answer as pixels are taken out or put in, on average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.bootstrap import REPLICATES, interval
from vitscope.analysis.faithfulness import all_draws
from vitscope.analysis.tables import write_table
from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from vitscope.records.faithfulness import Faithfulness

    Floats = NDArray[np.float64]

__all__ = ["MeanCurve", "mean_curves", "save_curves"]


@dataclass(frozen=True, eq=False)
class MeanCurve:
    """A curve of one method, averaged over the images.

    Attributes:
        fractions: `[step]`, the share of pixels taken out or put in.
        means: `[step]`, the target's probability.
        intervals: `[step, 2]`, bootstrap 95 %; NaN where it does not vary.
    """

    fractions: Floats
    means: Floats
    intervals: Floats


def mean_curves(
    record: Faithfulness, *, replicates: int = REPLICATES, seed: int = 0
) -> Mapping[str, Mapping[str, MeanCurve]]:
    """Average every curve over the images: a mapping by curve and by method.

    Args:
        record: The scores and their curves.
        replicates: How often the images are drawn anew, for the intervals.
        seed: The seed of the draws.

    Raises:
        InputError: The record has no curves.
    """
    if not record.curves:
        raise InputError("the record has no curves", hint="measure deletion, insertion or road")
    count = len(record)
    weights = all_draws(count, replicates=replicates, seed=seed)
    found: dict[str, dict[str, MeanCurve]] = {}
    for name, curves in record.curves.items():
        found[name] = {}
        for method, values in zip(record.methods, curves, strict=True):
            means, draws = values.mean(axis=0), weights @ values / count
            bounds = [
                interval(column, float(mean)) or (np.nan, np.nan)
                for column, mean in zip(draws.T, means, strict=True)
            ]
            found[name][method] = MeanCurve(record.fractions[name], means, np.array(bounds))
    return found


def save_curves(curves: Mapping[str, Mapping[str, MeanCurve]], path: Path) -> Path:
    """Write a line a curve, a method and a step as CSV, with LaTeX beside it."""
    write_table(path, ("curve", "method", "fraction", "probability", "low", "high"), _rows(curves))
    return path


def _rows(curves: Mapping[str, Mapping[str, MeanCurve]]) -> Iterator[list[str | float]]:
    for name, methods in curves.items():
        for method, each in methods.items():
            columns = np.column_stack([each.fractions, each.means, each.intervals])
            yield from ([name, method, *row] for row in columns.tolist())
