"""Answers: what a model says of each image, and how sure it is of that and of the truth, in one pass."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vitscope.analysis.blocks import map_rows
from vitscope.analysis.scored import ScoreReader
from vitscope.errors import InputError, NotFiniteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.blocks import Rows
    from vitscope.analysis.powers import Powers
    from vitscope.analysis.scored import Scored
    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Columns = dict[str, NDArray[Any]]

__all__ = [
    "BLOCKS",
    "Answers",
    "answer_columns",
    "answers",
    "empty_columns",
    "extract",
    "extract_powers",
    "fill",
    "join",
]

# Scores are ranked so many blocks at a time, as they were given: the fewer operations, the less do threads
# wait for each other. Their powers are made of a few rows at a time.
BLOCKS = 4

_WHOLE = ("predicted", "rank")
_REAL = ("confidence", "truth", "log_truth", "maximum", "logsumexp")


@dataclass(frozen=True, eq=False)
class Answers:
    """One value an image of what accuracy, confusion, and calibration of the prediction are made from.

    z are the image's logits, p their softmax in float64, and y its label; where probabilities were given, p
    are those, divided by their sum where rounding made it another than 1, and z = ln p. A row that is not
    finite throughout has `finite` False, `predicted` and `rank` −1, and NaN elsewhere.

    Attributes:
        classes: The class names.
        labels: `[image]`, y.
        finite: `[image]`, whether the row is finite throughout.
        predicted: `[image]`, the class of the largest score, the first of equals.
        rank: `[image]`, how many classes come before y: those with a larger score, and those with an equal
            score and a smaller index. Rank 0 is the same as `predicted == labels`.
        confidence: `[image]`, max p, in 0 … 1.
        truth: `[image]`, p_y, in 0 … 1.
        log_truth: `[image]`, ln p_y = z_y − logsumexp z, at most 0; −inf where a probability of 0 was given,
            or where z_y is further from the largest than a float holds.
        maximum: `[image]`, max z.
        logsumexp: `[image]`, ln Σ exp z.
    """

    classes: tuple[str, ...]
    labels: Integers
    finite: NDArray[np.bool_]
    predicted: Integers
    rank: Integers
    confidence: Floats
    truth: Floats
    log_truth: Floats
    maximum: Floats
    logsumexp: Floats

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
    def scored(self) -> Self:
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
        columns: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        arrays = [name for name, value in columns.items() if isinstance(value, np.ndarray)]
        changes: dict[str, Any] = {name: columns[name][self.finite] for name in arrays}
        return replace(self, **changes)


def answers(source: Predictions | Answers) -> Answers:
    """Reduce predictions to their answers, reading the logits once in blocks of rows.

    This is the part of `outcomes` that needs least work: half of it or less. Memory is bounded: a few blocks
    of float64 and some 80 bytes an image, whatever the number of classes.

    Args:
        source: Predictions; or answers or outcomes, which are returned as they are.

    Raises:
        InputError: `kind` is `probabilities` and a row is negative or does not sum to 1.
    """
    if isinstance(source, Answers):
        return source
    reader, columns, logits = ScoreReader(source), empty_columns(source), source.kind == "logits"

    def reduce(rows: slice) -> None:
        parts = []
        for where, scored in reader.read(rows):
            found = extract(scored, columns["labels"][where], top=1)
            sums = [extract_powers(each, found, part, logits=logits) for part, each in scored.parts()]
            parts.append({"where": where, **found, **join(sums)})
        if parts:
            found = join(parts)
            fill(columns, found["where"], answer_columns(found, logits=logits))

    for _ in map_rows(reduce, source, blocks=BLOCKS):
        pass
    return Answers(classes=source.classes, **columns)


def empty_columns(source: Rows) -> Columns:
    """Return the columns of answers of rows that are not finite, to be filled where they are."""
    count = len(source.labels)
    columns: Columns = {name: np.full(count, -1, dtype=np.int64) for name in _WHOLE}
    columns |= {name: np.full(count, np.nan) for name in _REAL}
    columns["labels"] = np.asarray(source.labels, dtype=np.int64)
    columns["finite"] = np.zeros(count, dtype=np.bool_)
    return columns


def extract(scored: Scored, labels: Integers, *, top: int) -> Columns:
    """Return what answers need of the scores of some rows: a few numbers a row.

    `label`, `top` and `largest`, `[row, top]`, are the label, the classes of the largest scores and those
    scores; `own` is the label's score and `rank` its rank.
    """
    index, scores = np.arange(len(labels)), scored.scores
    classes = scored.top(min(top, scores.shape[1]))
    return {
        "label": labels,
        "top": classes,
        "largest": scores[index[:, None], classes].astype(np.float64),
        "own": scores[index, labels].astype(np.float64),
        "rank": _rank(scored, labels, classes),
    }


def extract_powers(powers: Powers, found: Columns, rows: slice, *, logits: bool) -> Columns:
    """Return what answers need of the powers of some of the rows that `extract` has `found` the scores of.

    `peak`, `truth` and `total` are the powers of the largest and of the label, and the sum of all.
    """
    values = powers.values
    index = np.arange(len(values))
    return {
        "peak": values[index, found["top"][rows, 0]],
        "truth": values[index, found["label"][rows]],
        "total": values.sum(axis=1) if logits else np.ones(len(values)),
    }


def join(parts: list[Columns]) -> Columns:
    """Return the rows of several extracts as one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def fill(columns: Columns, where: Integers, found: Columns) -> None:
    """Write columns of some rows into those of all."""
    for name, column in found.items():
        columns[name][where] = column


def answer_columns(rows: Columns, *, logits: bool) -> Columns:
    """Return the columns of answers, of what `extract` found."""
    columns = {
        "finite": np.ones(len(rows["rank"]), dtype=np.bool_),
        "predicted": rows["top"][:, 0].astype(np.int64),
        "rank": rows["rank"],
        "confidence": rows["peak"] / rows["total"],
    }
    largest, own, truth = rows["largest"][:, 0], rows["own"], rows["truth"]
    with np.errstate(divide="ignore", over="ignore"):
        if not logits:
            ends = {"maximum": np.log(largest), "logsumexp": np.zeros(len(own))}
            return columns | ends | {"truth": truth, "log_truth": np.log(truth)}
        above = np.log(rows["total"] / rows["peak"])  # logsumexp z − max z
        # ln p_y comes from the logits, never from p: it stays exact where p underflows.
        log_truth = own - largest - above
    ends = {"maximum": largest, "logsumexp": largest + above}
    return columns | ends | {"truth": np.exp(log_truth), "log_truth": log_truth}


def _rank(scored: Scored, labels: Integers, top: NDArray[np.int32]) -> Integers:
    """Return how many classes come before the label: its place among the top, else by counting."""
    found = top == labels[:, None]
    rank: Integers = found.argmax(axis=1)
    rest = np.flatnonzero(~found.any(axis=1))
    if rest.size:
        scores, label = scored.order(rest), labels[rest, None].astype(np.int32)  # half as wide, half the work
        own = scores[np.arange(len(rest))[:, None], label]
        ahead = scores == own
        ahead &= np.arange(scores.shape[1], dtype=np.int32) < label
        ahead |= scores > own
        rank[rest] = ahead.sum(axis=1, dtype=np.int32)
    return rank
