"""The attention folder: layers and heads by themselves, and rollout through layers, one by one if need be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from vitscope.capture.tape import capture
from vitscope.errors import InputError, UsageError
from vitscope.explain.raw import raw_attention
from vitscope.explain.rollout import rollout, rollout_by_depth
from vitscope.figures.animation import draw_depths, save_animation
from vitscope.figures.captions import source_sentence
from vitscope.figures.exhibit import save_exhibit
from vitscope.figures.map_exhibits import attention_exhibit, picture_of, single
from vitscope.figures.style import current_style
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.records.heatmap import Heatmap
from vitscope.report.subjects import answers, batches, figure_name, provenance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Fusion, Pool
    from vitscope.report.subjects import Answer, Batch, Subject

__all__ = ["AttentionReport", "AttentionView", "report_attention"]

Parts = tuple[tuple[int, int], ...]
"""First and last of each part, both included; negative numbers count from the end."""


@dataclass(frozen=True)
class AttentionView:
    """What to look at.

    Attributes:
        method: `rollout`, through a chain of layers, or `raw`, each layer and head by itself.
        layers: Parts of the layers, such as `((0, 5),)`; without them, of rollout all and of raw the last.
        heads: Of raw attention: parts of the heads, all without them.
        animate: Of rollout: also write a GIF an image, rollout through more and more layers.
        pool: What the head reads, where the model does not tell: `cls` or `mean`.

    Raises:
        UsageError: The settings do not go together.
    """

    method: Literal["rollout", "raw"] = "rollout"
    layers: Parts = ()
    heads: Parts = ()
    animate: bool = False
    pool: Pool | None = None

    def __post_init__(self) -> None:
        if self.method not in ("rollout", "raw"):
            raise UsageError(f"expected the method `rollout` or `raw`, got {self.method!r}")
        if self.heads and self.method != "raw":
            raise UsageError("heads are for raw attention: rollout averages them")
        if self.animate and (self.method != "rollout" or self.layers):
            raise UsageError("an animation shows rollout through all layers")


@dataclass(frozen=True)
class AttentionReport:
    """A written attention folder.

    Attributes:
        folder: Where it lies.
        rows: One an image: `name`, `predicted`, `confidence`, the name of its `figure`, and of an
            `animation` if there is one.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...]


def report_attention(
    model: Classifier,
    subjects: Sequence[Subject],
    folder: Path,
    *,
    view: AttentionView | None = None,
    overwrite: bool = False,
    images: ImageSet | None = None,
    progress: Callable[[int], None] | None = None,
) -> AttentionReport:
    """Draw the attention of each picture, and write the folder whole or not at all.

    It holds a figure a picture with what stands beside it (see `save_exhibit`), a `.gif` where asked
    for, `heatmaps.npz` (a `Heatmap`; of raw attention, all maps of an image after each other, layer by layer)
    and `manifest.json`.

    Args:
        model: The classifier.
        subjects: The pictures.
        folder: The folder to make.
        view: What to look at; rollout through all layers without it.
        overwrite: Replace a folder that vitscope made there.
        images: The data set that pictures were taken from, for the provenance.
        progress: Called with the number of pictures done since the last call.

    Raises:
        UsageError: There is no such layer or head, or rollout's layers are not a chain.
        CaptureError: The model has no attention, or not a chain of it.
        ImageError: A picture cannot be read.
        InputError: Layers have different numbers of heads.
        NotFiniteError: The model's output is not finite.
        OutputError: The folder exists and `overwrite` is off.
    """
    view = view or AttentionView()
    rows: list[dict[str, Any]] = []
    parts: list[Maps] = []
    provenance = provenance_of(model, images)
    source = source_sentence(provenance)
    with staged_folder(folder, overwrite=overwrite) as stage:
        for batch in batches(model, subjects):
            maps, said = _explain(model, batch, view)
            parts.append(maps)
            for index, (subject, answer) in enumerate(zip(batch.subjects, said, strict=True)):
                stem = figure_name(subject.name, number=batch.start + index, count=len(subjects))
                layers = [[single(head, index) for head in heads] for heads in maps.layers]
                picture = picture_of(batch.pictures[index], batch.boxes[index])
                about: dict[str, Any] = {"image": subject.name.rpartition("/")[2], "prediction": answer[:2]}
                save_exhibit(attention_exhibit(stem, layers, picture, **about, source=source), stage)
                row = {"name": subject.name, "predicted": answer.name, "confidence": answer.confidence}
                row["figure"] = current_style().file_name(stem)
                if view.animate:
                    _animate(maps, batch, index, answer, stage / f"{stem}.gif")
                    row["animation"] = f"{stem}.gif"
                rows.append(row)
                if progress is not None:
                    progress(1)
        names = tuple(subject.name for subject in subjects)
        replace(_join(parts, names), provenance=provenance).save(stage / "heatmaps.npz")
        manifest = {"format": "vitscope.explanation", "version": 1, "methods": [view.method]}
        manifest |= {"heatmaps": {view.method: "heatmaps.npz"}, "images": rows}
        write_json(stage / MANIFEST, manifest | {"provenance": provenance.to_dict()})
    return AttentionReport(folder, tuple(rows))


@dataclass(frozen=True, eq=False)
class Maps:
    """The maps of a batch: layer by layer, head by head; of rollout one; and its depths, to animate."""

    layers: list[list[Heatmap]]
    depths: list[Heatmap]


def _explain(model: Classifier, batch: Batch, view: AttentionView) -> tuple[Maps, list[Answer]]:
    heads: Fusion | None = "mean" if view.method == "rollout" else None
    with torch.inference_mode(), capture(model, heads=heads, pool=view.pool) as tape:
        logits = model(batch.inputs)
    said = answers(model, logits)
    attention = tape.attention()
    depth = len(attention.weights)
    if view.method == "rollout":
        chosen = _chosen(view.layers or ((0, -1),), depth, "layer")
        if view.layers and chosen != list(range(chosen[0], chosen[-1] + 1)):
            raise UsageError(
                f"--layers of rollout are layers without a gap, in rising order, got {chosen}",
                hint="what is left out in between is not what the model computed; --raw shows single layers",
            )
        if not view.animate:
            return Maps([[rollout(attention, layers=chosen if view.layers else None)]], []), said
        depths = list(rollout_by_depth(attention))
        return Maps([[depths[-1]]], depths), said
    layers = []
    for layer in _chosen(view.layers or ((-1, -1),), depth, "layer"):
        every = raw_attention(attention, layer)
        layers.append([every[head] for head in _chosen(view.heads or ((0, -1),), len(every), "head")])
    if len({len(heads) for heads in layers}) > 1:
        raise InputError(
            "the layers have different numbers of heads", hint="choose heads that all have: --heads 0-1"
        )
    return Maps(layers, []), said


def _chosen(parts: Parts, count: int, what: str) -> list[int]:
    """Return the numbers that the parts name, in their order, each once.

    Raises:
        UsageError: One is out of range, or a part counts backwards.
    """
    found: list[int] = []
    for ends in parts:
        for end in ends:
            if not -count <= end < count:
                raise UsageError(
                    f"expected a {what} in 0 … {count - 1} or -{count} … -1, got {end}",
                    hint=f"the model has {count} {what}{'' if count == 1 else 's'}; the first is 0",
                )
        first, last = (end % count for end in ends)
        if first > last:
            raise UsageError(
                f"the {what}s {ends[0]} to {ends[1]} count backwards: there are {count}",
                hint=f"write {last}-{first}",
            )
        found += [number for number in range(first, last + 1) if number not in found]
    return found


def _animate(maps: Maps, batch: Batch, index: int, answer: Answer, path: Path) -> None:
    frames = draw_depths(
        maps.depths, batch.pictures[index], image=index, box=batch.boxes[index], prediction=answer[:2]
    )
    save_animation(frames, path)


def _join(parts: Sequence[Maps], names: tuple[str, ...]) -> Heatmap:
    """Return all maps as one record, image by image; of raw attention those of an image together."""
    every = [[head for heads in part.layers for head in heads] for part in parts]
    first = parts[0].layers
    values = np.concatenate([np.stack([head.values for head in part], axis=1) for part in every])
    images, maps, rows, columns = values.shape
    options: dict[str, object] = dict(first[0][0].options)
    if first[0][0].method != "rollout":
        layers = [heads[0].options for heads in first]
        heads = [head.options["head"] for head in first[0]]
        options = {
            "query": options["query"],
            "layers": [layer["layer"] for layer in layers],
            "names": [layer["name"] for layer in layers],
            "heads": heads,
            "order": "image, layer, head",
        }
        names = tuple(
            f"{name}, layer {layer['layer']}, head {head}"
            for name in names
            for layer in layers
            for head in heads
        )
    values = values.reshape(images * maps, rows, columns)
    return Heatmap(values=values, method=first[0][0].method, options=options, names=names)
