"""The explanation folder: maps of one method or several, of one class or several, over their pictures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vitscope.errors import InputError
from vitscope.explain.methods import find_method
from vitscope.figures.captions import source_sentence
from vitscope.figures.overlay import Scale, save_overlay
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.report.evidence import Evidence
from vitscope.report.maps import Explained, explain_batch, join_maps
from vitscope.report.request import check_request
from vitscope.report.subjects import batches, figure_name, provenance_of
from vitscope.report.views import choose_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Pool
    from vitscope.report.request import Target
    from vitscope.report.subjects import Batch, Subject

__all__ = ["ExplanationReport", "report_explanation"]


@dataclass(frozen=True)
class ExplanationReport:
    """A written explanation folder.

    Attributes:
        folder: Where it lies.
        methods: The methods, in the order of the figures' columns.
        rows: One an image: `name`, `predicted`, `confidence`, `explained` (a class a target; none of methods
            that explain no class) and the name of its `figure`.
        heatmaps: The file of each method's maps.
        faithfulness: The methods and the baselines by how faithful they are, the best first; empty where that
            was not asked for.
        notes: What is to be known of it, in words.
    """

    folder: Path
    methods: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    heatmaps: dict[str, str]
    faithfulness: list[dict[str, Any]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def report_explanation(
    model: Classifier,
    subjects: Sequence[Subject],
    folder: Path,
    *,
    methods: Sequence[str],
    targets: Sequence[Target] = ("predicted",),
    evaluate: bool = False,
    overlays: bool = False,
    pool: Pool | None = None,
    overwrite: bool = False,
    images: ImageSet | None = None,
    progress: Callable[[int], None] | None = None,
) -> ExplanationReport:
    """Draw the maps of each picture by each method, and write the folder whole or not at all.

    - One method and one target: a figure a picture, with the picture, its map and both over each other.
    - Several methods: pages `maps-1`…, a row a picture and a column a method.
    - Several targets: a figure a picture, a row a method and a column a target; a row has one scale.

    Beside the figures (PDF and PNG) lie the maps, `heatmaps.npz` or of several methods
    `heatmaps-METHOD.npz`, where the maps of an image stand target by target, and `manifest.json`.

    Args:
        model: The classifier.
        subjects: The pictures.
        folder: The folder to make.
        methods: Keys of `vitscope.explain.methods.METHODS`.
        targets: The classes to explain; a label is needed for `true`.
        evaluate: Also score the maps beside a random and a centred one, into `faithfulness/`.
        overlays: Also write each map over its picture alone, in the picture's own pixels, into `overlays/`.
        pool: What the head reads, where the model does not tell: `cls` or `mean`.
        overwrite: Replace a folder that vitscope made there.
        images: The data set that pictures were taken from, for the provenance.
        progress: Called with the number of pictures done since the last call.

    Raises:
        UsageError: Methods or targets do not make sense together, or several targets are to be evaluated.
        CaptureError: A method does not apply to this model.
        ImageError: A picture cannot be read.
        NotFiniteError: The model's output is not finite.
        OutputError: The folder exists and `overwrite` is off.
    """
    check_request(methods, targets, evaluate=evaluate, pool=pool)
    if "true" in targets and any(subject.label is None for subject in subjects):
        raise InputError(
            "the true class of an image is not known", hint="name the class that is to be explained"
        )
    view = choose_view(methods, targets)
    provenance = provenance_of(model, images)
    per_class = any(find_method(name).per_class for name in methods)
    rows: list[dict[str, Any]] = []
    parts: list[Explained] = []
    evidence = Evidence() if evaluate else None
    with staged_folder(folder, overwrite=overwrite) as stage:
        drawing = view(model, stage, tuple(methods), len(subjects), source_sentence(provenance))
        for batch in batches(model, subjects):
            found = explain_batch(model, batch, methods, targets, pool=pool)
            parts.append(found)
            if evidence is not None:
                evidence.take(batch.inputs, found.targets[0])
            for index, subject in enumerate(batch.subjects):
                answer = found.answers[index]
                row = {"name": subject.name, "predicted": answer.name, "confidence": answer.confidence}
                row["explained"] = (
                    [model.classes[column[index]] for column in found.targets] if per_class else []
                )
                row["figure"] = drawing.take(batch, found, index)
                if overlays:
                    stem = figure_name(subject.name, number=batch.start + index, count=len(subjects))
                    row["overlays"] = _save_overlays(batch, found, index, stage / "overlays" / stem)
                rows.append(row)
                if progress is not None:
                    progress(1)
        drawing.finish()
        names = tuple(subject.name for subject in subjects)
        files = {name: "heatmaps.npz" if len(methods) == 1 else f"heatmaps-{name}.npz" for name in methods}
        for name, file in files.items():
            joined = join_maps([part.maps[name] for part in parts], names, model.classes)
            replace(joined, provenance=provenance).save(stage / file)
        scores: list[dict[str, Any]] = []
        if evidence is not None:
            scores = evidence.write(model, methods, names, provenance, stage / "faithfulness", pool=pool)
        manifest = {"format": "vitscope.explanation", "version": 1, "methods": list(methods)}
        manifest |= {"targets": list(targets), "heatmaps": files, "images": rows}
        write_json(stage / MANIFEST, manifest | {"provenance": provenance.to_dict()})
    notes = () if evidence is None else evidence.notes()
    return ExplanationReport(folder, tuple(methods), tuple(rows), files, scores, notes)


def _save_overlays(batch: Batch, found: Explained, index: int, path: Path) -> list[str]:
    """Write the overlays of an image, one a method and target, and return their names within the folder."""
    written = []
    for name, records in found.maps.items():
        scale = Scale.fitting(*(each.values[index] for each in records), signed=records[0].signed)
        for number, record in enumerate(records):
            which = f"-{number + 1}" if len(records) > 1 else ""
            target = path.with_name(f"{path.name}-{name}{which}.png")
            values, box = record.values[index], batch.boxes[index]
            save_overlay(target, batch.pictures[index], values, box=box, scale=scale)
            written.append(f"overlays/{target.name}")
    return written
