"""What a tensor was made from: attention weights that have not met values, and layers before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch

from vitscope.capture.effect import dropout_rate, effect_of
from vitscope.capture.explicit import refuse_dropout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import Tensor

__all__ = ["CHANGED", "Lineage", "Mark", "Root", "tensors_in", "version"]


@dataclass(eq=False)
class Root:
    """What may become attention weights: a softmax, or scores that may be normalised by hand.

    Attributes:
        module: The module that made it.
        shape: Its shape.
        dim: The axis along which a softmax sums to 1; None for scores.
        weights: A softmax itself, until it has met values.
        version: How often its memory had been written to when it was made; None where torch does not count.
        layer: Which recorded attention it became; None before.
        fault: Why it is no attention, where that is known.
    """

    module: str
    shape: tuple[int, ...]
    dim: int | None = None
    weights: Tensor | None = None
    version: int | None = None
    layer: int | None = None
    fault: str = ""

    @property
    def intact(self) -> bool:
        """Whether a softmax is known to hold what it held when it was made."""
        return self.weights is not None and self.version is not None and version(self.weights) == self.version


@dataclass(frozen=True, slots=True)
class Mark:
    """What a tensor was made from.

    Attributes:
        layers: The recorded attentions before it, a bit each.
        roots: The weights that it holds, or that were made into it.
        same: Whether it is its root itself, cast at most.
        fresh: Whether it is an attention's output, at most seen another way or scaled.
    """

    layers: int = 0
    roots: tuple[Root, ...] = ()
    same: bool = False
    fresh: bool = False


_LISTS = frozenset({list, tuple, dict})

CHANGED = "is changed after it met the values"

_NOTHING = Mark()


class Lineage:
    """The marks of the tensors of one forward pass, by identity.

    A tensor that came into being unseen has no mark, so that what follows it does not look like the next
    layer: an error, not a guess.
    """

    def __init__(self) -> None:
        # Found by address, and held to be the same tensor: another may live there later, unseen.
        self._marks: dict[int, tuple[ref[Tensor], Mark]] = {}
        self.roots: list[Root] = []

    def __bool__(self) -> bool:
        return bool(self._marks)

    def clear(self) -> None:
        """Forget everything."""
        self._marks.clear()
        self.roots.clear()

    def of(self, tensor: object) -> Mark:
        """Return a tensor's mark."""
        found = self._marks.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor else _NOTHING

    def layers(self, values: Iterable[object]) -> int:
        """Return the recorded attentions before any of these tensors, a bit each."""
        before = 0
        for each in values:
            before |= self.of(each).layers
        return before

    def put(self, tensor: Tensor, mark: Mark) -> None:
        """Mark a tensor that was just made."""
        if mark.layers or mark.roots:
            self._marks[id(tensor)] = (ref(tensor), mark)
        else:
            self._marks.pop(id(tensor), None)

    def plant(self, tensor: Tensor, root: Root, *, layers: int) -> None:
        """Mark a tensor as a root."""
        self.roots.append(root)
        self._marks[id(tensor)] = (ref(tensor), Mark(layers, (root,), same=True))

    def follow(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: object
    ) -> None:
        """Mark what a call returned by what it was given."""
        marks = self._given((*args, *kwargs.values()) if kwargs else args)
        effect = effect_of(func)
        if not marks or effect.forgets:
            for each in tensors_in(result):
                self._marks.pop(id(each), None)
            return
        if effect.keeps_first:
            marks = [self.of(args[0] if args else None)]
        # Nearly every call is one over tokens that hold no weights; it has to be quick.
        if isinstance(result, torch.Tensor):
            mark = _plain(marks)
            if mark is not None:
                self._marks[id(result)] = (ref(result), mark)
                return
        if effect.drops and any(mark.roots for mark in marks):
            refuse_dropout(dropout_rate(args, kwargs))
        alone = effect.keeps_first or sum(1 for _ in tensors_in((args, kwargs))) == 1
        mark = _joined(marks, keeps=effect.keeps, alone=alone)
        made = list(tensors_in(result))
        if effect.writes or "out" in kwargs:
            made = [kwargs["out"] if "out" in kwargs else args[0]]
            self._touch(made[0])
            mark = Mark(mark.layers, mark.roots)
        for each in made:
            self.put(each, Mark(mark.layers, _held(each, mark.roots), mark.same, mark.fresh))

    def _given(self, values: tuple[Any, ...]) -> list[Mark]:
        """Return the marks of a call's arguments, also of those in lists."""
        get = self._marks.get
        found = []
        for each in values:
            if type(each) in _LISTS:
                found += self._given(tuple(tensors_in(each)))
            elif (held := get(id(each))) is not None and held[0]() is each:
                found.append(held[1])
        return found

    def _touch(self, tensor: object) -> None:
        for root in self.of(tensor).roots:
            root.weights = None
            if root.layer is not None:
                root.fault = CHANGED


def tensors_in(value: object) -> Iterator[Tensor]:
    """Go through the tensors in a value: itself, or inside tuples, lists and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors_in(each)
    elif isinstance(value, dict):
        yield from tensors_in(tuple(value.values()))


def version(tensor: Tensor) -> int | None:
    """Return how often a tensor's memory was written to; None in inference mode, which does not count."""
    return None if tensor.is_inference() else tensor._version


def _plain(marks: list[Mark]) -> Mark | None:
    """Return one mark for the layers of all of these, if none of them tells more than layers."""
    first = marks[0]
    layers = 0
    for mark in marks:
        if mark.roots or mark.fresh:
            return None
        layers |= mark.layers
    return first if layers == first.layers else Mark(layers)


def _joined(marks: list[Mark], *, keeps: bool, alone: bool) -> Mark:
    if len(marks) == 1:
        only = marks[0]
        return Mark(only.layers, only.roots, same=only.same and keeps, fresh=only.fresh and alone)
    layers = 0
    for mark in marks:
        layers |= mark.layers
    return Mark(layers, tuple(dict.fromkeys(root for mark in marks for root in mark.roots)))


def _held(tensor: Tensor, roots: tuple[Root, ...]) -> tuple[Root, ...]:
    """Return the roots whose matrices a tensor is large enough to hold; an index or a mean holds none."""
    if not roots or not tensor.dtype.is_floating_point:
        return ()
    size = tensor.numel()
    return tuple(root for root in roots if 2 * size >= root.shape[-1] * root.shape[-2])
