"""The passes of a model that an evaluation needs: its images, held-out, foreign and corrupted ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.openset import open_set
from vitscope.data.corruptions.kinds import CorruptionPlan
from vitscope.errors import DataError, InputError
from vitscope.figures.captions import caption, source_sentence
from vitscope.figures.corruptions import draw_corruption_examples
from vitscope.figures.exhibit import Exhibit, save_exhibit
from vitscope.inference.meeting import Meeting
from vitscope.inference.prediction import predict
from vitscope.inference.processes import ALONE
from vitscope.inference.sharing import sharing
from vitscope.paths import staged_folder
from vitscope.report.evaluation import Analyses, EvaluationReport, Stopwatch, analyse, write_evaluation
from vitscope.report.robustness import corruption_examples, measure_corruptions, predict_unlabelled
from vitscope.report.subjects import provenance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from vitscope.analysis.corruption import CorruptionResult
    from vitscope.analysis.openset import OpenSet
    from vitscope.analysis.unlabelled import Unlabelled
    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.records.predictions import Predictions
    from vitscope.records.storage import RowReader

__all__ = ["Passes", "report_evaluation", "share_evaluation"]


@dataclass(frozen=True, eq=False)
class Passes:
    """Which images a model is run on.

    Attributes:
        images: The labelled images that it is judged on.
        held_out: Labelled images to fit on what is fitted: a temperature, prediction sets.
        foreign: Images of no class that it knows, by name.
        corruptions: Kinds of corruption, each at five severities.
        batch_size: Images at a time.
        half: Whether to keep logits as float16, each row less its largest.
        progress: Called with the number of images done since the last call.
        meeting: Where the processes meet that share the passes; the others call `share_evaluation`.

    Raises:
        DataError: The held-out images are those that the model is judged on.
    """

    images: ImageSet
    held_out: ImageSet | None = None
    foreign: Mapping[str, ImageSet] = field(default_factory=dict)
    corruptions: tuple[str, ...] = ()
    batch_size: int = 256
    half: bool = False
    progress: Callable[[int], None] | None = None
    meeting: Meeting = field(default_factory=lambda: Meeting(ALONE))

    def __post_init__(self) -> None:
        if self.held_out is not None and self.held_out.digest == self.images.digest:
            raise DataError(
                "the held-out images are the very ones to be judged on",
                hint="what is fitted must be fitted on other images: name them with --held-out",
            )

    @property
    def total(self) -> int:
        """How many images go through the model."""
        held_out = 0 if self.held_out is None else len(self.held_out)
        foreign = sum(map(len, self.foreign.values()))
        return len(self.images) * (1 + 5 * len(self.corruptions)) + held_out + foreign


def report_evaluation(
    model: Classifier,
    passes: Passes | ImageSet,
    folder: Path,
    *,
    analyses: Analyses | None = None,
    overwrite: bool = False,
    watch: Stopwatch | None = None,
) -> EvaluationReport:
    """Run the model, and write the evaluation folder whole or not at all.

    Beside what `report_predictions` writes it holds `held_out/`, the predictions of held-out images.

    Args:
        model: The classifier.
        passes: The images, or all that it is to be run on.
        folder: The folder to make.
        analyses: What to make of the predictions.
        overwrite: Replace an evaluation that lies there.
        watch: Times the parts.

    Raises:
        OutputError: The folder exists and `overwrite` is off.
        DataError: The data has a class that the model does not know.
        InputError: A temperature was asked for, and there are no held-out images.
        NotFiniteError: No image has finite logits.
    """
    if not isinstance(passes, Passes):
        passes = Passes(passes)
    analyses, watch = analyses or Analyses(), watch or Stopwatch()
    with staged_folder(folder, overwrite=overwrite) as stage:
        features, note = _features(model, passes)
        with sharing(passes.meeting, stage / ".passes"):
            with watch.part("prediction"):
                predictions, held_out = _labelled(model, passes, stage, features=features)
            with watch.part("metrics"):
                evaluation, notes = analyse(predictions, analyses, held_out=held_out)
            with watch.part("foreign"):
                open_sets = _open_sets(model, passes, predictions, held_out)
            with watch.part("corruptions"):
                corruptions = _corruptions(model, passes, predictions, analyses)
        evaluation = replace(evaluation, open_sets=open_sets, corruptions=corruptions)
        with watch.part("figures"):
            if passes.corruptions:
                _draw_examples(model, passes, analyses, stage / "figures")
            write_evaluation(
                stage,
                evaluation,
                predictions,
                images=lambda index: np.asarray(passes.images.image(index)),
            )
    return EvaluationReport(folder, evaluation, (*notes, *note))


def share_evaluation(model: Classifier, passes: Passes, *, analyses: Analyses | None = None) -> None:
    """Do this process's part of the passes that the first process makes in `report_evaluation`.

    It returns when the last pass is done; the first process alone measures, draws and writes.

    Raises:
        VitscopeError: Another process has failed, or this one.
    """
    features, _ = _features(model, passes)
    with sharing(passes.meeting):
        predictions, held_out = _labelled(model, passes, None, features=features)
        for _ in _foreign(model, passes, features=held_out is not None and features):
            pass
        _corruptions(model, passes, predictions, analyses or Analyses())


def _features(model: Classifier, passes: Passes) -> tuple[bool, tuple[str, ...]]:
    """Tell whether to keep features, for the distance to held-out ones; if they cannot be, why not."""
    if not passes.foreign:
        return False, ()
    if passes.held_out is None:
        return False, ("no distance to neighbours: there are no held-out images to measure it from",)
    try:
        predict(model, passes.images.take([0]), features=True)
    except InputError as error:
        return False, (f"no distance to neighbours: {error}",)
    return True, ()


def _labelled(
    model: Classifier, passes: Passes, stage: Path | None, *, features: bool
) -> tuple[Predictions, Predictions | None]:
    """Predict the images, and the held-out ones if there are any; write both where there is a stage."""
    predictions = _predicted(model, passes.images, passes, stage and stage / "predictions", features=features)
    if passes.held_out is None:
        return predictions, None
    held_out = _predicted(model, passes.held_out, passes, stage and stage / "held_out", features=features)
    return predictions, held_out


def _predicted(
    model: Classifier, images: ImageSet, passes: Passes, folder: Path | None, *, features: bool
) -> Predictions:
    made = predict(
        model,
        images,
        batch_size=passes.batch_size,
        features=features,
        store=folder,
        half=passes.half,
        progress=passes.progress,
    )
    if folder is not None:
        made.write(folder)
    return made


def _foreign(model: Classifier, passes: Passes, *, features: bool) -> Iterator[tuple[str, Unlabelled]]:
    for name, images in passes.foreign.items():
        yield (
            name,
            predict_unlabelled(
                model,
                images,
                features=features,
                batch_size=passes.batch_size,
                progress=passes.progress,
            ),
        )


def _open_sets(
    model: Classifier, passes: Passes, known: Predictions, held_out: Predictions | None
) -> dict[str, OpenSet]:
    bank = None if held_out is None else held_out.features
    return {
        name: open_set(known, foreign, bank=bank, k=_neighbours(bank))
        for name, foreign in _foreign(model, passes, features=bank is not None)
    }


def _neighbours(bank: NDArray[np.floating] | RowReader | None) -> int:
    """Return which neighbour counts: the 50th, or the last of a small bank."""
    return 50 if bank is None else min(50, len(bank))


def _corruptions(
    model: Classifier, passes: Passes, clean: Predictions, analyses: Analyses
) -> CorruptionResult | None:
    if not passes.corruptions:
        return None
    return measure_corruptions(
        model,
        passes.images,
        clean=clean,
        plan=CorruptionPlan(passes.corruptions, seed=analyses.seed),
        batch_size=passes.batch_size,
        progress=passes.progress,
    )


def _draw_examples(model: Classifier, passes: Passes, analyses: Analyses, folder: Path) -> None:
    """Draw the first image under each corruption, as the model sees it."""
    clean, examples = corruption_examples(
        passes.images, 0, model.preprocessing, plan=CorruptionPlan(passes.corruptions, seed=analyses.seed)
    )
    said = f"An image under {len(examples)} kinds of corruption (n = 1 image, seed {analyses.seed})."
    text = caption(said, source_sentence(provenance_of(model, passes.images)))
    draw = partial(draw_corruption_examples, examples, clean=clean)
    save_exhibit(Exhibit("corruption_examples", draw, text), folder)
