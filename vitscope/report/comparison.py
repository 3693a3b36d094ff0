"""The comparison folder: several models on the same images, in numbers, tables and figures."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vitscope.analysis.comparison import Comparison, compare
from vitscope.analysis.matching import Labelling, check_same_images
from vitscope.analysis.tables import write_table
from vitscope.errors import InputError
from vitscope.figures.captions import source_sentence
from vitscope.figures.comparison_exhibits import comparison_exhibit, disagreements_exhibit
from vitscope.figures.exhibit import save_exhibit
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.records.predictions import Predictions
from vitscope.report.pictures import find_pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.inference.cost import Cost

__all__ = ["ComparisonReport", "Contender", "check_contenders", "report_comparison"]


@dataclass(frozen=True, eq=False)
class Contender:
    """One of the models to compare: predictions that were made before, or a model to make them with.

    Attributes:
        name: What it is called, in tables and figures.
        source: Where it comes from.
        subject: The predictions, or the model.
    """

    name: str
    source: str
    subject: Predictions | Classifier

    @property
    def predictions(self) -> Predictions | None:
        """The predictions, where they were made before."""
        return self.subject if isinstance(self.subject, Predictions) else None

    @property
    def model(self) -> Classifier | None:
        """The model, where there is one."""
        return None if isinstance(self.subject, Predictions) else self.subject


@dataclass(frozen=True, eq=False)
class ComparisonReport:
    """A written comparison.

    Attributes:
        folder: Where it lies.
        comparison: The numbers.
        costs: What each model costs; None for predictions, of which the model is not at hand.
        notes: What is missing, in words.
    """

    folder: Path
    comparison: Comparison
    costs: Mapping[str, Cost | None]
    notes: tuple[str, ...]

    def metrics(self) -> dict[str, Any]:
        """Return the comparison's metrics; a model's dictionary has its cost's, which may be None."""
        metrics = self.comparison.metrics()
        costs = (self.costs[name] for name in self.comparison.models)
        known = (dict.fromkeys(_COSTS) if cost is None else cost.metrics() for cost in costs)
        models = [row | cost for row, cost in zip(metrics["models"], known, strict=True)]
        return metrics | {"models": models}


_COSTS = ("parameters", "multiply_adds", "images_per_second", "batch_size", "device")


def check_contenders(contenders: Sequence[Contender], images: ImageSet | None = None) -> None:
    """Refuse contenders that cannot be compared, before any of them is run.

    Args:
        contenders: The models, at least one.
        images: What the models among them are run on.

    Raises:
        InputError: There are models and no images, or not all have the same images and classes.
        DataError: A model does not know a class of the images.
    """
    known = {each.name: _labelling(each, images) for each in contenders}
    check_same_images(known)


def _labelling(contender: Contender, images: ImageSet | None) -> Labelling:
    if contender.predictions is not None:
        return Labelling.of(contender.predictions)
    from vitscope.inference.alignment import align

    if images is None or contender.model is None:
        raise InputError(f"there are no images to run {contender.name} on", hint="name them with --data")
    aligned = align(images, contender.model)
    return Labelling(aligned.labels, aligned.classes, images.names, images.digest)


def report_comparison(
    contenders: Sequence[Contender],
    folder: Path,
    *,
    images: ImageSet | None = None,
    overwrite: bool = False,
    batch_size: int = 256,
    progress: Callable[[int], None] | None = None,
) -> ComparisonReport:
    """Compare models and write the folder whole or not at all.

    It holds `comparison.json`, `tables/*.csv` and `.tex`, `figures/` (see `save_exhibit`), `manifest.json`,
    and `predictions/` of the models that were run. Predictions alone need no torch.

    Args:
        contenders: The models; the first is the reference in figures.
        folder: The folder to make.
        images: What the models are run on, each with its own preprocessing, and where pictures come from.
        overwrite: Replace a comparison that lies there.
        batch_size: Images at a time.
        progress: Called with the number of images done since the last call.

    Raises:
        OutputError: The folder exists and `overwrite` is off.
        InputError: They are not of the same images and classes.
        NotFiniteError: No image has finite logits from every model.
    """
    check_contenders(contenders, images)
    costs: dict[str, Cost | None] = {}
    with staged_folder(folder, overwrite=overwrite) as stage:
        predictions: dict[str, Predictions] = {}
        for number, each in enumerate(contenders, start=1):
            costs[each.name] = None
            if each.predictions is not None:
                predictions[each.name] = each.predictions
                continue
            made, costs[each.name] = _run(each, images, batch_size, progress)
            made.write(stage / "predictions" / f"{number}-{_safe(each.name)}")
            predictions[each.name] = made
        comparison = compare(predictions)
        comparison.save(stage)
        notes = _draw(comparison, predictions, images, stage / "figures")
        report = ComparisonReport(folder, comparison, costs, notes)
        write_json(stage / "comparison.json", report.metrics())
        _write_costs(costs, stage / "tables" / "costs.csv")
        write_json(stage / MANIFEST, _manifest(contenders, predictions, comparison))
    return report


def _run(
    contender: Contender,
    images: ImageSet | None,
    batch_size: int,
    progress: Callable[[int], None] | None,
) -> tuple[Predictions, Cost]:
    from vitscope.inference.cost import model_cost
    from vitscope.inference.prediction import predict

    model = contender.model
    if model is None or images is None:
        raise InputError(f"there are no images to run {contender.name} on", hint="name them with --data")
    return predict(model, images, batch_size=batch_size, progress=progress), model_cost(model)


def _draw(
    comparison: Comparison, predictions: Mapping[str, Predictions], images: ImageSet | None, folder: Path
) -> tuple[str, ...]:
    """Draw the figures; return what could not be drawn, and why."""
    first = next(iter(predictions.values()))
    # The models are named in the caption: of the source only the data are told.
    source = source_sentence(replace(first.provenance, checkpoint=""))
    save_exhibit(comparison_exhibit(comparison, source=source), folder)
    if images is None:
        return ("no gallery of disagreements: the images are not at hand; name them with --data",)
    # The names that images go by are those of any contender that has them.
    pictures = find_pictures(images, comparison.names, first.labels)
    if pictures is None:
        return ("no gallery of disagreements: the data given does not hold these images",)
    reference = comparison.models[0]
    for number, name in enumerate(comparison.models[1:], start=2):
        stem = f"disagreements-{number}-{_safe(name)}"
        exhibit = disagreements_exhibit(
            pictures, comparison, reference=reference, model=name, name=stem, source=source
        )
        save_exhibit(exhibit, folder)
    return ()


def _write_costs(costs: Mapping[str, Cost | None], path: Path) -> None:
    rows = [
        [name, *(None if cost is None else cost.metrics()[key] for key in _COSTS)]
        for name, cost in costs.items()
    ]
    if any(cost is not None for cost in costs.values()):
        write_table(path, ("model", *_COSTS), rows)


def _manifest(
    contenders: Sequence[Contender], predictions: Mapping[str, Predictions], comparison: Comparison
) -> dict[str, Any]:
    return {
        "format": "vitscope.comparison",
        "version": 1,
        "n": comparison.n,
        "models": [
            {
                "name": each.name,
                "source": each.source,
                "provenance": predictions[each.name].provenance.to_dict(),
            }
            for each in contenders
        ],
    }


def _safe(name: str) -> str:
    """Return a name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "model"
