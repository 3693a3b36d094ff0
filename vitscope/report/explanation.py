"""The explanation folder: maps of one method or several, of one class or several, over their pictures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vitscope.errors import InputError
from vitscope.explain.methods import find_method
from vitscope.figures.attention import draw_attention_maps
from vitscope.figures.files import save_figure
from vitscope.figures.map_grid import MapRow, draw_map_grid, pages
from vitscope.figures.overlay import Scale
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.report.evidence import Evidence
from vitscope.report.maps import Explained, explain_batch, join_maps
from vitscope.report.request import check_request
from vitscope.report.subjects import batches, figure_name, provenance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
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
    check_request(methods, targets, evaluate=evaluate)
    if "true" in targets and any(subject.label is None for subject in subjects):
        raise InputError(
            "the true class of an image is not known", hint="name the class that is to be explained"
        )
    view = _view(methods, targets)
    per_class = any(find_method(name).per_class for name in methods)
    rows: list[dict[str, Any]] = []
    parts: list[Explained] = []
    evidence = Evidence() if evaluate else None
    with staged_folder(folder, overwrite=overwrite) as stage:
        drawing = view(model, stage, tuple(methods), len(subjects))
        for batch in batches(model, subjects):
            found = explain_batch(model, batch, methods, targets)
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
                rows.append(row)
                if progress is not None:
                    progress(1)
        drawing.finish()
        provenance = provenance_of(model, images)
        names = tuple(subject.name for subject in subjects)
        files = {name: "heatmaps.npz" if len(methods) == 1 else f"heatmaps-{name}.npz" for name in methods}
        for name, file in files.items():
            joined = join_maps([part.maps[name] for part in parts], names, model.classes)
            replace(joined, provenance=provenance).save(stage / file)
        scores: list[dict[str, Any]] = []
        if evidence is not None:
            scores = evidence.write(model, methods, names, provenance, stage / "faithfulness")
        manifest = {"format": "vitscope.explanation", "version": 1, "methods": list(methods)}
        manifest |= {"targets": list(targets), "heatmaps": files, "images": rows}
        write_json(stage / MANIFEST, manifest | {"provenance": provenance.to_dict()})
    notes = () if evidence is None else evidence.notes()
    return ExplanationReport(folder, tuple(methods), tuple(rows), files, scores, notes)


@dataclass
class _Single:
    """A figure a picture: the picture, its map, and both over each other."""

    model: Classifier
    stage: Path
    methods: tuple[str, ...]
    count: int

    def take(self, batch: Batch, found: Explained, index: int) -> str:
        """Draw the maps of one image of a batch, and return the name of the figure that will have them."""
        figure = self._draw(batch, found, index)
        stem = figure_name(batch.subjects[index].name, number=batch.start + index, count=self.count)
        save_figure(figure, self.stage / stem)
        return f"{stem}.pdf"

    def finish(self) -> None:
        """Draw what is left."""

    def _draw(self, batch: Batch, found: Explained, index: int) -> Figure:
        (maps,) = found.maps[self.methods[0]]
        return draw_attention_maps(
            maps,
            batch.pictures[index],
            image=index,
            box=batch.boxes[index],
            prediction=found.answers[index][:2],
            explained="" if maps.targets is None else self.model.classes[int(maps.targets[index])],
        )


class _Targets(_Single):
    """A figure a picture: a row a method, a column a target."""

    def _draw(self, batch: Batch, found: Explained, index: int) -> Figure:
        rows = []
        for name in self.methods:
            maps = tuple(record.values[index] for record in found.maps[name])
            scale = Scale.of(*maps, signed=find_method(name).signed)
            rows.append(
                MapRow(
                    picture=batch.pictures[index],
                    maps=maps,
                    scales=(scale,) * len(maps),
                    lines=(find_method(name).title,),
                    box=batch.boxes[index],
                )
            )
        answer = found.answers[index]
        columns = [f"for {self.model.classes[column[index]]}" for column in found.targets]
        note = "the maps of a row have one scale, written below them, and compare"
        title = (f"predicted: {answer.name}", f" ({100 * answer.confidence:.1f} %)")
        return draw_map_grid(rows, columns, title=title, note=note)


@dataclass
class _Methods:
    """Pages with a row a picture and a column a method."""

    model: Classifier
    stage: Path
    methods: tuple[str, ...]
    count: int
    _waiting: list[MapRow] = field(default_factory=list)
    _pages: int = 0

    def take(self, batch: Batch, found: Explained, index: int) -> str:
        """Keep a row for a page, draw the page before it once it is full, and return the page's name."""
        maps = {name: records[0] for name, records in found.maps.items()}
        values = tuple(maps[name].values[index] for name in self.methods)
        answer = found.answers[index]
        lines: list[str | tuple[str, str]] = [batch.subjects[index].name.rpartition("/")[2]]
        lines.append((answer.name, f" ({100 * answer.confidence:.0f} %)"))
        explained = self.model.classes[found.targets[0][index]]
        if found.targets[0][index] != answer.label:
            lines.append(f"maps for {explained}")
        signs = [find_method(name).signed for name in self.methods]
        self._waiting.append(
            MapRow(
                picture=batch.pictures[index],
                maps=values,
                scales=tuple(Scale.of(each, signed=sign) for each, sign in zip(values, signs, strict=True)),
                lines=tuple(lines),
                box=batch.boxes[index],
            )
        )
        full, *rest = pages(self._waiting, len(self.methods))
        if rest:
            self._save(full)
            self._waiting = list(rest[0])
        return f"maps-{self._pages + 1}.pdf"

    def finish(self) -> None:
        """Draw the last page."""
        self._save(self._waiting)

    def _save(self, rows: Sequence[MapRow]) -> None:
        self._pages += 1
        columns = [find_method(name).title for name in self.methods]
        figure = draw_map_grid(
            rows, columns, note="each map has its own scale, written below it: methods differ in unit"
        )
        save_figure(figure, self.stage / f"maps-{self._pages}")


def _view(methods: Sequence[str], targets: Sequence[Target]) -> type[_Single | _Methods]:
    if len(targets) > 1:
        return _Targets
    return _Single if len(methods) == 1 else _Methods
