"""Outcomes: what every metric needs to know of each image, made in one streamed pass over the logits."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.errors import InputError, NotFiniteError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["Outcomes", "outcomes"]

# A block of rows in float64 stays within the processor's cache or near it, however many classes there are.
_BLOCK_BYTES = 4 * 2**20
# float16 keeps eleven bits: a row of rounded probabilities still sums to one within this.
_SUM_TOLERANCE = 1e-2


@dataclass(frozen=True, eq=False)
class Outcomes:
    """One value an image of everything that accuracy, calibration and scores are made from.

    p is the softmax of the image's logits z in float64, or the probabilities themselves, and y its label.
    A row that is not finite throughout has `finite` False, `predicted` and `rank` −1, and NaN elsewhere.

    Attributes:
        classes: The class names.
        labels: `[image]`, y.
        predicted: `[image]`, the class of the largest score, the first of equals.
        rank: `[image]`, how many classes come before y: those with a larger score, and those with an equal
            score and a smaller index. Rank 0 is the same as `predicted == labels`.
        confidence: `[image]`, max p, in 0 … 1.
        truth: `[image]`, p_y, in 0 … 1.
        log_truth: `[image]`, ln p_y = z_y − logsumexp z, at most 0; −inf where a probability of 0 was given.
        square_sum: `[image]`, Σ p², in 1/classes … 1.
        finite: `[image]`, whether the row is finite throughout.
    """

    classes: tuple[str, ...]
    labels: Integers
    predicted: Integers
    rank: Integers
    confidence: Floats
    truth: Floats
    log_truth: Floats
    square_sum: Floats
    finite: NDArray[np.bool_]

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


_COLUMNS = tuple(item.name for item in fields(Outcomes) if item.name != "classes")


def outcomes(source: Predictions | Outcomes) -> Outcomes:
    """Reduce predictions to one row of plain columns an image, reading the logits once in blocks of rows.

    Memory is bounded: a few float64 blocks of 4 MiB, whatever the number of images and classes.

    Args:
        source: Predictions, or outcomes, which are returned as they are.

    Raises:
        InputError: `kind` is `probabilities` and a row is negative or does not sum to 1.
    """
    if isinstance(source, Outcomes):
        return source
    count, width = source.logits.shape
    step = max(1, _BLOCK_BYTES // (8 * width))
    columns = _empty_columns(count, source.labels)
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        block = np.array(source.logits[rows], dtype=np.float64)  # a copy: it is worked on in place
        finite = np.isfinite(block).all(axis=1)
        columns["finite"][rows] = finite
        if not finite.all():
            block = block[finite]
        if source.kind == "probabilities":
            _check_probabilities(block, np.flatnonzero(finite) + start)
        values = _reduce(block, source.labels[rows][finite], logits=source.kind == "logits")
        for name, column in values.items():
            columns[name][rows][finite] = column
    return Outcomes(classes=source.classes, **columns)


def _empty_columns(count: int, labels: Integers) -> dict[str, NDArray[Any]]:
    whole = dict.fromkeys(("predicted", "rank"), np.int64(-1))
    real = dict.fromkeys(("confidence", "truth", "log_truth", "square_sum"), np.float64(np.nan))
    columns: dict[str, NDArray[Any]] = {name: np.full(count, value) for name, value in (whole | real).items()}
    return columns | {"labels": np.asarray(labels, dtype=np.int64), "finite": np.zeros(count, dtype=np.bool_)}


def _reduce(block: Floats, labels: Integers, *, logits: bool) -> dict[str, NDArray[Any]]:
    """Return the columns of a block of finite rows, all of the same kind."""
    index = np.arange(len(block))
    predicted = block.argmax(axis=1)
    own = block[index, labels]
    largest = block[index, predicted]
    columns: dict[str, NDArray[Any]] = {"predicted": predicted, "rank": _rank(block, labels, own)}
    if not logits:
        with np.errstate(divide="ignore"):
            log_truth = np.log(own)
        square_sum = np.einsum("ij,ij->i", block, block)
        return columns | {
            "confidence": largest,
            "truth": own,
            "log_truth": log_truth,
            "square_sum": square_sum,
        }
    block -= largest[:, None]
    np.exp(block, out=block)
    total = block.sum(axis=1)
    # ln p_y comes from the logits, never from p: it stays exact where p underflows.
    log_truth = (own - largest) - np.log(total)
    return columns | {
        "confidence": 1.0 / total,
        "truth": np.exp(log_truth),
        "log_truth": log_truth,
        "square_sum": np.einsum("ij,ij->i", block, block) / total**2,
    }


def _rank(block: Floats, labels: Integers, own: Floats) -> Integers:
    ahead = np.count_nonzero(block > own[:, None], axis=1)
    equal = block == own[:, None]
    # Few rows have ties; only those pay for counting the equals that come first.
    tied = np.flatnonzero(np.count_nonzero(equal, axis=1) > 1)
    before = np.arange(block.shape[1]) < labels[tied, None]
    ahead[tied] += np.count_nonzero(equal[tied] & before, axis=1)
    return np.asarray(ahead, dtype=np.int64)


def _check_probabilities(block: Floats, rows: Integers) -> None:
    total = block.sum(axis=1)
    bad = np.flatnonzero((block.min(axis=1) < 0) | (np.abs(total - 1) > _SUM_TOLERANCE))
    if bad.size:
        raise InputError(
            f"expected probabilities that are not negative and sum to 1, got a row summing to "
            f"{total[bad[0]]:.4g} (image {rows[bad[0]]})",
            hint="say kind='logits' where the scores are logits",
        )
