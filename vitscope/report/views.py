"""Views: how the maps of a report become figures, one a picture or pages of many."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vitscope.explain.methods import find_method
from vitscope.figures.attention import draw_attention_maps
from vitscope.figures.files import save_figure
from vitscope.figures.lettering import worded
from vitscope.figures.map_grid import MapRow, draw_map_grid, pages
from vitscope.figures.overlay import Scale
from vitscope.report.subjects import figure_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from vitscope.inference.classifier import Classifier
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


class SideBySide(Single):
    """A figure a picture: a row a method, a column a target."""

    def _draw(self, batch: Batch, found: Explained, index: int) -> Figure:
        rows = []
        for name in self.methods:
            maps = tuple(record.values[index] for record in found.maps[name])
            scale = Scale.fitting(*maps, signed=find_method(name).signed)
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
        columns = [f"for {worded(self.model.classes[column[index]], 'class')}" for column in found.targets]
        note = "the maps of a row have one scale, written below them, and compare"
        title = (f"predicted: {worded(answer.name, 'class')}", f" ({100 * answer.confidence:.1f} %)")
        return draw_map_grid(rows, columns, title=title, note=note)


@dataclass
class Pages:
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


def choose_view(methods: Sequence[str], targets: Sequence[Target]) -> type[Single | Pages]:
    """Return how these are drawn."""
    if len(targets) > 1:
        return SideBySide
    return Single if len(methods) == 1 else Pages
