"""Superclasses: classes in groups, and how many errors stay within them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.accuracy import ClassAccuracy, class_accuracy
from vitscope.analysis.confusion import Confusion, confusion
from vitscope.analysis.intervals import wilson
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.tables import number, write_table
from vitscope.errors import InputError
from vitscope.paths import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["SuperclassResult", "Superclasses", "superclass_accuracy"]

# A rank beyond every k: of a superclass only the first place is known.
_BEYOND = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Superclasses:
    """Which superclass each class belongs to.

    Attributes:
        classes: The class names.
        names: The superclasses' names, each with at least one class.
        member: `[class]`, the index of the class's superclass.

    Raises:
        InputError: A superclass has no class, or a class no superclass.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    member: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.member) != len(self.classes):
            raise InputError(f"expected {len(self.classes)} superclass indices, got {len(self.member)}")
        if not np.array_equal(np.unique(self.member), np.arange(len(self.names))):
            raise InputError(f"expected each of {len(self.names)} superclasses to have a class")

    @classmethod
    def of(cls, classes: tuple[str, ...], superclass: Mapping[str, str]) -> Superclasses:
        """Make superclasses from each class's superclass by name, named in alphabetical order.

        Raises:
            InputError: A class has no superclass, the mapping knows another class, or two classes share a
                name.
        """
        known = set(classes)
        if len(known) < len(classes):
            twice = next(name for place, name in enumerate(classes) if name in classes[:place])
            raise InputError(f"expected class names that differ, got {twice!r} twice")
        hint = "give every class of the model exactly one superclass"
        if strange := [name for name in superclass if name not in known]:
            raise InputError(f"expected classes of the model, got {_listed(strange)}", hint=hint)
        if missing := [name for name in classes if name not in superclass]:
            raise InputError(
                f"expected a superclass for every class, got none for {_listed(missing)}", hint=hint
            )
        names = tuple(sorted(set(superclass.values())))
        place = {name: index for index, name in enumerate(names)}
        member = np.array([place[superclass[name]] for name in classes], dtype=np.int64)
        return cls(classes, names, member)

    def check(self, classes: tuple[str, ...]) -> None:
        """Refuse classes that these superclasses are not of.

        Raises:
            InputError: The classes differ.
        """
        if classes != self.classes:
            raise InputError(
                f"expected superclasses of the {len(classes)} classes predicted, got those of "
                f"{len(self.classes)} others"
            )


@dataclass(frozen=True, eq=False)
class SuperclassResult:
    """How often the predicted class is of the true superclass.

    Attributes:
        superclasses: The groups.
        per_superclass: Accuracy of every superclass, and of all images together.
        confusion: The confusion matrix of the superclasses.
        n_errors: `[superclass]`, wrong predictions (of the class) among the superclass's images.
        n_within: `[superclass]`, those of them whose predicted class is of the same superclass.
        within: Share of all errors that stay within the superclass, 0 … 1; NaN where nothing is wrong.
        within_interval: Its Wilson 95 % interval; NaN where nothing is wrong.
        within_chance: The share to expect of errors that fall on any other class alike: the mean of
            (classes of the true superclass − 1)/(classes − 1) over the errors; NaN where nothing is wrong.
    """

    superclasses: Superclasses
    per_superclass: ClassAccuracy
    confusion: Confusion
    n_errors: NDArray[np.int64]
    n_within: NDArray[np.int64]
    within: float
    within_interval: tuple[float, float]
    within_chance: float

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them; what is not applicable is None.

        Keys: `superclass_accuracy`, `superclass_accuracy_interval` [low, high], `errors_within_superclass`,
        `errors_within_superclass_interval`, `errors_within_superclass_chance`.
        """
        overall = self.per_superclass.overall
        errors = bool(self.n_errors.any())
        return {
            "superclass_accuracy": overall.value,
            "superclass_accuracy_interval": list(overall.interval),
            "errors_within_superclass": number(self.within),
            "errors_within_superclass_interval": list(self.within_interval) if errors else None,
            "errors_within_superclass_chance": number(self.within_chance),
        }

    def save(self, folder: Path | str) -> list[Path]:
        """Write `superclasses.json`, `per_superclass.csv` and `superclass_counts.csv`; return their paths."""
        folder = Path(folder)
        summary, table = folder / "superclasses.json", folder / "per_superclass.csv"
        counts = folder / "superclass_counts.csv"
        write_json(summary, self.metrics())
        size = np.bincount(self.superclasses.member)
        rows = (
            (
                *(row["class"], int(width), row["n"], row["correct"], row["accuracy"]),
                *(row["interval"] or (None, None)),
                *(int(errors), int(within)),
            )
            for row, width, errors, within in zip(
                self.per_superclass.rows(), size, self.n_errors, self.n_within, strict=True
            )
        )
        columns = ("superclass", "classes", "n", "correct", "accuracy", "low", "high", "errors", "within")
        write_table(table, columns, rows, percent=("accuracy",))
        names = self.superclasses.names
        lines = ((name, *line) for name, line in zip(names, self.confusion.counts.tolist(), strict=True))
        write_table(counts, ("true \\ predicted", *names), lines)
        return [summary, table, counts]


def superclass_accuracy(source: Predictions | Outcomes, superclasses: Superclasses) -> SuperclassResult:
    """Return how often the predicted class is of the true superclass, and how many errors stay within it.

    The predicted superclass is that of the predicted class.

    *Differs*: summing the probabilities of each superclass's classes and taking the largest sum is the other
    convention in use; it is right a little more often and needs all the scores, not the prediction alone.

    Args:
        source: Predictions, or their outcomes; rows that are not finite are left out.
        superclasses: The groups, of the same classes.

    Raises:
        InputError: The superclasses are of other classes, or there are no images.
        NotFiniteError: No image has finite logits.
    """
    rows = outcomes(source)
    superclasses.check(rows.classes)
    member, count = superclasses.member, len(superclasses.names)
    coarse = _coarse(rows, superclasses)
    scored = rows.scored
    wrong = ~scored.correct
    true = member[scored.labels[wrong]]
    stays = true == member[scored.predicted[wrong]]
    n_errors = np.bincount(true, minlength=count)
    n_within = np.bincount(true[stays], minlength=count)
    errors, within = int(n_errors.sum()), int(n_within.sum())
    low, high = wilson(within, errors).tolist()
    # Where there is an error there are two classes at least.
    others = np.bincount(member, minlength=count)[true] - 1
    return SuperclassResult(
        superclasses=superclasses,
        per_superclass=class_accuracy(coarse),
        confusion=confusion(coarse),
        n_errors=n_errors,
        n_within=n_within,
        within=within / errors if errors else np.nan,
        within_interval=(low, high),
        within_chance=float(np.mean(others) / (len(member) - 1)) if errors else np.nan,
    )


def _coarse(rows: Outcomes, superclasses: Superclasses) -> Outcomes:
    """Return the outcomes as of a model that names superclasses."""
    member = superclasses.member
    labels = member[rows.labels]
    predicted = np.where(rows.finite, member[rows.predicted.clip(0)], -1)
    rank = np.where(predicted == labels, 0, _BEYOND)
    return replace(rows, classes=superclasses.names, labels=labels, predicted=predicted, rank=rank)


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
