"""The evaluation folder: predictions, metrics, tables and figures."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.evaluation import Evaluation, evaluate
from vitscope.figures.evaluation import save_evaluation_figures
from vitscope.inference.prediction import predict
from vitscope.paths import MANIFEST, staged_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier

__all__ = ["EvaluationReport", "Stopwatch", "report_evaluation"]


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


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """A written evaluation.

    Attributes:
        folder: Where it lies.
        evaluation: The numbers.
    """

    folder: Path
    evaluation: Evaluation


def report_evaluation(
    model: Classifier,
    images: ImageSet,
    folder: Path,
    *,
    overwrite: bool = False,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
    watch: Stopwatch | None = None,
) -> EvaluationReport:
    """Predict every image, and write the evaluation folder whole or not at all.

    It holds `predictions/`, `metrics.json`, `tables/*.csv`, `figures/*.pdf` and `.png`, and `manifest.json`.

    Args:
        model: The classifier.
        images: Labelled images of the model's classes.
        folder: The folder to make.
        overwrite: Replace an evaluation that lies there.
        batch_size: Images at a time.
        progress: Called with the number of images done since the last call.
        watch: Times the parts.

    Raises:
        OutputError: The folder exists and `overwrite` is off.
        DataError: The classes are not the model's.
        NotFiniteError: No image has finite logits.
    """
    watch = watch or Stopwatch()
    with staged_folder(folder, overwrite=overwrite) as stage:
        with watch.part("prediction"):
            predictions = predict(model, images, batch_size=batch_size, progress=progress)
        with watch.part("metrics"):
            predictions.write(stage / "predictions")
            evaluation = evaluate(predictions)
            evaluation.save(stage)
        with watch.part("figures"):
            save_evaluation_figures(
                evaluation, lambda index: np.asarray(images.image(index)), stage / "figures"
            )
        manifest = {
            "format": "vitscope.evaluation",
            "version": 1,
            "n": len(predictions),
            "provenance": predictions.provenance.to_dict(),
        }
        write_json(stage / MANIFEST, manifest)
    return EvaluationReport(folder, evaluation)
