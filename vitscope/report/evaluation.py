"""The evaluation folder: predictions, metrics, tables and figures."""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vitscope.analysis.bootstrap import REPLICATES
from vitscope.analysis.calibrated import calibrate
from vitscope.analysis.conformal import calibration_rows, fit_conformal
from vitscope.analysis.coverage import evaluate_conformal
from vitscope.analysis.evaluation import Evaluation, evaluate
from vitscope.analysis.labels import InSampleWarning, label_issues
from vitscope.errors import InputError
from vitscope.figures.evaluation import save_evaluation_figures
from vitscope.paths import MANIFEST, staged_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vitscope.analysis.conformity import ConformalMethod
    from vitscope.analysis.superclasses import Superclasses
    from vitscope.figures.montage import Images
    from vitscope.records.predictions import Predictions

__all__ = ["Analyses", "EvaluationReport", "Stopwatch", "report_predictions", "write_evaluation"]


@dataclass
class Stopwatch:
    """Times the parts of a command.

    Attributes:
        seconds: Wall time by part, in the order in which they began.
    """

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of the block to the part called `name`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


@dataclass(frozen=True)
class Analyses:
    """What an evaluation is made of.

    Attributes:
        bins: The number of bins of the calibration errors and of the reliability diagram.
        replicates: How often the bootstrap draws images anew; 0 for no intervals but Wilson's.
        superclasses: Groups of the classes, where there are any.
        calibrate: Whether to fit a temperature on the held-out predictions.
        alpha: The share of images whose prediction set may miss the true class; None for no sets.
        method: The score that makes the sets.
        label_issues: Whether to look for doubtful labels.
        seed: The seed of every draw.
    """

    bins: int = 15
    replicates: int = REPLICATES
    superclasses: Superclasses | None = None
    calibrate: bool = False
    alpha: float | None = None
    method: ConformalMethod = "lac"
    label_issues: bool = False
    seed: int = 0


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """A written evaluation.

    Attributes:
        folder: Where it lies.
        evaluation: The numbers.
        notes: What is to be known of them, in words.
    """

    folder: Path
    evaluation: Evaluation
    notes: tuple[str, ...] = ()


def report_predictions(
    predictions: Predictions,
    folder: Path,
    *,
    analyses: Analyses | None = None,
    held_out: Predictions | None = None,
    images: Images | None = None,
    overwrite: bool = False,
) -> EvaluationReport:
    """Write the evaluation folder of predictions that are there, whole or not at all; no torch is needed.

    It holds `predictions/`, `held_out/` where there are any, `metrics.json`, `tables/*.csv` and `.tex`,
    `figures/` (see `save_evaluation_figures`), and `manifest.json`.

    Args:
        predictions: The predictions.
        folder: The folder to make.
        analyses: What to make.
        held_out: Predictions of other images, to fit on what is fitted.
        images: The pictures by their index in the predictions; None leaves the galleries out.
        overwrite: Replace an evaluation that lies there.

    Raises:
        OutputError: The folder exists and `overwrite` is off.
        NotFiniteError: No image has finite logits.
        InputError: A temperature was asked for, and there are no held-out predictions.
    """
    analyses = analyses or Analyses()
    if analyses.calibrate and held_out is None:
        raise InputError(
            "there are no held-out predictions to fit a temperature on",
            hint="evaluate the model with --calibrate, which predicts its validation images too",
        )
    with staged_folder(folder, overwrite=overwrite) as stage:
        predictions.write(stage / "predictions")
        if held_out is not None:
            held_out.write(stage / "held_out")
        evaluation, notes = analyse(predictions, analyses, held_out=held_out)
        write_evaluation(stage, evaluation, predictions, images=images)
    return EvaluationReport(folder, evaluation, notes)


def analyse(
    predictions: Predictions, analyses: Analyses, *, held_out: Predictions | None = None
) -> tuple[Evaluation, tuple[str, ...]]:
    """Compute what was asked for, and what is to be said of it.

    Prediction sets are fitted on the held-out predictions; without those on one half of the images, drawn
    at random, and then counted on the other half alone.

    Raises:
        InputError: A temperature was asked for, and there are no held-out predictions.
        NotFiniteError: No image has finite logits.
    """
    evaluation = evaluate(
        predictions,
        bins=analyses.bins,
        replicates=analyses.replicates,
        seed=analyses.seed,
        superclasses=analyses.superclasses,
    )
    notes = []
    if analyses.calibrate:
        calibrated = calibrate(
            predictions,
            held_out,
            bins=analyses.bins,
            replicates=analyses.replicates,
            seed=analyses.seed,
        )
        evaluation = replace(evaluation, calibrated=calibrated)
    if analyses.alpha is not None:
        fitted, tested = held_out, predictions
        if fitted is None:
            chosen = calibration_rows(predictions.labels, seed=analyses.seed)
            fitted, tested = predictions.take(chosen), predictions.take(~chosen)
            notes.append(
                f"prediction sets: fitted on {len(fitted):,} of the images, drawn at random "
                f"(seed {analyses.seed}), and counted on the other {len(tested):,}"
            )
        predictor = fit_conformal(fitted, alpha=analyses.alpha, method=analyses.method, seed=analyses.seed)
        evaluation = replace(evaluation, conformal=evaluate_conformal(predictor, tested))
    if analyses.label_issues:
        unseen = predictions.provenance.split != "train"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InSampleWarning)  # said in the notes
            evaluation = replace(evaluation, label_issues=label_issues(predictions, out_of_sample=unseen))
        if not unseen:
            notes.append(
                "WARNING: label issues of training images: the model has learnt their labels, wrong ones "
                "too, so that most are missed; use predictions of a model that was not trained on them"
            )
    return evaluation, tuple(notes)


def write_evaluation(
    stage: Path, evaluation: Evaluation, predictions: Predictions, *, images: Images | None
) -> None:
    """Write numbers, tables, figures, and the manifest last, into a folder that the caller keeps whole."""
    evaluation.save(stage)
    save_evaluation_figures(evaluation, images, stage / "figures", predictions=predictions)
    manifest: dict[str, Any] = {
        "format": "vitscope.evaluation",
        "version": 1,
        "n": len(predictions),
        "provenance": predictions.provenance.to_dict(),
    }
    write_json(stage / MANIFEST, manifest)
