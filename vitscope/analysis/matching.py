"""Matching: whether several models' predictions are of the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError
from vitscope.records.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from vitscope.analysis.outcomes import Outcomes

__all__ = ["Labelling", "check_same_images"]


@dataclass(frozen=True, eq=False)
class Labelling:
    """What is known of labelled images before, or after, a model has seen them.

    Attributes:
        labels: `[image]`.
        classes: The class names that a label is an index into.
        names: The images' names; empty where they are not known.
        digest: The data's digest; empty where it is not known.
    """

    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    names: tuple[str, ...] = ()
    digest: str = ""

    @classmethod
    def of(cls, source: Predictions | Outcomes) -> Labelling:
        """Return what predictions know of their images; outcomes know neither names nor a digest.

        Names that only count the images, without a digest, are none: arrays of any program come so.
        """
        if not isinstance(source, Predictions):
            return cls(source.labels, source.classes)
        digest = source.provenance.data_digest
        counted = not digest and source.names == tuple(map(str, range(len(source))))
        return cls(source.labels, source.classes, () if counted else source.names, digest)


def check_same_images(models: Mapping[str, Labelling]) -> None:
    """Refuse models whose images are not the same, in the same order, with the same classes.

    Each is held against the first. Those with a data digest must have the same one; image names, where both
    have them, labels and classes must be equal. Classes alone may be spelt differently where digests and
    labels agree, as ImageNet's are by the libraries: then a label means the same class to both. A digest is
    of names, labels and classes, not of pixels: other pictures under the same names are not noticed.

    Raises:
        InputError: They differ; the message names the first difference.
    """
    (first, expected), *others = models.items()
    for name, other in others:
        reason = _difference(expected, other)
        if reason:
            raise InputError(
                f"{first} and {name} do not have the same images: {reason}",
                hint="evaluate both on the same split of the same data",
            )


def _difference(first: Labelling, second: Labelling) -> str:
    """Return what differs first, or nothing."""
    if len(first.labels) != len(second.labels):
        return f"{len(first.labels):,} and {len(second.labels):,} of them"
    reason = _names_differ(first.names, second.names) or _labels_differ(first, second)
    if reason:
        return reason
    if first.digest and second.digest:
        if first.digest != second.digest:
            return f"the digests of the data are {first.digest[:12]}… and {second.digest[:12]}…"
        if len(first.classes) == len(second.classes):
            return ""
    return _classes_differ(first.classes, second.classes)


def _names_differ(first: Sequence[str], second: Sequence[str]) -> str:
    if not first or not second or first == second:
        return ""
    place = next(index for index, pair in enumerate(zip(first, second, strict=True)) if pair[0] != pair[1])
    order = " (the same names in another order)" if sorted(first) == sorted(second) else ""
    return f"image {place} is {first[place]!r} and {second[place]!r}{order}"


def _labels_differ(first: Labelling, second: Labelling) -> str:
    wrong = np.flatnonzero(np.asarray(first.labels) != np.asarray(second.labels))
    if not wrong.size:
        return ""
    place = int(wrong[0])
    names = first.names or second.names
    label, other = (each.classes[int(each.labels[place])] for each in (first, second))
    what = f"image {place}" + (f", {names[place]!r}," if names else "")
    if label == other:
        return f"{what} is of class {first.labels[place]} and {second.labels[place]}, both called {label!r}"
    return f"{what} is labelled {label!r} and {other!r}"


def _classes_differ(first: Sequence[str], second: Sequence[str]) -> str:
    if len(first) != len(second):
        return f"{len(first):,} and {len(second):,} classes"
    pairs = enumerate(zip(first, second, strict=True))
    return next((f"class {index} is {a!r} and {b!r}" for index, (a, b) in pairs if a != b), "")
