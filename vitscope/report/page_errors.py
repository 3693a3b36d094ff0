"""The confident errors of a page: the pictures, and what spoke for the class said and for the true one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vitscope.analysis.samples import confident_errors
from vitscope.errors import VitscopeError
from vitscope.report.page_kept_maps import find_kept, open_kept
from vitscope.report.page_maps import make_maps
from vitscope.report.page_text import per_cent, shown
from vitscope.report.sprites import data_address, fitted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box
    from vitscope.report.page_images import Album
    from vitscope.report.page_maps import PageMaps
    from vitscope.report.page_runs import Run

__all__ = ["Errors", "find_errors"]

_SHOWN = 12
_FURTHER = 12  # errors that folders hold maps of, beside the most confident ones
_SIDE = 160  # pixels of a picture on the page
_LARGEST = 512  # pixels a side of a picture that a map is laid over
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


@dataclass(frozen=True)
class Errors:
    """The wrong predictions that the model is surest of.

    Attributes:
        rows: One an image: `name`, `true`, `predicted`, `confidence`, `share` of the true class, `source` of
            the maps where a folder held them, and `pictures`: address, caption, and what is seen, in words.
        further: The same of other wrong predictions that folders beside the run hold maps of.
        wrong: How many predictions are wrong in all.
        method: What made the maps of `rows` now; empty where the model was not run.
        note: What is missing, and why.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    further: list[dict[str, Any]] = field(default_factory=list)
    wrong: int = 0
    method: str = ""
    note: str = ""

    @property
    def mapped(self) -> bool:
        """Whether maps lie over any of the pictures."""
        return bool(self.method or self.further or self.kept)

    @property
    def kept(self) -> int:
        """How many of the most confident errors have maps that a folder held."""
        return sum(bool(row["source"]) for row in self.rows)


def find_errors(run: Run, album: Album | None, *, maps: bool) -> Errors:
    """Return the confident errors, with maps over them from the model, or from folders beside the run.

    Maps that `vitscope explain` and `vitscope attention` have made are shown where the model is not at hand,
    or not to be run, and of further errors always.

    Args:
        run: The run.
        album: Its pictures; None where they are not at hand.
        maps: Whether to run the model for maps of the two classes.

    Raises:
        InputError: A folder that holds maps is damaged.
    """
    chosen = confident_errors(run.rows, count=_SHOWN).tolist()
    wrong = int(np.count_nonzero(run.rows.finite & ~run.rows.correct))
    places = find_kept(run)
    others = sorted(set(places) - set(chosen), key=lambda row: -float(run.rows.confidence[row]))[:_FURTHER]
    kept = open_kept({row: places[row] for row in (*chosen, *others) if row in places})
    made: dict[int, PageMaps] = {}
    note, without = "", "Only maps of finished folders" if kept else "Without attention maps"
    if album is None:
        note = "The images are not at hand: name them with --data."
    elif not maps:
        note = f"{without}: --no-maps was given."
    elif chosen:
        try:
            made = make_maps(run, album, chosen)
        except (VitscopeError, OSError) as error:
            note = f"{without}: {error}."
    return Errors(
        rows=[_row(run, album, row, made.get(row, kept.get(row))) for row in chosen],
        further=[_row(run, album, row, kept[row]) for row in others if row in kept],
        wrong=wrong,
        method=_methods(made.values()),
        note=note,
    )


def _methods(maps: Iterable[PageMaps]) -> str:
    return ", ".join(dict.fromkeys(each.method for each in maps))


def _row(run: Run, album: Album | None, row: int, maps: PageMaps | None) -> dict[str, Any]:
    rows, classes = run.rows, run.classes
    name = shown(run.predictions.names[row])
    true, predicted = (shown(classes[int(each[row])]) for each in (rows.labels, rows.predicted))
    picture = None if album is None else album.picture(row)
    if picture is None and maps is not None:
        picture = maps.picture
    seen = f"Image {name}: {true}, taken for {predicted}"
    pictures = [] if picture is None else [(_address(picture), "picture", seen)]
    return {
        "name": name,
        "true": true,
        "predicted": predicted,
        "confidence": per_cent(float(rows.confidence[row])),
        "share": per_cent(float(rows.truth[row])),
        "source": "" if maps is None or not maps.source else f"{maps.method}, from {maps.source}",
        "pictures": pictures if maps is None else pictures + _overlays(maps, name),
    }


def _overlays(maps: PageMaps, name: str) -> list[tuple[str, str, str]]:
    from vitscope.figures.overlay import Scale, overlay

    large, box = _legible(maps.picture, maps.box)
    scale = Scale.fitting(*maps.values, signed=maps.signed)
    return [
        (
            _address(overlay(large, each, box=box, scale=scale)),
            caption,
            f"{maps.method} {caption} over {name}: {_told(each)}"
            if caption != maps.method
            else f"{maps.method} over {name}: {_told(each)}",
        )
        for each, caption in zip(maps.values, maps.captions, strict=True)
    ]


def _told(values: NDArray[np.floating]) -> str:
    """Return where a map is strongest, of nine parts by their means, for readers who do not see it."""
    strips = np.array_split(values.astype(np.float64), 3, axis=0)
    parts = [
        [part.mean() if part.size else -np.inf for part in np.array_split(each, 3, axis=1)] for each in strips
    ]
    if not np.ptp(values) > 0:
        return "the same everywhere"
    row, column = divmod(int(np.argmax(parts)), 3)
    if (row, column) == (1, 1):
        return "strongest in the centre"
    return f"strongest at the {_ROWS[row]} {_COLUMNS[column]}"


def _legible(picture: NDArray[np.uint8], box: Box) -> tuple[NDArray[np.uint8], Box]:
    """Return a picture of at least 160 and at most 512 pixels a side, and its box."""
    height, width = picture.shape[:2]
    share = min(max(1.0, _SIDE / max(height, width)), _LARGEST / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    large = Image.fromarray(picture).resize(
        size, Image.Resampling.NEAREST if share > 1 else Image.Resampling.BOX
    )
    left, right = (min(edge * size[0] / width, size[0]) for edge in (box[0], box[2]))
    top, bottom = (min(edge * size[1] / height, size[1]) for edge in (box[1], box[3]))
    return np.asarray(large), (left, top, right, bottom)


def _address(picture: NDArray[np.uint8]) -> str:
    return data_address(fitted(picture, _SIDE), kind="PNG" if max(picture.shape[:2]) <= 64 else "JPEG")
