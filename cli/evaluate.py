"""`vitscope evaluate`."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.cli import evaluation_options as options
from vitscope.cli.console import progress_bar, result_json, talk
from vitscope.cli.evaluated import (
    Arrays,
    Wishes,
    held_out_images,
    open_held_out,
    pictures_of,
    predictions_folder,
)
from vitscope.cli.evaluation_summary import summarise
from vitscope.cli.figure_options import for_a_paper
from vitscope.cli.one_job import one_job
from vitscope.cli.options import Device, Json, Out, Overwrite, Quiet, Split
from vitscope.cli.subjects import check_out, data_of, find_model
from vitscope.errors import EnvironmentFault, UsageError
from vitscope.paths import folder_format, fresh_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.inference.meeting import Meeting
    from vitscope.report.evaluation import EvaluationReport, Stopwatch
    from vitscope.report.passes import Passes

__all__ = ["evaluate"]


@for_a_paper
def evaluate(
    source: options.Source = None,
    data: options.Data = None,
    split: options.EvaluatedSplit = "test",
    out: Out = None,
    device: Device = "auto",
    calibrate: options.Calibrate = False,
    conformal: options.Alpha = None,
    conformal_method: options.Method = "lac",
    superclasses: options.Superclasses = None,
    ood: options.Foreign = None,
    corruptions: options.Corruptions = False,
    kinds: options.Kinds = None,
    held_out: options.HeldOut = None,
    label_issues: options.LabelIssues = False,
    bins: options.Bins = 15,
    weights: options.Weights = None,
    logits: options.Logits = None,
    labels: options.Labels = None,
    classes: options.Classes = None,
    probabilities: options.Probabilities = False,
    batch_size: options.BatchSize = 256,
    limit: options.Limit = None,
    half: options.Half = False,
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: options.Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Measure a classifier on labelled images: numbers with intervals, tables and figures.

    Example: vitscope evaluate best.pth --calibrate --conformal 0.1
    """
    began = time.perf_counter()
    with one_job() as meeting:
        first = meeting is None or meeting.here.main
        place, images = _Place(out, overwrite, quiet or not first, meeting), _Images(data, split, limit)
        check_out(out, overwrite=overwrite)
        wishes = Wishes(
            *(calibrate, conformal, conformal_method, superclasses, tuple(ood or ())),
            *(_kinds(corruptions, kinds), held_out, label_issues, bins),
        )
        arrays = Arrays(tuple(logits or ()), labels, classes, probabilities)
        if half and wishes.ood:
            raise UsageError("--half drops each row's largest logit, which --ood needs")
        stored = predictions_folder(source) if source is not None else None
        if stored is not None or arrays.logits:
            if arrays.logits and source is not None:
                raise UsageError(f"--logits stands for the model: {source} is one too many")
            if weights is not None:
                raise UsageError("--weights needs a model, and there are only predictions")
            wishes.need_no_model()
            answer = _of_predictions(stored, arrays, wishes, images, place) if first else None
        else:
            found = find_model(source, quiet=place.quiet)
            model = _Model(found, weights, classes, device, batch_size, half)
            answer = _of_model(model, wishes, images, place)
    if answer is not None:  # of several processes, the first tells
        report, watch = answer
        watch.seconds["total"] = time.perf_counter() - began
        _tell(report, watch, json=json, verbose=verbose, quiet=quiet)


@dataclass(frozen=True)
class _Place:
    """Where the folder goes, whether to talk, and where the processes meet, if there are several."""

    out: Path | None
    overwrite: bool
    quiet: bool
    meeting: Meeting | None


@dataclass(frozen=True)
class _Images:
    """Which images are judged."""

    data: str | None
    split: Split
    limit: int | None


@dataclass(frozen=True)
class _Model:
    """The model, and how it is run."""

    source: str
    weights: Path | None
    classes: Path | None
    device: str
    batch_size: int
    half: bool


def _kinds(corruptions: bool, names: str | None) -> tuple[str, ...]:
    if not corruptions and names is None:
        return ()
    from vitscope.data.corruptions.kinds import choose_kinds

    return choose_kinds(("main" if names is None else names).replace(" ", "").split(","))


def _of_predictions(
    stored: Path | None, arrays: Arrays, wishes: Wishes, images: _Images, place: _Place
) -> tuple[EvaluationReport, Stopwatch]:
    """Evaluate predictions that are there; neither a model nor torch is needed."""
    from vitscope.records.predictions import Predictions
    from vitscope.report.evaluation import Stopwatch, report_predictions

    watch = Stopwatch()
    with watch.part("predictions"):
        predictions = arrays.open() if stored is None else Predictions.load(stored)
        held_out = None if stored is None else open_held_out(stored)
        if images.limit is not None:
            predictions = predictions.take(_subset(predictions.labels, images.limit))
        analyses = wishes.analyses(predictions.classes)
        pictures = pictures_of(predictions, images.data, images.split)
    folder = place.out if place.out is not None else fresh_path(_beside(stored) / "evaluation")
    talk(f"{len(predictions):,} images, {len(predictions.classes):,} classes", quiet=place.quiet)
    with watch.part("metrics and figures"):
        report = report_predictions(
            predictions,
            folder,
            analyses=analyses,
            held_out=held_out,
            images=pictures,
            overwrite=place.overwrite,
        )
    return report, watch


def _beside(stored: Path | None) -> Path:
    """Return the folder that a new evaluation goes into: that of the predictions, or of their evaluation."""
    if stored is None:
        return Path()
    parent = stored.absolute().parent
    return parent.parent if folder_format(parent) == "vitscope.evaluation" else parent


def _of_model(
    model: _Model, wishes: Wishes, images: _Images, place: _Place
) -> tuple[EvaluationReport, Stopwatch] | None:
    """Run the model on all that was asked for, and evaluate it; None in all processes but the first."""
    began = time.perf_counter()
    from vitscope.report.evaluation import Stopwatch
    from vitscope.report.passes import report_evaluation, share_evaluation

    watch = Stopwatch()
    watch.seconds["import"] = time.perf_counter() - began
    with place.meeting.main_first() if place.meeting is not None else nullcontext():
        with watch.part("checkpoint"):
            classifier = _load(model)
        analyses = wishes.analyses(classifier.classes)
        with watch.part("data"):
            passes = _passes(classifier, wishes, images)
    passes = replace(passes, batch_size=model.batch_size, half=model.half)
    if place.meeting is not None:
        passes = replace(passes, meeting=place.meeting)
        if not place.meeting.here.main:
            share_evaluation(classifier, passes, analyses=analyses)
            return None
    name = f"{classifier.name} on {passes.images.name}, {images.split}"
    talk(f"{name}: {len(passes.images):,} images", quiet=place.quiet)
    checkpoint = Path(model.source) if Path(model.source).is_file() else None
    beside = Path() if checkpoint is None else checkpoint.parent
    folder = place.out if place.out is not None else fresh_path(beside / f"evaluation-{images.split}")
    with progress_bar("predicting", passes.total, quiet=place.quiet) as progress:
        report = report_evaluation(
            classifier,
            replace(passes, progress=progress),
            folder,
            analyses=analyses,
            overwrite=place.overwrite,
            watch=watch,
        )
    if checkpoint is not None:
        _keep_temperature(report, checkpoint, quiet=place.quiet)
    return report, watch


def _load(model: _Model) -> Classifier:
    from vitscope.inference.classifier import load
    from vitscope.inference.processes import own_device
    from vitscope.records.arrays import read_names

    names = None if model.classes is None else read_names(model.classes)
    device = str(own_device(model.device))
    return load(model.source, weights=model.weights, classes=names, device=device)


def _passes(classifier: Classifier, wishes: Wishes, images: _Images) -> Passes:
    from vitscope.data.foreign import foreign_images
    from vitscope.data.sources import load_split
    from vitscope.report.passes import Passes

    def some(found: ImageSet) -> ImageSet:
        return found if images.limit is None else found.take(_subset(found.labels, images.limit))

    held_out = held_out_images(classifier, images.data, wishes)
    return Passes(
        some(load_split(data_of(classifier, images.data, images.split), images.split)),
        held_out=None if held_out is None else some(held_out),
        foreign={name: some(foreign_images(name)) for name in wishes.ood},
        corruptions=wishes.kinds,
    )


def _subset(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    from vitscope.data.split import stratified_subset

    return stratified_subset(labels, count, seed=0)


def _keep_temperature(report: EvaluationReport, checkpoint: Path, *, quiet: bool) -> None:
    """Leave the temperature beside the checkpoint too, where later commands look for it."""
    calibrated = report.evaluation.calibrated
    if calibrated is None:
        return
    try:
        path = calibrated.temperature.save(checkpoint.parent)
    except EnvironmentFault as error:
        talk(f"the temperature is not kept beside the checkpoint: {error}", quiet=quiet)
    else:
        talk(f"temperature: {path}", quiet=quiet)


def _tell(report: EvaluationReport, watch: Stopwatch, *, json: bool, verbose: bool, quiet: bool) -> None:
    for note in report.notes:
        talk(note, quiet=quiet)
    if verbose:
        parts = ", ".join(f"{part} {spent:.2f}" for part, spent in watch.seconds.items())
        talk(f"seconds: {parts}", quiet=quiet)
    if json:
        result_json(report.evaluation.metrics() | {"folder": str(report.folder)})
    else:
        summarise(report)
