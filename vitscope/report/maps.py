"""The maps of a batch of pictures, by every method and for every class that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.capture.tape import capture
from vitscope.errors import CaptureError
from vitscope.explain.methods import explain, find_method
from vitscope.explain.raw import raw_attention
from vitscope.explain.rollout import rollout
from vitscope.report.subjects import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Attention, Pool
    from vitscope.records.heatmap import Heatmap
    from vitscope.report.request import Target
    from vitscope.report.subjects import Answer, Batch

__all__ = ["Explained", "default_method", "explain_batch", "join_maps"]

# These two come from the very pass that gives the logits.
_OF_ONE_PASS = {"rollout": rollout, "raw": lambda attention: raw_attention(attention)[0]}


@dataclass(frozen=True, eq=False)
class Explained:
    """What methods found in a batch.

    Attributes:
        answers: What the model predicts, one an image.
        targets: The classes that were explained: a list a target, an index an image.
        maps: A record a target by method; one alone for methods that explain no class.
    """

    answers: list[Answer]
    targets: list[list[int]]
    maps: dict[str, list[Heatmap]]


def explain_batch(
    model: Classifier,
    batch: Batch,
    methods: Sequence[str],
    targets: Sequence[Target],
    *,
    pool: Pool | None = None,
) -> Explained:
    """Return the maps of a batch by each method, for each target.

    Args:
        model: The classifier.
        batch: The pictures; each has a label where a target is `true`.
        methods: Keys of `vitscope.explain.methods.METHODS`.
        targets: The classes to explain.
        pool: What the head reads, where the model does not tell.

    Raises:
        CaptureError: A method does not apply to this model.
        NotFiniteError: The model's output is not finite.
    """
    attended = not _OF_ONE_PASS.keys().isdisjoint(methods)
    logits, attention = _forward(model, batch.inputs, attended=attended, pool=pool)
    said = answers(model, logits)
    columns = [_column(target, batch, said) for target in targets]
    maps = {}
    for name in methods:
        if attention is not None and name in _OF_ONE_PASS:
            maps[name] = [_OF_ONE_PASS[name](attention)]
            continue
        method = find_method(name)
        wanted = columns if method.per_class else columns[:1]
        indices = [torch.tensor(column, device=batch.inputs.device) for column in wanted]
        maps[name] = [
            explain(model, batch.inputs, method=name, targets=index, **method.told(pool)) for index in indices
        ]
    return Explained(said, columns, maps)


def default_method(model: Classifier, *, pool: Pool | None = None) -> str:
    """Return a method that explains a class: relevance where there is attention, else Grad-CAM."""
    pixels = model.preprocessing
    probe = torch.zeros(1, pixels.channels, *pixels.size, device=model.device)
    try:
        _forward(model, probe, attended=True, pool=pool)
    except CaptureError:
        return "grad-cam"
    return "relevance"


def _forward(
    model: Classifier, inputs: Tensor, *, attended: bool, pool: Pool | None
) -> tuple[Tensor, Attention | None]:
    if not attended:
        with torch.inference_mode():
            return model(inputs), None
    with torch.inference_mode(), capture(model, heads="mean", pool=pool) as tape:
        logits = model(inputs)
    return logits, tape.attention()


def _column(target: Target, batch: Batch, said: Sequence[Answer]) -> list[int]:
    """Return the class that a target means for each image."""
    if target == "predicted":
        return [answer.label for answer in said]
    if target == "true":
        return [-1 if subject.label is None else subject.label for subject in batch.subjects]
    return [int(target)] * len(batch.subjects)


def join_maps(parts: Sequence[Sequence[Heatmap]], names: tuple[str, ...], classes: Sequence[str]) -> Heatmap:
    """Return the maps of all batches as one record, image by image, those of an image target by target.

    Args:
        parts: A batch a part: a record a target.
        names: The images' names.
        classes: The model's classes.
    """
    first = parts[0][0]
    count = len(parts[0])
    values = np.concatenate([np.stack([record.values for record in part], axis=1) for part in parts])
    values = values.reshape(-1, *values.shape[2:])
    if first.targets is None:
        return replace(first, values=values, names=names)
    targets = np.concatenate(
        [
            np.stack([record.targets for record in part if record.targets is not None], axis=1)
            for part in parts
        ]
    ).reshape(-1)
    if count > 1:
        pairs = zip(np.repeat(names, count).tolist(), targets.tolist(), strict=True)
        names = tuple(f"{name}, for {classes[target]}" for name, target in pairs)
    return replace(first, values=values, targets=targets, names=names)
