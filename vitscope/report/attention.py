"""The attention folder: maps over the pictures they explain, and the numbers behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from vitscope.capture.tape import capture
from vitscope.errors import NotFiniteError
from vitscope.explain.raw import raw_attention
from vitscope.explain.rollout import rollout
from vitscope.figures.attention import draw_attention_maps, draw_heads
from vitscope.figures.files import save_figure
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.records.heatmap import Heatmap
from vitscope.records.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure
    from PIL.Image import Image

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier

__all__ = ["AttentionReport", "Subject", "report_attention"]

Method = Literal["rollout", "raw"]

_PASS = 64  # pictures opened and explained at a time


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture to explain.

    Attributes:
        name: What it is called in the records.
        open: Returns the picture, upright, grey or RGB.
    """

    name: str
    open: Callable[[], Image]


@dataclass(frozen=True)
class AttentionReport:
    """A written attention folder.

    Attributes:
        folder: Where it lies.
        rows: One an image: `name`, `predicted`, `confidence` and the name of its `figure`.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...]


def report_attention(
    model: Classifier,
    subjects: Sequence[Subject],
    folder: Path,
    *,
    method: Method = "rollout",
    layer: int = -1,
    overwrite: bool = False,
    images: ImageSet | None = None,
    progress: Callable[[int], None] | None = None,
) -> AttentionReport:
    """Draw the attention of each picture, and write the folder whole or not at all.

    It holds a `.pdf` and a `.png` a picture, `heatmaps.npz` (a `Heatmap`; of raw attention, all heads of an
    image after each other) and `manifest.json`.

    Args:
        model: The classifier.
        subjects: The pictures.
        folder: The folder to make.
        method: `rollout`, through all layers, or `raw`, each head of one layer.
        layer: Of raw attention: from 0 at the input, negative from the end.
        overwrite: Replace an attention folder that lies there.
        images: The data set that pictures were taken from, for the provenance.
        progress: Called with the number of pictures done since the last call.

    Raises:
        CaptureError: The model has no attention, or not a chain of it.
        ImageError: A picture cannot be read.
        NotFiniteError: The model's output is not finite.
        OutputError: The folder exists and `overwrite` is off.
    """
    rows: list[dict[str, Any]] = []
    parts: list[list[Heatmap]] = []
    with staged_folder(folder, overwrite=overwrite) as stage:
        for start in range(0, len(subjects), _PASS):
            batch = subjects[start : start + _PASS]
            pictures = [subject.open() for subject in batch]
            maps, predictions = _explain(model, pictures, method=method, layer=layer)
            parts.append(maps)
            for index, (subject, picture) in enumerate(zip(batch, pictures, strict=True)):
                stem = _stem(subject.name, number=start + index, count=len(subjects))
                figure = _draw(maps, picture, model, image=index, prediction=predictions[index])
                save_figure(figure, stage / stem)
                row = dict(zip(("predicted", "confidence"), predictions[index], strict=True))
                rows.append({"name": subject.name, **row, "figure": f"{stem}.pdf"})
                if progress is not None:
                    progress(1)
        provenance = _provenance(model, images)
        names = tuple(subject.name for subject in subjects)
        replace(_join(parts, names), provenance=provenance).save(stage / "heatmaps.npz")
        manifest = {"format": "vitscope.attention", "version": 1, "method": method, "images": rows}
        write_json(stage / MANIFEST, manifest | {"provenance": provenance.to_dict()})
    return AttentionReport(folder, tuple(rows))


def _provenance(model: Classifier, images: ImageSet | None) -> Provenance:
    known = {"checkpoint": model.source, "checkpoint_digest": model.digest}
    if images is not None:
        known |= {"data": images.name, "split": images.split, "data_digest": images.digest}
    return Provenance.collect(**known)


def _explain(
    model: Classifier, pictures: Sequence[Image], *, method: Method, layer: int
) -> tuple[list[Heatmap], list[tuple[str, float]]]:
    """Return the maps (one record; of raw attention one a head), and class and confidence of each picture."""
    inputs = model.prepare(pictures)
    with torch.inference_mode(), capture(model, heads="mean" if method == "rollout" else None) as tape:
        logits = model(inputs)
    if not bool(torch.isfinite(logits).all()):
        raise NotFiniteError("the model's output is not finite", hint="use another checkpoint")
    attention = tape.attention()
    maps = [rollout(attention)] if method == "rollout" else list(raw_attention(attention, layer))
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    chosen = [model.classes[index] for index in predicted.tolist()]
    return maps, list(zip(chosen, confidence.tolist(), strict=True))


def _draw(
    maps: Sequence[Heatmap], picture: Image, model: Classifier, *, image: int, prediction: tuple[str, float]
) -> Figure:
    box = model.preprocessing.region(*picture.size)
    draw = draw_heads if maps[0].method == "raw attention" else _draw_one
    return draw(maps, np.asarray(picture), image=image, box=box, prediction=prediction)


def _draw_one(maps: Sequence[Heatmap], picture: np.ndarray, **about: Any) -> Figure:  # noqa: ANN401 - passed on
    return draw_attention_maps(maps[0], picture, **about)


def _join(parts: Sequence[Sequence[Heatmap]], names: tuple[str, ...]) -> Heatmap:
    """Return all maps as one record, image by image; of several heads, all of an image together."""
    first = parts[0]
    values = np.concatenate([np.stack([head.values for head in part], axis=1) for part in parts])
    images, heads, rows, columns = values.shape
    options = dict(first[0].options)
    if len(first) > 1:
        options |= {"heads": heads, "head": "all, those of one image after each other"}
        names = tuple(f"{name}, head {head}" for name in names for head in range(heads))
    values = values.reshape(images * heads, rows, columns)
    return Heatmap(values=values, method=first[0].method, options=options, names=names)


def _stem(name: str, *, number: int, count: int) -> str:
    """Return a file name for a subject's figure, numbered where there are several."""
    word = re.sub(r"[^\w.-]+", "-", Path(name).stem).strip("-.")[:60] or "image"
    return word if count == 1 else f"{number:0{len(str(count - 1))}d}_{word}"
