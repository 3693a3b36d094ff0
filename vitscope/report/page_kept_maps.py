"""Maps that finished folders hold, found again for the images of a page without a model or its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vitscope.explain.methods import find_method
from vitscope.paths import MANIFEST
from vitscope.records.heatmap import Heatmap
from vitscope.report.page_files import read_json, reading
from vitscope.report.page_maps import PageMaps
from vitscope.report.page_text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from vitscope.figures.overlay import Box
    from vitscope.report.page_runs import Run

__all__ = ["Kept", "find_kept", "open_kept"]

_MAKERS = ("vitscope.mistakes", "vitscope.explanation")  # the first has maps of both classes
_DRAWINGS = "drawings"
_CLOSE = 0.01  # of confidence: another machine rounds otherwise


class Kept(NamedTuple):
    """Where the maps of an image are.

    Attributes:
        folder: A folder of `vitscope explain` or `vitscope attention`.
        place: The image's place in its manifest.
    """

    folder: Path
    place: int


def find_kept(run: Run) -> dict[int, Kept]:
    """Return which wrong predictions have maps in the folders beside a run, by their row.

    The folders are of the same checkpoint, as `open_run` found them. An image is the same where its name,
    the class predicted and, to a hundredth, the confidence in it are those of the prediction. Folders of
    mistakes come first, then the newest.

    Raises:
        InputError: A folder is damaged.
    """
    folders = [folder for kind in _MAKERS for folder in run.beside.get(kind, ())]
    if not folders:
        return {}
    wrong = np.flatnonzero(run.rows.finite & ~run.rows.correct).tolist()
    rows = {run.predictions.names[row]: row for row in wrong} if run.predictions.names else {}
    found: dict[int, Kept] = {}
    for folder in folders:
        with reading(folder, maker="explain"):
            manifest = read_json(folder / MANIFEST, maker="explain")
            if _files(manifest):
                for place, image in enumerate(manifest["images"]):
                    row = rows.get(image["name"], -1)
                    if row >= 0 and _same(run, row, image):
                        found.setdefault(row, Kept(folder, place))
    return found


def open_kept(places: Mapping[int, Kept]) -> dict[int, PageMaps]:
    """Return the maps at these places; none of an image whose folder keeps no drawing of it.

    Raises:
        InputError: A folder is damaged.
    """
    found: dict[int, PageMaps] = {}
    for folder in dict.fromkeys(kept.folder for kept in places.values()):
        with reading(folder, maker="explain"):
            manifest = read_json(folder / MANIFEST, maker="explain")
            method, file = _files(manifest)[0]
            heatmap = Heatmap.load(folder / file)
            for row, kept in places.items():
                if kept.folder != folder:
                    continue
                maps = _maps(kept, manifest, method, heatmap)
                if maps is not None:
                    found[row] = maps
    return found


def _maps(kept: Kept, manifest: Mapping[str, Any], method: str, heatmap: Heatmap) -> PageMaps | None:
    images = manifest["images"]
    image = images[kept.place]
    classes = manifest.get("pair", image.get("explained", ())) if heatmap.targets is not None else ()
    count = max(1, len(classes))
    seen = _picture(kept, images)
    if seen is None or len(heatmap) != count * len(images):
        return None
    picture, box = seen
    values = heatmap.values[count * kept.place : count * (kept.place + 1)]
    # As on every image of the page: what spoke for the class said comes first.
    order = sorted(range(count), key=lambda number: not classes or classes[number] != image["predicted"])
    title = find_method(method).title
    return PageMaps(
        method=title,
        captions=tuple(f"for {shown(classes[number])}" if classes else title for number in order),
        values=[values[number] for number in order],
        picture=picture,
        box=box,
        signed=heatmap.signed,
        source=shown(kept.folder.name),
    )


def _files(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the methods and the files of their maps, those that explain a class first.

    Attention head by head is left out: no one of its maps is what the model looked at.
    """
    if "pair" in manifest:
        return [(manifest["method"], "heatmaps.npz")]
    found = [(name, file) for name, file in manifest.get("heatmaps", {}).items() if name != "raw"]
    return sorted(found, key=lambda each: not find_method(each[0]).per_class)


def _same(run: Run, row: int, image: Mapping[str, Any]) -> bool:
    said = run.classes[int(run.rows.predicted[row])]
    return bool(image["predicted"] == said and abs(image["confidence"] - run.rows.confidence[row]) <= _CLOSE)


def _picture(kept: Kept, images: list[dict[str, Any]]) -> tuple[NDArray[np.uint8], Box] | None:
    """Return the picture that a figure of the folder was drawn from, and what the model saw of it."""
    from vitscope.figures.kept import read_drawing
    from vitscope.figures.map_grid import MapRow
    from vitscope.figures.overlay import whole

    figure = images[kept.place]["figure"]
    file = kept.folder / _DRAWINGS / f"{figure.rpartition('.')[0]}.npz"
    if not file.is_file():
        return None
    drawing: Any = read_drawing(file)[0]
    first, *rest = drawing.args
    if isinstance(first, Heatmap):
        picture, box = rest[0], drawing.keywords["box"]
    else:
        rows = [row for row in first if isinstance(row, MapRow)]
        before = sum(image["figure"] == figure for image in images[: kept.place])
        picture, box = rows[before].picture, rows[before].box
    return picture, whole(picture) if box is None else box
