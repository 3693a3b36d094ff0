"""Inspection: all that one pass over images tells of a model's inside."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from vitscope.capture.tape import capture
from vitscope.explain.class_rollout import ClassMaps
from vitscope.explain.filters import first_filters
from vitscope.explain.grams import gram_matrices
from vitscope.explain.heads import HeadSums
from vitscope.explain.lens import LensRows
from vitscope.explain.positions import position_similarity
from vitscope.explain.rollout import rollout
from vitscope.explain.targets import check_logits
from vitscope.records.similarity import Grams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from vitscope.capture.blocks import Blocks
    from vitscope.explain.plan import Plan
    from vitscope.records.attention import Attention, Fusion
    from vitscope.records.filters import Filters
    from vitscope.records.heads import HeadStatistics
    from vitscope.records.heatmap import Heatmap
    from vitscope.records.lens import Lens
    from vitscope.records.positions import PositionSimilarity

__all__ = ["Batch", "Inspection", "inspect_model"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Images as a model takes them, `[image, channel, row, column]`, and their true classes `[image]`.

    `other` holds the same images as the model takes them that the first is compared with.
    """

    images: Tensor
    labels: NDArray[np.int64]
    other: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found; None for parts that do not apply or were not asked for.

    Attributes:
        heads: Entropy and distance of every head.
        class_maps: Rollout averaged over each class.
        positions: The position embeddings' similarity.
        filters: The first layer's filters.
        lens: The logit lens.
        grams: What CKA is made of.
        other_grams: The same of the other model.
        absent: Why parts that were asked for are not there.
    """

    heads: HeadStatistics | None = None
    class_maps: Heatmap | None = None
    positions: PositionSimilarity | None = None
    filters: Filters | None = None
    lens: Lens | None = None
    grams: Grams | None = None
    other_grams: Grams | None = None
    absent: Mapping[str, str] = field(default_factory=dict)


def inspect_model(
    model: nn.Module,
    batches: Iterable[Batch],
    plan: Plan,
    *,
    classes: Sequence[str],
    other: tuple[nn.Module, Blocks] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Inspection:
    """Run a model once over images, and make every part of a plan from that pass.

    Attention, block outputs and logits are taken from the same forward pass; what is kept of it is sums, and
    of the lens three numbers an image and layer, of CKA an inner product for each two images of a batch. The
    model is left as it was.

    Args:
        model: A classifier in evaluation mode.
        batches: The images, at least 4 a batch for CKA.
        plan: What `plan_inspection` returned for this model.
        classes: The class names.
        other: A model to compare with, and its layers.
        progress: Called with the number of images done since the last call.

    Raises:
        InputError: There is no image, or labels are no classes of the model.
        NotFiniteError: The model's output is not finite.
    """
    run = _Run(model, plan, classes, other)
    with torch.no_grad():
        for batch in batches:
            run.add(batch)
            if progress is not None:
                progress(len(batch.images))
    return run.result()


class _Run:
    """A pass under way: what is kept of the batches so far."""

    def __init__(
        self, model: nn.Module, plan: Plan, classes: Sequence[str], other: tuple[nn.Module, Blocks] | None
    ) -> None:
        self._model, self._plan, self._classes, self._other = model, plan, classes, other
        self._heads: HeadSums | None = None
        self._maps = ClassMaps(classes)
        self._lens = LensRows(plan.blocks) if plan.blocks is not None else None
        self._grams: list[NDArray[np.floating]] = []
        self._other_grams: list[NDArray[np.floating]] = []

    def add(self, batch: Batch) -> None:
        """Run the model on a batch, and keep what is wanted of it."""
        plan = self._plan
        with ExitStack() as stack:
            # Hooks first: those of the tape begin a pass, and are let go last.
            fused: Fusion | None = None if "heads" in plan.parts else "mean"
            tape = None
            if plan.listens:
                tape = stack.enter_context(capture(self._model, heads=fused, pool=plan.pool))
            tokens = stack.enter_context(plan.blocks.recording()) if plan.blocks is not None else None
            features = stack.enter_context(plan.layers.recording()) if plan.layers is not None else None
            self._model(batch.images)
        if tape is not None:
            self._attend(tape.attention(), batch)
        if tokens is not None and self._lens is not None:
            self._lens.add(tokens.tokens(len(batch.images)), batch.images, batch.labels)
        if features is not None:
            self._grams.append(gram_matrices(features.features()))
        if self._other is not None and batch.other is not None:
            model, layers = self._other
            with layers.recording() as record:
                model(batch.other)
            self._other_grams.append(gram_matrices(record.features()))

    def _attend(self, attention: Attention, batch: Batch) -> None:
        check_logits(attention.logits, len(batch.images))
        if "heads" in self._plan.parts:
            height, width = batch.images.shape[-2:]
            self._heads = self._heads or HeadSums((int(height), int(width)))
            self._heads.add(attention)
        if "class-rollout" in self._plan.parts:
            self._maps.add(rollout(attention), batch.labels)

    def result(self) -> Inspection:
        """Return what was found."""
        plan = self._plan
        return Inspection(
            heads=None if self._heads is None else self._heads.result(),
            class_maps=self._maps.result() if "class-rollout" in plan.parts else None,
            positions=position_similarity(self._model) if "positions" in plan.parts else None,
            filters=first_filters(self._model) if "filters" in plan.parts else None,
            lens=None if self._lens is None else self._lens.result(self._classes),
            grams=None if plan.layers is None else Grams(self._grams, plan.layers.names),
            other_grams=None if self._other is None else Grams(self._other_grams, self._other[1].names),
            absent=plan.absent,
        )
