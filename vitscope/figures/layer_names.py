"""Layers along an axis: numbered where they are blocks of one stack, named otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitscope.figures.lettering import plain, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axis import Axis

__all__ = ["label_layers", "short_names"]

_STEPS = (1, 2, 3, 4, 5, 10, 20, 50, 100)


def short_names(layers: Sequence[str]) -> tuple[list[str], str]:
    """Return a short name for each layer and what they are called together.

    Blocks of one stack are numbered from 0, as in their names and in `--layers`; others keep what tells them
    apart of their names.
    """
    parts = [layer.split(".") for layer in layers]
    shared = 0
    while min(map(len, parts)) > shared + 1 and len({part[shared] for part in parts}) == 1:
        shared += 1
    tails = [part[shared:] for part in parts]
    numbers = ["".join(filter(str.isdecimal, tail[0])) for tail in tails]
    if numbers == [str(number) for number in range(len(layers))]:
        return numbers, "Block"
    return [".".join(tail) for tail in tails], "Layer"


def label_layers(axis: Axis, layers: Sequence[str], *, pitch: float, turned: bool = False) -> str:
    """Label an axis whose places 0, 1, 2… are layers, as many as have room; return what they are called.

    Args:
        axis: The axis.
        layers: The layers' names.
        pitch: Points from a layer to the next.
        turned: Whether names stand across the axis, so that each needs its height alone.
    """
    names, kind = short_names(layers)
    narrow = kind == "Block" or not turned
    need = max(map(len, names)) * 4.6 + 3 if narrow and not turned else 7.5
    every = next((step for step in _STEPS if step * pitch >= need), len(names))
    places = range(0, len(names), every)
    axis.set_ticks(list(places), [shorten(names[place], 70, size=6.5) for place in places])
    plain(axis.get_ticklabels())
    axis.set_tick_params(labelsize=6.5, length=2)
    return kind
