"""Views: how the maps of a report become figures, one a picture or pages of many."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from vitscope.explain.methods import find_method
from vitscope.figures.attention import draw_attention_maps
from vitscope.figures.exhibit import save_exhibit
from vitscope.figures.lettering import worded
from vitscope.figures.map_exhibits import map_exhibit, page_exhibit, picture_of, single
from vitscope.figures.map_grid import MapRow, draw_map_grid, pages
from vitscope.figures.overlay import Scale
from vitscope.figures.style import current_style
from vitscope.report.subjects import figure_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from vitscope.figures.exhibit import Exhibit
    from vitscope.figures.map_exhibits import MapNote
    from vitscope.inference.classifier import Classifier
    from vitscope.records.heatmap import Heatmap
    from vitscope.report.maps import Explained
    from vitscope.report.request import Target
    from vitscope.report.subjects import Batch

__all__ = ["choose_view"]


@dataclass
class Single:
    """A figure a picture: the picture, its map, and both over each other."""

    model: Classifier
    stage: Path
    methods: tuple[str, ...]
    count: int
    source: str = ""

    def take(self, batch: Batch, found: Explained, index: int) -> str:
        """Draw the maps of one image of a batch, and return the name of the figure that will have them."""
        stem = figure_name(batch.subjects[index].name, number=batch.start + index, count=self.count)
        save_exhibit(self._exhibit(stem, batch, found, index), self.stage)
        return current_style().file_name(stem)

    def finish(self) -> None:
        """Draw what is left."""

    def _exhibit(self, name: str, batch: Batch, found: Explained, index: int) -> Exhibit:
        (maps,) = found.maps[self.methods[0]]
        picture, box = picture_of(batch.pictures[index], batch.boxes[index])
        prediction = found.answers[index][:2]
        draw = partial(
            draw_attention_maps,
            single(maps, index),
            picture,
            box=box,
            prediction=prediction,
            explained=_explained(self.model, maps, index),
        )
        notes = list(_notes(self.model, self.methods, batch, found, index))
        return map_exhibit(name, draw, notes, prediction=prediction, source=self.source)


class SideBySide(Single):
    """A figure a picture: a row a method, a column a target."""

    def _exhibit(self, name: str, batch: Batch, found: Explained, index: int) -> Exhibit:
        rows = []
        picture, box = picture_of(batch.pictures[index], batch.boxes[index])
        for method in self.methods:
            maps = tuple(record.values[index] for record in found.maps[method])
            scale = Scale.fitting(*maps, signed=find_method(method).signed)
            rows.append(
                MapRow(
                    picture=picture,
                    maps=maps,
                    scales=(scale,) * len(maps),
                    lines=(find_method(method).title,),
                    box=box,
                )
            )
        answer = found.answers[index]
        columns = [f"for {worded(self.model.classes[column[index]], 'class')}" for column in found.targets]
        note = "the maps of a row have one scale, written below them, and compare"
        title = (f"predicted: {worded(answer.name, 'class')}", f" ({100 * answer.confidence:.1f} %)")
        draw = partial(draw_map_grid, rows, columns, title=title, note=note)
        notes = list(_notes(self.model, self.methods, batch, found, index))
        return map_exhibit(name, draw, notes, prediction=answer[:2], source=self.source)


@dataclass
class Pages:
    """Pages with a row a picture and a column a method."""

    model: Classifier
    stage: Path
    methods: tuple[str, ...]
    count: int
    source: str = ""
    _waiting: list[MapRow] = field(default_factory=list)
    _notes: list[list[MapNote]] = field(default_factory=list)
    _pages: int = 0

    def take(self, batch: Batch, found: Explained, index: int) -> str:
        """Keep a row for a page, draw the page before it once it is full, and return the page's name."""
        maps = {name: records[0] for name, records in found.maps.items()}
        values = tuple(maps[name].values[index] for name in self.methods)
        answer = found.answers[index]
        lines: list[str | tuple[str, str]] = [worded(batch.subjects[index].name.rpartition("/")[2], "image")]
        lines.append((worded(answer.name, "class"), f" ({100 * answer.confidence:.0f} %)"))
        explained = self.model.classes[found.targets[0][index]]
        if found.targets[0][index] != answer.label:
            lines.append(f"for {worded(explained, 'class')}")
        signs = [find_method(name).signed for name in self.methods]
        self._waiting.append(
            MapRow(
                picture=batch.pictures[index],
                maps=values,
                scales=tuple(
                    Scale.fitting(each, signed=sign) for each, sign in zip(values, signs, strict=True)
                ),
                lines=tuple(lines),
                box=batch.boxes[index],
            )
        )
        self._notes.append(list(_notes(self.model, self.methods, batch, found, index)))
        full, *rest = pages(self._waiting, len(self.methods))
        if rest:
            self._save(full)
            self._waiting = list(rest[0])
        return current_style().file_name(f"maps-{self._pages + 1}")

    def finish(self) -> None:
        """Draw the last page."""
        self._save(self._waiting)

    def _save(self, rows: Sequence[MapRow]) -> None:
        self._pages += 1
        columns = [find_method(name).title for name in self.methods]
        note = "each map has its own scale, written below it: methods differ in unit"
        notes = [each for row in self._notes[: len(rows)] for each in row]
        del self._notes[: len(rows)]
        draw = partial(draw_map_grid, rows, columns, note=note)
        about = f"Maps by {', '.join(columns)}; each map has its own scale"
        exhibit = page_exhibit(f"maps-{self._pages}", draw, notes, about=about, source=self.source)
        save_exhibit(exhibit, self.stage)


def _explained(model: Classifier, maps: Heatmap, index: int) -> str:
    """Return the class that a map explains; empty where it explains none."""
    return "" if maps.targets is None else model.classes[int(maps.targets[index])]


def _notes(
    model: Classifier, methods: Sequence[str], batch: Batch, found: Explained, index: int
) -> Iterator[MapNote]:
    """Yield what is said of each map of an image."""
    image = batch.subjects[index].name.rpartition("/")[2]
    for method in methods:
        title = find_method(method).title
        for record in found.maps[method]:
            yield image, title, _explained(model, record, index), record.values[index]


def choose_view(methods: Sequence[str], targets: Sequence[Target]) -> type[Single | Pages]:
    """Return how these are drawn."""
    if len(targets) > 1:
        return SideBySide
    return Single if len(methods) == 1 else Pages
