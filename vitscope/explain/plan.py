"""A plan of an inspection: what applies to a model, found out before any long work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vitscope.capture.blocks import Blocks, find_blocks, find_layers
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError, UsageError
from vitscope.explain.filters import first_filters
from vitscope.explain.positions import position_similarity
from vitscope.explain.targets import check_logits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor, nn

    from vitscope.records.attention import Pool

__all__ = ["PARTS", "Plan", "plan_inspection"]

PARTS = ("heads", "class-rollout", "positions", "filters", "lens", "cka")
"""The parts by the names that a user types."""

_ATTENTION = ("heads", "class-rollout")


@dataclass(frozen=True, eq=False)
class Plan:
    """Which parts apply to a model.

    Attributes:
        parts: Those that do.
        absent: Why the others do not, by part.
        blocks: The blocks whose tokens the head can read; None where there are none.
        layers: The layers to compare; None where there are none.
        cost: Bytes that an image takes while it is looked into.
        pool: What capturing is told that the head reads: what the caller told; or where the model's head
            reads neither the class token alone nor the mean of the patches, `mean`, of which only what heads
            do is independent.
    """

    parts: tuple[str, ...]
    absent: Mapping[str, str]
    blocks: Blocks | None
    layers: Blocks | None
    cost: int
    pool: Pool | None = None

    @property
    def listens(self) -> bool:
        """Whether a part needs attention."""
        return any(part in self.parts for part in _ATTENTION)


def plan_inspection(
    model: nn.Module,
    image: Tensor,
    *,
    parts: Collection[str] = PARTS,
    strict: bool = False,
    pool: Pool | None = None,
) -> Plan:
    """Find out which parts apply to a model, by two passes of one image.

    Args:
        model: A classifier in evaluation mode.
        image: `[1, channel, row, column]`, as the model takes it.
        parts: Those that are wanted.
        strict: Refuse, where a part does not apply, instead of leaving it out.
        pool: What the head reads, where the model does not tell.

    Raises:
        UsageError: There is no such part, or the model is in training mode.
        CaptureError: A part does not apply, and `strict` is on.
        NotFiniteError: The model's output is not finite.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise UsageError(f"there is no part {unknown[0]!r}", hint=f"there are {', '.join(PARTS)}")
    if any(module.training for module in model.modules()):
        raise UsageError("the model is in training mode", hint="call model.eval() first")
    found = _Trial(model, image, pool)
    absent: dict[str, str] = {}
    for part in (part for part in PARTS if part in parts):
        try:
            found.attempt(part)
        except CaptureError as error:
            if strict:
                raise
            absent[part] = str(error)
    kept = tuple(part for part in PARTS if part in parts and part not in absent)
    return Plan(kept, absent, found.blocks, found.layers, found.cost, found.pool)


class _Trial:
    """One image through a model, to see what can be had of it."""

    def __init__(self, model: nn.Module, image: Tensor, pool: Pool | None) -> None:
        self._model = model
        self._image = image
        self.blocks: Blocks | None = None
        self.layers: Blocks | None = None
        self.cost = 0
        self.pool, self._told = pool, pool
        self._attended = False

    def attempt(self, part: str) -> None:
        """Try a part.

        Raises:
            CaptureError: It does not apply.
        """
        with torch.no_grad():
            if part == "heads":
                self._heads()
            elif part == "class-rollout":
                self._attention(pool=self._told)
            elif part == "lens":
                self._lens()
            elif part == "cka":
                self._cka()
            elif part == "positions":
                position_similarity(self._model)
            else:
                first_filters(self._model)

    def _heads(self) -> None:
        try:
            self._attention(pool=self._told)
        except CaptureError as error:
            if self._told is not None:
                raise
            try:
                self._attention(pool="mean")
            except CaptureError:
                raise error from None
            self.pool = "mean"

    def _attention(self, *, pool: Pool | None) -> None:
        if self._attended and pool == self.pool:
            return
        with capture(self._model, pool=pool) as tape:
            self._model(self._image)
        attention = tape.attention()
        check_logits(attention.logits, len(self._image))
        self._took(attention.weights)
        self._attended = True

    def _lens(self) -> None:
        blocks = find_blocks(self._model)
        tokens = blocks.outputs(self._image)
        check_logits(blocks.readout(tokens[0], self._image), len(self._image))
        self._took(tokens)
        self.blocks = blocks

    def _cka(self) -> None:
        layers = find_layers(self._model)
        with layers.recording() as record:
            self._model(self._image)
        self._took(record.features())
        self.layers = layers

    def _took(self, tensors: Sequence[Tensor]) -> None:
        self.cost += sum(each.numel() * each.element_size() for each in tensors)
