"""Subjects: the pictures that a report is about, opened some at a time, with what the model says of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from vitscope.errors import NotFiniteError
from vitscope.records.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from vitscope.data.imageset import ImageSet
    from vitscope.figures.overlay import Box
    from vitscope.inference.classifier import Classifier

__all__ = ["Answer", "Batch", "Subject", "answers", "batches", "figure_name", "provenance_of"]

_PASS = 64  # pictures opened and explained at a time


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture to explain.

    Attributes:
        name: What it is called in the records.
        open: Returns the picture, upright, grey or RGB.
        label: Its true class, an index into the model's; None where it is not known.
    """

    name: str
    open: Callable[[], Image]
    label: int | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """Some of the subjects, opened.

    Attributes:
        start: The number of the first among all subjects.
        subjects: The subjects.
        pictures: Their pictures as uint8 `[row, column]` or `[row, column, 3]`.
        boxes: What the model sees of each.
        inputs: What the model takes, `[image, channel, row, column]`.
    """

    start: int
    subjects: Sequence[Subject]
    pictures: list[NDArray[np.uint8]]
    boxes: list[Box]
    inputs: Tensor


class Answer(NamedTuple):
    """The class that a model predicts, by name and by index, and its softmax confidence, 0 to 1."""

    name: str
    confidence: float
    label: int


def batches(model: Classifier, subjects: Sequence[Subject]) -> Iterator[Batch]:
    """Open the subjects, 64 at a time, as the model takes them.

    Raises:
        ImageError: A picture cannot be read.
    """
    for start in range(0, len(subjects), _PASS):
        some = subjects[start : start + _PASS]
        opened = [subject.open() for subject in some]
        yield Batch(
            start=start,
            subjects=some,
            pictures=[np.asarray(picture) for picture in opened],
            boxes=[model.preprocessing.region(*picture.size) for picture in opened],
            inputs=model.prepare(opened),
        )


def answers(model: Classifier, logits: Tensor) -> list[Answer]:
    """Return what logits `[image, class]` predict.

    Raises:
        NotFiniteError: They are not finite.
    """
    if not bool(torch.isfinite(logits).all()):
        raise NotFiniteError("the model's output is not finite", hint="use another checkpoint")
    confidence, predicted = logits.detach().double().softmax(dim=1).max(dim=1)
    pairs = zip(predicted.tolist(), confidence.tolist(), strict=True)
    return [Answer(model.classes[index], share, index) for index, share in pairs]


def figure_name(name: str, *, number: int, count: int) -> str:
    """Return a file name without suffix for a subject's figure, numbered where there are several."""
    word = re.sub(r"[^\w.-]+", "-", Path(name).stem).strip("-.")[:60] or "image"
    return word if count == 1 else f"{number:0{len(str(count - 1))}d}_{word}"


def provenance_of(model: Classifier, images: ImageSet | None) -> Provenance:
    """Return where maps come from: the model, and the data set that pictures were taken from, if any."""
    known = {"checkpoint": model.source, "checkpoint_digest": model.digest}
    if images is not None:
        known |= {"data": images.name, "split": images.split, "data_digest": images.digest}
    return Provenance.collect(**known)
