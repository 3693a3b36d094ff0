"""All figures of an evaluation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.analysis.evaluation import file_name
from vitscope.analysis.ordering import ClassOrder, similarity_order, superclass_order
from vitscope.analysis.pairs import pair_samples
from vitscope.analysis.samples import class_samples, confident_errors, sample_indices, uncertain_hits
from vitscope.figures.class_gallery import draw_class_gallery
from vitscope.figures.classes import draw_class_accuracy
from vitscope.figures.confidence import draw_confidence_histogram
from vitscope.figures.conformal import draw_conformal
from vitscope.figures.confusion import draw_confusion
from vitscope.figures.corruptions import draw_corruptions
from vitscope.figures.files import save_figure
from vitscope.figures.gallery import draw_gallery, draw_label_issues, draw_notice
from vitscope.figures.openset import draw_open_set
from vitscope.figures.pairs import draw_pairs
from vitscope.figures.reliability import draw_reliability, draw_reliability_comparison
from vitscope.figures.selective import draw_risk_coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.analysis.evaluation import Evaluation
    from vitscope.figures.montage import Images

__all__ = ["save_evaluation_figures"]

_MATRIX = 4000  # classes up to which the confusion matrix is drawn
_ORDERED = 30  # classes above which similar ones stand side by side


def save_evaluation_figures(
    evaluation: Evaluation,
    images: Images | None,
    folder: Path | str,
    *,
    seed: int = 42,
) -> list[Path]:
    """Write every figure as PDF and PNG.

    Of the numbers: `per_class`, `confusion`, `reliability`, `confidence`, `risk_coverage`; where they were
    asked for `per_superclass` and `superclass_confusion`, `calibration` (before and after), `conformal`,
    `open_set_NAME`, `corruptions` and `label_issues`. Of the images: `samples`, `misclassified`,
    `confident_errors`, `uncertain_hits`, `class_gallery` and `confused_pairs`. The confusion matrix is
    ordered by superclass where there are any, else by similarity above 30 classes, and `class_order.csv` has
    the order.

    Args:
        evaluation: What `evaluate` returns.
        images: uint8 images by their index in the predictions: a sequence, an array, or a function of the
            index; only the images that are shown are asked for, and one that cannot be read is a panel that
            says so. None leaves the figures of images out.
        folder: Where to write; made where it does not exist.
        seed: The seed that draws the images.

    Returns:
        The paths written, PDF and PNG in turn, and `class_order.csv` last where there is an order.
    """
    folder = Path(folder)
    order = _class_order(evaluation)
    figures = dict(_numbers(evaluation, order)) | dict(_asked_for(evaluation))
    if images is not None:
        figures |= dict(_pictures(evaluation, images, seed))
    # One at a time: a figure and its pictures are let go before the next is made.
    written = [path for name, draw in figures.items() for path in save_figure(draw(), folder / name)]
    return written if order is None else [*written, order.save(folder)]


def _numbers(evaluation: Evaluation, order: ClassOrder | None) -> Iterator[tuple[str, Callable[[], Figure]]]:
    yield "per_class", lambda: draw_class_accuracy(evaluation.per_class)
    if len(evaluation.classes) <= _MATRIX:
        yield "confusion", lambda: draw_confusion(evaluation.confusion, order=order)
    yield "reliability", lambda: draw_reliability(evaluation.reliability, smooth=evaluation.smooth)
    yield "confidence", lambda: draw_confidence_histogram(evaluation.confidence)
    yield "risk_coverage", lambda: draw_risk_coverage(evaluation.selective)


def _asked_for(evaluation: Evaluation) -> Iterator[tuple[str, Callable[[], Figure]]]:
    superclasses, calibrated = evaluation.superclasses, evaluation.calibrated
    conformal, corruptions = evaluation.conformal, evaluation.corruptions
    if superclasses is not None:
        yield "per_superclass", lambda: draw_class_accuracy(superclasses.per_superclass)
        yield "superclass_confusion", lambda: draw_confusion(superclasses.confusion)
    if calibrated is not None and calibrated.reliability is not None and calibrated.smooth is not None:
        after, smooth = calibrated.reliability, (evaluation.smooth, calibrated.smooth)
        title = f"after: T = {calibrated.temperature.value:.3f}"
        yield (
            "calibration",
            lambda: draw_reliability_comparison(
                evaluation.reliability, after, smooth=smooth, titles=("before", title)
            ),
        )
    if conformal is not None:
        yield "conformal", lambda: draw_conformal(conformal)
    for name, found in evaluation.open_sets.items():
        yield f"open_set_{file_name(name)}", partial(draw_open_set, found)
    if corruptions is not None:
        yield "corruptions", lambda: draw_corruptions(corruptions)


def _class_order(evaluation: Evaluation) -> ClassOrder | None:
    if not _ORDERED < len(evaluation.classes) <= _MATRIX and evaluation.superclasses is None:
        return None
    if evaluation.superclasses is not None:
        return superclass_order(evaluation.confusion, evaluation.superclasses.superclasses)
    return similarity_order(evaluation.confusion)


def _pictures(
    evaluation: Evaluation, images: Images, seed: int
) -> Iterator[tuple[str, Callable[[], Figure]]]:
    rows, total = evaluation.outcomes, evaluation.accuracy
    right, wrong = total.correct, total.n - total.correct
    nothing_wrong = f"No image is misclassified: all {total.n:,} predictions are right."
    nothing_right = f"No prediction is right: all {total.n:,} images are misclassified."

    def gallery(chosen: NDArray[np.int64], said: str, empty: str = "") -> Figure:
        if not chosen.size:
            return draw_notice(empty)
        return draw_gallery(images, rows, chosen, title=f"{len(chosen)} of {said}")

    def confused() -> Figure:
        pairs = pair_samples(rows, seed=seed)
        return draw_pairs(images, rows.classes, pairs) if pairs else draw_notice(nothing_wrong)

    drawn = f"drawn at random (seed {seed})"
    yield "samples", lambda: gallery(sample_indices(rows, seed=seed), f"{total.n:,} images, {drawn}")
    yield (
        "misclassified",
        lambda: gallery(
            sample_indices(rows, seed=seed, only="wrong"),
            f"{wrong:,} misclassified images, {drawn}",
            nothing_wrong,
        ),
    )
    yield (
        "confident_errors",
        lambda: gallery(
            confident_errors(rows), f"{wrong:,} misclassified images, the most confident", nothing_wrong
        ),
    )
    yield (
        "uncertain_hits",
        lambda: gallery(
            uncertain_hits(rows), f"{right:,} right predictions, the least confident", nothing_right
        ),
    )
    issues = evaluation.label_issues
    if issues is not None:
        yield "label_issues", lambda: draw_label_issues(images, rows, issues)
    yield "class_gallery", lambda: draw_class_gallery(images, rows, class_samples(rows, seed=seed))
    yield "confused_pairs", confused
