"""Outcomes: what every metric needs to know of each image, made in one streamed pass over the logits."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.blocks import Block, map_blocks
from vitscope.analysis.classbins import ClassBins, bin_classes
from vitscope.errors import InputError, NotFiniteError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Outcomes", "outcomes"]

_BINS = 15
_TOP = 5
_LEAST = -800.0  # its exponential is 0 in float64


@dataclass(frozen=True, eq=False)
class Outcomes:
    """One value an image of everything that the metrics are made from.

    z are the image's logits, p their softmax in float64, and y its label; where probabilities were given, p
    are those, divided by their sum where rounding made it another than 1, and z = ln p. A row that is not
    finite throughout has `finite` False, `predicted`, `rank` and `top` −1, and NaN elsewhere.

    Attributes:
        classes: The class names.
        labels: `[image]`, y.
        predicted: `[image]`, the class of the largest score, the first of equals.
        rank: `[image]`, how many classes come before y: those with a larger score, and those with an equal
            score and a smaller index. Rank 0 is the same as `predicted == labels`.
        top: `[image, min(5, classes)]`, the classes of the largest scores, in that order.
        confidence: `[image]`, max p, in 0 … 1.
        truth: `[image]`, p_y, in 0 … 1.
        log_truth: `[image]`, ln p_y = z_y − logsumexp z, at most 0; −inf where a probability of 0 was given,
            or where z_y is further from the largest than a float holds.
        square_sum: `[image]`, Σ p², in 1/classes … 1.
        entropy: `[image]`, −Σ p ln p in nats, in 0 … ln classes.
        maximum: `[image]`, max z.
        margin: `[image]`, max z less the next largest z, at least 0; infinite where there is one class.
        logsumexp: `[image]`, ln Σ exp z.
        finite: `[image]`, whether the row is finite throughout.
        class_bins: Every class's probabilities in bins, over all images together.
    """

    classes: tuple[str, ...]
    labels: Integers
    predicted: Integers
    rank: Integers
    top: NDArray[np.int32]
    confidence: Floats
    truth: Floats
    log_truth: Floats
    square_sum: Floats
    entropy: Floats
    maximum: Floats
    margin: Floats
    logsumexp: Floats
    finite: NDArray[np.bool_]
    class_bins: ClassBins

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def n_not_finite(self) -> int:
        """How many images have logits that are not finite."""
        return len(self) - int(np.count_nonzero(self.finite))

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Where the prediction is the label: `[image]`."""
        return np.equal(self.predicted, self.labels)

    @cached_property
    def scored(self) -> Outcomes:
        """The images that metrics are made of: those with finite rows.

        Raises:
            InputError: There are no images.
            NotFiniteError: There are images, and no row is finite.
        """
        if not len(self):
            raise InputError("expected predictions of at least one image, got none")
        if not self.finite.any():
            raise NotFiniteError(
                f"none of the {len(self)} images has finite logits",
                hint="the weights or the inputs hold NaN, or half precision overflowed",
            )
        if self.finite.all():
            return self
        return replace(self, **{name: getattr(self, name)[self.finite] for name in _COLUMNS})


_COLUMNS = tuple(item.name for item in fields(Outcomes) if item.name not in ("classes", "class_bins"))
_WHOLE = ("predicted", "rank")
_REAL = tuple(name for name in _COLUMNS if name not in (*_WHOLE, "labels", "top", "finite"))


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
    width = len(source.classes)
    columns = _empty_columns(len(source), width, source.labels)
    gathered = ClassBins.empty(width, bins)

    def reduce(block: Block) -> tuple[Block, dict[str, NDArray[Any]], ClassBins]:
        values = _reduce(block, logits=source.kind == "logits")
        return block, values, bin_classes(block.scores, block.labels, bins=bins)

    for block, values, part in map_blocks(reduce, source):
        columns["finite"][block.rows] = block.finite
        for name, column in values.items():
            columns[name][block.rows][block.finite] = column
        gathered = gathered + part
    return Outcomes(classes=source.classes, class_bins=gathered, **columns)


def _empty_columns(count: int, width: int, labels: Integers) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {name: np.full(count, -1, dtype=np.int64) for name in _WHOLE}
    columns |= {name: np.full(count, np.nan) for name in _REAL}
    columns["labels"] = np.asarray(labels, dtype=np.int64)
    columns["top"] = np.full((count, min(_TOP, width)), -1, dtype=np.int32)
    columns["finite"] = np.zeros(count, dtype=np.bool_)
    return columns


def _reduce(block: Block, *, logits: bool) -> dict[str, NDArray[Any]]:
    """Return the columns of a block's rows; its scores become probabilities."""
    scores, labels = block.scores, block.labels
    index = np.arange(len(scores))
    own = scores[index, labels]
    top, values = _top(scores)
    rank = _rank(scores, labels, top)
    largest = values[:, 0]
    columns: dict[str, NDArray[Any]] = {"predicted": top[:, 0].astype(np.int64), "rank": rank, "top": top}
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        peaks = values if logits else np.log(values)
        columns |= {"maximum": peaks[:, 0], "margin": _margin(peaks)}
        if logits:
            columns |= _normalise(scores, own - largest, largest)
        else:
            logarithms = np.log(scores)
            columns |= {
                "log_truth": np.log(own),
                "entropy": -np.nansum(scores * logarithms, axis=1) + 0.0,
                "logsumexp": np.zeros(len(scores)),
            }
    columns["truth"] = np.exp(columns["log_truth"]) if logits else own
    columns["confidence"] = scores[index, columns["predicted"]]
    columns["square_sum"] = np.einsum("ij,ij->i", scores, scores)
    return columns


def _normalise(scores: Floats, own: Floats, largest: Floats) -> dict[str, NDArray[Any]]:
    """Turn logits into probabilities in place; `own` are the labels' logits less the largest."""
    scores -= largest[:, None]
    np.maximum(scores, _LEAST, out=scores)  # keeps 0 × ∞ out of the entropy
    powers = np.exp(scores)
    total = powers.sum(axis=1)
    logarithm = np.log(total)
    weighted = np.einsum("ij,ij->i", powers, scores)
    np.divide(powers, total[:, None], out=scores)
    # ln p_y comes from the logits, never from p: it stays exact where p underflows.
    return {
        "log_truth": own - logarithm,
        "entropy": (logarithm - weighted / total).clip(0.0),
        "logsumexp": largest + logarithm,
    }


def _top(scores: Floats) -> tuple[NDArray[np.int32], Floats]:
    """Return the classes of the largest scores and those, the first of equals first: arg max by arg max."""
    index = np.arange(len(scores))
    count = min(_TOP, scores.shape[1])
    top, values = np.empty((len(scores), count), dtype=np.int32), np.empty((len(scores), count))
    for place in range(count):
        top[:, place] = scores.argmax(axis=1)
        values[:, place] = scores[index, top[:, place]]
        scores[index, top[:, place]] = -np.inf
    for place in range(count):
        scores[index, top[:, place]] = values[:, place]
    return top, values


def _margin(peaks: Floats) -> Floats:
    if peaks.shape[1] == 1:
        return np.full(len(peaks), np.inf)
    return np.asarray(peaks[:, 0] - peaks[:, 1])


def _rank(scores: Floats, labels: Integers, top: NDArray[np.int32]) -> Integers:
    """Return how many classes come before the label: its place among the top, else by counting."""
    found = top == labels[:, None]
    rank: Integers = found.argmax(axis=1)
    rest = np.flatnonzero(~found.any(axis=1))
    rank[rest] = _count_ahead(scores[rest], labels[rest])
    return rank


def _count_ahead(scores: Floats, labels: Integers) -> Integers:
    own = scores[np.arange(len(scores)), labels, None]
    ahead = np.count_nonzero(scores > own, axis=1)
    equal = scores == own
    # Few rows have ties; only those pay for counting the equals that come first.
    tied = np.flatnonzero(np.count_nonzero(equal, axis=1) > 1)
    before = np.arange(scores.shape[1]) < labels[tied, None]
    ahead[tied] += np.count_nonzero(equal[tied] & before, axis=1)
    return np.asarray(ahead, dtype=np.int64)
