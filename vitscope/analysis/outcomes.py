"""Outcomes: what every metric needs to know of each image, made in one streamed pass over the logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.answers import (
    BLOCKS,
    Answers,
    answer_columns,
    empty_columns,
    extract,
    extract_powers,
    fill,
    join,
)
from vitscope.analysis.blocks import map_rows
from vitscope.analysis.classbins import ClassBins, ClassTally
from vitscope.analysis.scored import ScoreReader
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.powers import Powers
    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]
    Columns = dict[str, NDArray[Any]]

__all__ = ["Outcomes", "outcomes"]

_BINS = 15
_TOP = 5
_REAL = ("square_sum", "entropy", "margin")


@dataclass(frozen=True, eq=False)
class Outcomes(Answers):
    """One value an image of everything that the metrics are made from: the answers, and the rest of p.

    A row that is not finite throughout has `top` −1, and NaN elsewhere.

    Attributes:
        top: `[image, min(5, classes)]`, the classes of the largest scores, in that order.
        square_sum: `[image]`, Σ p², in 1/classes … 1.
        entropy: `[image]`, −Σ p ln p in nats, in 0 … ln classes.
        margin: `[image]`, max z less the next largest z, at least 0; infinite where there is one class.
        class_bins: Every class's probabilities in bins, over all images together.
    """

    top: NDArray[np.int32]
    square_sum: Floats
    entropy: Floats
    margin: Floats
    class_bins: ClassBins


def outcomes(source: Predictions | Outcomes, *, bins: int | None = None) -> Outcomes:
    """Reduce predictions to one row of plain columns an image, reading the logits once in blocks of rows.

    Memory is bounded: a few float64 blocks of 4 MiB and some 150 bytes an image, whatever the number of
    classes.

    Args:
        source: Predictions, or outcomes, which are returned as they are.
        bins: The number of bins of `class_bins`; without it 15, or those that outcomes were made with.

    Raises:
        InputError: `kind` is `probabilities` and a row is negative or does not sum to 1.
        UsageError: There is less than one bin, or outcomes are given that were made with other bins.
    """
    if isinstance(source, Outcomes):
        if bins not in (None, source.class_bins.bins):
            raise UsageError(
                f"expected outcomes made with {bins} bins, got some with {source.class_bins.bins}",
                hint=f"make them with outcomes(predictions, bins={bins})",
            )
        return source
    bins = _BINS if bins is None else bins
    width, logits = len(source.classes), source.kind == "logits"
    whole = ClassTally(width, bins)
    reader, columns = ScoreReader(source), _empty_columns(source, width)

    def reduce(rows: slice) -> ClassTally:
        tally, parts = ClassTally(width, bins), []
        for where, scored in reader.read(rows):
            found, sums = extract(scored, columns["labels"][where], top=_TOP), []
            for part, powers in scored.parts():
                made = extract_powers(powers, found, part, logits=logits)
                tally.add(powers.values, made["total"], found["top"][part], found["label"][part])
                sums.append({**made, **_moments(powers, logits=logits)})
            parts.append({"where": where, **found, **join(sums)})
        if parts:
            found = join(parts)
            fill(columns, found["where"], answer_columns(found, logits=logits))
            fill(columns, found["where"], _outcome_columns(found, logits=logits))
        return tally.settle()

    for part in map_rows(reduce, source, blocks=BLOCKS):
        whole += part
    return Outcomes(classes=source.classes, class_bins=whole.bins(), **columns)


def _empty_columns(source: Predictions, width: int) -> Columns:
    columns = empty_columns(source) | {name: np.full(len(source), np.nan) for name in _REAL}
    columns["top"] = np.full((len(source), min(_TOP, width)), -1, dtype=np.int32)
    return columns


def _moments(powers: Powers, *, logits: bool) -> Columns:
    """Return the sums of squares of powers, and of powers times their logarithms; the values are lost."""
    values = powers.values
    squares = np.einsum("ij,ij->i", values, values)
    if logits:
        return {"squares": squares, "moment": powers.moment(), "shift": powers.shift}
    with np.errstate(divide="ignore", invalid="ignore"):
        moment = np.nansum(values * np.log(values), axis=1)
    return {"squares": squares, "moment": moment, "shift": powers.shift}


def _outcome_columns(rows: Columns, *, logits: bool) -> Columns:
    """Return the columns that outcomes have more than answers."""
    total, largest = rows["total"], rows["largest"]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if logits:
            # −Σ p ln p = logsumexp z − Σ p z, of which the largest logit is taken off both.
            mean = rows["moment"] / total + (rows["shift"] - largest[:, 0])
            entropy = (np.log(total / rows["peak"]) - mean).clip(0.0)
        else:
            entropy, largest = 0.0 - rows["moment"], np.log(largest)
        single = largest.shape[1] == 1
        margin = np.full(len(total), np.inf) if single else largest[:, 0] - largest[:, 1]
    return {
        "top": rows["top"],
        "square_sum": rows["squares"] / (total * total),
        "entropy": entropy,
        "margin": margin,
    }
