"""All figures of an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.analysis.samples import sample_indices
from vitscope.figures.classes import draw_class_accuracy
from vitscope.figures.confusion import draw_confusion
from vitscope.figures.files import save_figure
from vitscope.figures.gallery import draw_gallery, draw_notice
from vitscope.figures.reliability import draw_reliability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vitscope.analysis.evaluation import Evaluation
    from vitscope.figures.gallery import Images

__all__ = ["save_evaluation_figures"]


def save_evaluation_figures(
    evaluation: Evaluation,
    images: Images,
    folder: Path | str,
    *,
    seed: int = 42,
) -> list[Path]:
    """Write `per_class`, `confusion`, `reliability`, `samples` and `misclassified` as PDF and PNG.

    Args:
        evaluation: What `evaluate` returns.
        images: uint8 images by their index in the predictions: a sequence, an array, or a function of the
            index; only the images that are shown are asked for.
        folder: Where to write; made where it does not exist.
        seed: The seed that chooses the images of both galleries.

    Returns:
        The paths written, PDF and PNG in turn.
    """
    folder = Path(folder)
    figures = {
        "per_class": draw_class_accuracy(evaluation.per_class),
        "confusion": draw_confusion(evaluation.confusion),
        "reliability": draw_reliability(evaluation.reliability),
        "samples": _samples(evaluation, images, seed),
        "misclassified": _misclassified(evaluation, images, seed),
    }
    return [path for name, figure in figures.items() for path in save_figure(figure, folder / name)]


def _samples(evaluation: Evaluation, images: Images, seed: int) -> Figure:
    rows = evaluation.outcomes
    chosen = sample_indices(rows, seed=seed)
    title = f"{len(chosen)} of {evaluation.accuracy.n:,} images, drawn at random (seed {seed})"
    return draw_gallery(images, rows, chosen, title=title)


def _misclassified(evaluation: Evaluation, images: Images, seed: int) -> Figure:
    rows = evaluation.outcomes
    chosen = sample_indices(rows, seed=seed, only="wrong")
    wrong = evaluation.accuracy.n - evaluation.accuracy.correct
    if not chosen.size:
        return draw_notice(f"No image is misclassified: all {evaluation.accuracy.n:,} predictions are right.")
    title = f"{len(chosen)} of {wrong:,} misclassified images, drawn at random (seed {seed})"
    return draw_gallery(images, rows, chosen, title=title)
