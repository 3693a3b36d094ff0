"""The exhibits of maps: pictures under what a model looked at, with captions and what each map holds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.figures.attention import draw_attention_maps, draw_heads
from vitscope.figures.captions import caption, share
from vitscope.figures.exhibit import Exhibit, Table
from vitscope.figures.layers import draw_layers
from vitscope.figures.overlay import reduced, whole
from vitscope.records.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from vitscope.figures.map_grid import MapRow
    from vitscope.figures.overlay import Box
    from vitscope.records.heatmap import Heatmap

__all__ = ["MapNote", "attention_exhibit", "map_exhibit", "page_exhibit", "picture_of", "single"]

_NAMED = 3  # maps that a caption names one by one
_MOST = 1500  # pixels of a picture's longer side: no more are drawn
MapNote = tuple[str, str, str, "NDArray[np.floating]"]
"""What is said of one map: the image, the method with its layer or head, the class explained, its values."""


def single(heatmap: Heatmap, image: int) -> Heatmap:
    """Return the map of one image alone."""
    targets = None if heatmap.targets is None else heatmap.targets[image : image + 1]
    values = np.ascontiguousarray(heatmap.values[image : image + 1])
    return replace(heatmap, values=values, targets=targets, names=(), provenance=Provenance())


def picture_of(picture: NDArray[np.uint8], box: Box | None) -> tuple[NDArray[np.uint8], Box]:
    """Return a picture as fine as print, and what the model saw of it."""
    return reduced(picture, whole(picture) if box is None else box, _MOST)


def map_exhibit(
    name: str,
    draw: Callable[[], Figure],
    notes: Sequence[MapNote],
    *,
    prediction: tuple[str, float],
    source: str = "",
) -> Exhibit:
    """Return the figure of the maps of one image.

    Args:
        name: The figure's name.
        draw: Draws it.
        notes: What it shows.
        prediction: The class predicted and its confidence.
        source: The sentence of a caption that says which model and data they are of.
    """
    image = notes[0][0]
    every = list(dict.fromkeys(method for _, method, _, _ in notes))
    methods = ", ".join(every) if len(every) <= _NAMED else f"{every[0]} to {every[-1]}, {len(every)} maps,"
    classes = [each for each in dict.fromkeys(explained for _, _, explained, _ in notes) if each]
    text = caption(
        f"{methods} of {image} (n = 1 image)" + (f", for {' and for '.join(classes)}." if classes else "."),
        f"The model predicts {prediction[0]} with a confidence of {share(prediction[1])}.",
        source,
    )
    return Exhibit(name, draw, text, _data(notes))


def attention_exhibit(
    name: str,
    layers: Sequence[Sequence[Heatmap]],
    picture: tuple[NDArray[np.uint8], Box],
    *,
    image: str,
    prediction: tuple[str, float],
    source: str = "",
) -> Exhibit:
    """Return the figure of attention in one image: rollout, the heads of a layer, or those of several layers.

    Args:
        name: The figure's name.
        layers: The maps, layer by layer, head by head, each of this image alone.
        picture: The picture, and what the model saw of it.
        image: The image's name.
        prediction: The class predicted and its confidence.
        source: The sentence of a caption that says which model and data they are of.
    """
    pixels, box = picture
    draw: partial[Figure]
    if layers[0][0].method == "rollout":
        draw = partial(draw_attention_maps, layers[0][0], pixels, box=box, prediction=prediction)
    elif len(layers) == 1:
        draw = partial(draw_heads, layers[0], pixels, box=box, prediction=prediction)
    else:
        draw = partial(draw_layers, layers, pixels, box=box, prediction=prediction)
    notes = [(image, _titled(head), "", head.values[0]) for heads in layers for head in heads]
    return map_exhibit(name, draw, notes, prediction=prediction, source=source)


def _titled(found: Heatmap) -> str:
    if found.method == "rollout":
        return "Attention rollout"
    return f"Attention of layer {found.options['layer']}, head {found.options['head']}"


def page_exhibit(
    name: str,
    draw: partial[Figure],
    notes: Sequence[MapNote],
    *,
    about: str,
    source: str = "",
) -> Exhibit:
    """Return a page of maps, a row an image.

    Args:
        name: The figure's name.
        draw: Draws it, the rows first.
        notes: What it shows, map by map.
        about: What the page is, a sentence without its full stop.
        source: The sentence of a caption that says which model and data they are of.
    """
    rows, *rest = draw.args
    kept = partial(draw.func, tuple(_fine(row) for row in rows), *rest, **draw.keywords)
    count = len(rows)
    text = caption(f"{about} (n = {count:,} {'image' if count == 1 else 'images'}).", source)
    return Exhibit(name, kept, text, _data(notes))


def _fine(row: MapRow) -> MapRow:
    picture, box = picture_of(row.picture, row.box)
    return replace(row, picture=picture, box=box)


def _data(notes: Iterable[MapNote]) -> Table:
    rows: list[list[Any]] = [
        [image, method, explained, float(values.min()), float(values.max()), float(values.mean())]
        for image, method, explained, values in notes
    ]
    return Table(("image", "method", "target", "lowest", "highest", "mean"), rows)
