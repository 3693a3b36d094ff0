"""All figures of an evaluation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.analysis.evaluation import file_name
from vitscope.analysis.ordering import ClassOrder, similarity_order, superclass_order
from vitscope.figures import captions, shown
from vitscope.figures.classes import draw_class_accuracy
from vitscope.figures.confidence import draw_confidence_histogram
from vitscope.figures.conformal import draw_conformal
from vitscope.figures.confusion import draw_confusion
from vitscope.figures.corruptions import draw_corruptions
from vitscope.figures.evaluation_images import Showing
from vitscope.figures.exhibit import Exhibit, save_exhibit
from vitscope.figures.openset import draw_open_set
from vitscope.figures.reliability import draw_reliability, draw_reliability_comparison
from vitscope.figures.selective import draw_risk_coverage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from vitscope.analysis.evaluation import Evaluation
    from vitscope.figures.exhibit import Table
    from vitscope.figures.montage import Images
    from vitscope.records.predictions import Predictions

    _Part = tuple[str, partial[Figure], str, Table]

__all__ = ["evaluation_exhibits", "save_evaluation_figures"]

_MATRIX = 4000  # classes up to which the confusion matrix is drawn
_ORDERED = 30  # classes above which similar ones stand side by side


def save_evaluation_figures(
    evaluation: Evaluation,
    images: Images | None,
    folder: Path | str,
    *,
    predictions: Predictions | None = None,
    seed: int = 42,
) -> list[Path]:
    """Write every figure in the formats of the current style, with what stands beside it in a paper.

    Of the numbers: `per_class`, `confusion`, `reliability`, `confidence`, `risk_coverage`; where they were
    asked for `per_superclass` and `superclass_confusion`, `calibration` (before and after), `conformal`,
    `open_set_NAME`, `corruptions` and `label_issues`. Of the images: `samples`, `misclassified`,
    `confident_errors`, `uncertain_hits`, `class_gallery` and `confused_pairs`. The confusion matrix is
    ordered by superclass where there are any, else by similarity above 30 classes, and `class_order.csv` has
    the order. See `save_exhibit` for what else is written.

    Args:
        evaluation: What `evaluate` returns.
        images: uint8 images by their index in the predictions: a sequence, an array, or a function of the
            index; only the images that are shown are asked for, and one that cannot be read is a panel that
            says so. None leaves the figures of images out.
        folder: Where to write; made where it does not exist.
        predictions: What the evaluation is of; captions and tables name the model, the data and the images.
        seed: The seed that draws the images.

    Returns:
        The figures' paths, the formats in turn, and `class_order.csv` last where there is an order.
    """
    folder = Path(folder)
    order = _class_order(evaluation)
    # One at a time: a figure and its pictures are let go before the next is made.
    exhibits = evaluation_exhibits(evaluation, images, order=order, predictions=predictions, seed=seed)
    written = [path for exhibit in exhibits for path in save_exhibit(exhibit, folder)]
    return written if order is None else [*written, order.save(folder)]


def evaluation_exhibits(
    evaluation: Evaluation,
    images: Images | None,
    *,
    order: ClassOrder | None = None,
    predictions: Predictions | None = None,
    seed: int = 42,
) -> Iterator[Exhibit]:
    """Yield every figure of an evaluation with its caption and its data; see `save_evaluation_figures`."""
    source = captions.source_sentence(None if predictions is None else predictions.provenance)
    for name, draw, text, data in (*_numbers(evaluation, order), *_asked_for(evaluation)):
        yield Exhibit(name, draw, captions.caption(text, source), data)
    if images is not None:
        names = () if predictions is None else predictions.names
        showing = Showing(evaluation.outcomes, images, names, seed, source)
        yield from showing.exhibits(evaluation.label_issues)


def _numbers(evaluation: Evaluation, order: ClassOrder | None) -> Iterator[_Part]:
    classes, matrix, smooth = evaluation.per_class, evaluation.confusion, evaluation.smooth
    bins, histogram, selective = evaluation.reliability, evaluation.confidence, evaluation.selective
    text = captions.class_accuracy_caption(classes)
    yield "per_class", partial(draw_class_accuracy, classes), text, shown.class_accuracy_data(classes)
    if len(evaluation.classes) <= _MATRIX:
        text = captions.confusion_caption(matrix, order)
        yield "confusion", partial(draw_confusion, matrix, order=order), text, shown.confusion_data(matrix)
    yield (
        "reliability",
        partial(draw_reliability, bins, smooth=smooth),
        captions.reliability_caption(bins, smooth, intervals=evaluation.errors.intervals),
        shown.reliability_data({"reliability": (bins, smooth)}),
    )
    text = captions.confidence_caption(histogram)
    yield "confidence", partial(draw_confidence_histogram, histogram), text, shown.confidence_data(histogram)
    text = captions.risk_coverage_caption(selective)
    yield "risk_coverage", partial(draw_risk_coverage, selective), text, shown.risk_coverage_data(selective)


def _asked_for(evaluation: Evaluation) -> Iterator[_Part]:
    conformal, corruptions = evaluation.conformal, evaluation.corruptions
    yield from _superclasses(evaluation)
    yield from _calibration(evaluation)
    if conformal is not None:
        text = captions.conformal_caption(conformal)
        yield "conformal", partial(draw_conformal, conformal), text, shown.conformal_data(conformal)
    for name, found in evaluation.open_sets.items():
        text = captions.open_set_caption(found, name)
        yield f"open_set_{file_name(name)}", partial(draw_open_set, found), text, shown.open_set_data(found)
    if corruptions is not None:
        text = captions.corruptions_caption(corruptions)
        yield "corruptions", partial(draw_corruptions, corruptions), text, shown.corruptions_data(corruptions)


def _superclasses(evaluation: Evaluation) -> Iterator[_Part]:
    if evaluation.superclasses is None:
        return
    groups, matrix = evaluation.superclasses.per_superclass, evaluation.superclasses.confusion
    text = captions.class_accuracy_caption(groups, what="superclass", many="superclasses")
    yield "per_superclass", partial(draw_class_accuracy, groups), text, shown.class_accuracy_data(groups)
    text = captions.confusion_caption(matrix)
    yield "superclass_confusion", partial(draw_confusion, matrix), text, shown.confusion_data(matrix)


def _calibration(evaluation: Evaluation) -> Iterator[_Part]:
    found = evaluation.calibrated
    if found is None or found.reliability is None or found.smooth is None:
        return
    value = found.temperature.value
    if value is None:
        return
    before, after = evaluation.reliability, found.reliability
    smooth, titles = (evaluation.smooth, found.smooth), ("before", f"after: T = {value:.3f}")
    yield (
        "calibration",
        partial(draw_reliability_comparison, before, after, smooth=smooth, titles=titles),
        captions.temperature_caption(before, after, value),
        shown.reliability_data({"before": (before, smooth[0]), "after": (after, smooth[1])}),
    )


def _class_order(evaluation: Evaluation) -> ClassOrder | None:
    if not _ORDERED < len(evaluation.classes) <= _MATRIX and evaluation.superclasses is None:
        return None
    if evaluation.superclasses is not None:
        return superclass_order(evaluation.confusion, evaluation.superclasses.superclasses)
    return similarity_order(evaluation.confusion)
