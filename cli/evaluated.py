"""What `vitscope evaluate` is asked for, and where the predictions and images for it come from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitscope.cli.subjects import data_of
from vitscope.errors import EnvironmentFault, InputError, UsageError
from vitscope.paths import folder_format

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from vitscope.cli.options import Split
    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.records.predictions import Predictions
    from vitscope.report.evaluation import Analyses

__all__ = ["Arrays", "Wishes", "held_out_images", "open_held_out", "pictures_of", "predictions_folder"]


@dataclass(frozen=True)
class Wishes:
    """The analyses asked for; the names are those of the options.

    Raises:
        UsageError: A value is out of range.
        EnvironmentFault: A package is missing.
    """

    calibrate: bool
    conformal: float | None
    conformal_method: Literal["lac", "aps", "raps"]
    superclasses: str | None
    ood: tuple[str, ...]
    kinds: tuple[str, ...]
    held_out: str | None
    label_issues: bool
    bins: int

    def __post_init__(self) -> None:
        if self.conformal is not None and not 0 < self.conformal < 1:
            raise UsageError(f"expected --conformal between 0 and 1, got {self.conformal:g}")
        if self.held_out is not None and not self.fits:
            raise UsageError("--held-out goes with --calibrate, --conformal or --ood")
        if self.label_issues and find_spec("cleanlab") is None:
            raise EnvironmentFault("--label-issues needs cleanlab", hint="pip install 'vitscope[labels]'")

    @property
    def fits(self) -> bool:
        """Whether anything asked for is fitted, or measured from, other images."""
        return self.calibrate or self.conformal is not None or bool(self.ood)

    def need_no_model(self) -> None:
        """Refuse what only a model can do.

        Raises:
            UsageError: Such a thing was asked for.
        """
        asked = (("--ood", self.ood), ("--corruptions", self.kinds), ("--held-out", self.held_out))
        for name, given in asked:
            if given:
                raise UsageError(f"{name} needs a model to run, and there are only predictions")

    def analyses(self, classes: tuple[str, ...]) -> Analyses:
        """Return what to make of predictions of these classes.

        Raises:
            InputError: The superclasses cannot be read, or are of other classes.
        """
        from vitscope.analysis.taxonomy import load_superclasses
        from vitscope.report.evaluation import Analyses

        groups = load_superclasses(self.superclasses, classes) if self.superclasses else None
        return Analyses(
            bins=self.bins,
            superclasses=groups,
            calibrate=self.calibrate,
            alpha=self.conformal,
            method=self.conformal_method,
            label_issues=self.label_issues,
        )


@dataclass(frozen=True)
class Arrays:
    """Logits and labels in files of any program.

    Raises:
        UsageError: Labels are missing, or there is something without logits.
    """

    logits: tuple[Path, ...]
    labels: Path | None
    classes: Path | None
    probabilities: bool

    def __post_init__(self) -> None:
        if self.logits and self.labels is None:
            raise UsageError("--logits needs --labels", hint="a .npy or text file with a label an image")
        if not self.logits and (self.labels or self.probabilities):
            raise UsageError("--labels and --probabilities go with --logits")

    def open(self) -> Predictions:
        """Open them as predictions.

        Raises:
            InputError: A file cannot be read, or they do not fit together.
        """
        from vitscope.records.arrays import read_arrays

        kind: Literal["logits", "probabilities"] = "probabilities" if self.probabilities else "logits"
        if self.labels is None:
            raise UsageError("--logits needs --labels")
        return read_arrays(self.logits, self.labels, classes=self.classes, kind=kind)


def predictions_folder(source: Path | str) -> Path | None:
    """Return the predictions folder that an argument names, itself or within an evaluation; else None."""
    kind = folder_format(Path(source))
    if kind == "vitscope.evaluation":
        return Path(source) / "predictions"
    return Path(source) if kind == "vitscope.predictions" else None


def open_held_out(folder: Path) -> Predictions | None:
    """Return the held-out predictions that lie in the same evaluation as a predictions folder, if any."""
    from vitscope.records.predictions import Predictions

    beside = folder.parent / "held_out"
    return Predictions.load(beside) if folder_format(beside) == "vitscope.predictions" else None


def held_out_images(model: Classifier, data: str | None, wishes: Wishes) -> ImageSet | None:
    """Return the images to fit on: those named, else the validation part of the model's own training data.

    Raises:
        InputError: A temperature was asked for, and there are none.
        DataError: They cannot be loaded.
    """
    if not wishes.fits:
        return None
    from vitscope.data.sources import DataSpec, load_split

    if wishes.held_out is not None:
        return load_split(DataSpec(source=wishes.held_out, test=1.0), "test")
    hint = "name other images with --held-out"
    if model.data is None:
        if wishes.calibrate:
            raise InputError("there are no held-out images to fit a temperature on", hint=hint)
        return None
    spec = data_of(model, data, "validation")
    try:
        return load_split(spec, "validation")
    except InputError as error:
        if not wishes.calibrate:
            return None
        raise InputError(
            f"there are no held-out images to fit a temperature on: {error}", hint=hint
        ) from error


def pictures_of(
    predictions: Predictions, data: str | None, split: Split
) -> Callable[[int], NDArray[np.uint8]] | None:
    """Return the pictures behind stored predictions, found by name in the data given; None without data.

    Raises:
        DataError: The data cannot be loaded.
        InputError: It does not hold these images.
    """
    if data is None:
        return None
    from vitscope.data.sources import DataSpec, load_split
    from vitscope.report.pictures import find_pictures

    whole = (
        load_split(DataSpec(source=data, test=1.0), "test")
        if (predictions.provenance.split or split) == "test"
        else load_split(DataSpec(source=data, test=0.0, validation=0.0), "train")
    )
    found = find_pictures(whole, predictions.names, predictions.labels)
    if found is None:
        raise InputError(
            f"{data} does not hold the images of these predictions", hint="leave out --data for no galleries"
        )
    return found
