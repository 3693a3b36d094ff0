"""Layers along an axis: numbered where they are blocks of one stack, named otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitscope.figures.lettering import plain, shorten, text_width
from vitscope.figures.style import points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axis import Axis

__all__ = ["LONGEST", "label_layers", "short_names"]

LONGEST = 70.0
"""Points of a name at most."""

_STEPS = (1, 2, 3, 4, 5, 10, 20, 50, 100)
_SIZE = 6.5  # points
_SPARSE = 3  # layers a name beyond which names are turned, so that more of them have room


def short_names(layers: Sequence[str]) -> tuple[list[str], str]:
    """Return a short name for each layer and what they are called together.

    Blocks of one stack are numbered from 0, as in their names and in `--layers`; others keep what tells them
    apart of their names, without the words that all end with.
    """
    parts = [layer.split(".") for layer in layers]
    shared = 0
    while min(map(len, parts)) > shared + 1 and len({part[shared] for part in parts}) == 1:
        shared += 1
    tails = [part[shared:] for part in parts]
    while (
        min(map(len, tails)) > 1
        and len(last := {tail[-1] for tail in tails}) == 1
        and not min(last).isdecimal()
    ):
        tails = [tail[:-1] for tail in tails]
    numbers = ["".join(filter(str.isdecimal, tail[0])) for tail in tails]
    if numbers == [str(number) for number in range(len(layers))]:
        return numbers, "Block"
    return [".".join(tail) for tail in tails], "Layer"


def label_layers(axis: Axis, layers: Sequence[str], *, pitch: float, turned: bool = False) -> str:
    """Label an axis whose places 0, 1, 2… are layers, as many as have room; return what they are called.

    Names of which few would have room side by side are turned.

    Args:
        axis: The axis.
        layers: The layers' names.
        pitch: Points from a layer to the next.
        turned: Whether names stand across the axis, so that each needs its height alone.
    """
    names, kind = short_names(layers)
    names = [shorten(name, LONGEST, size=_SIZE) for name in names]
    need = 7.5 if turned else max(text_width(name, _SIZE) for name in names) + 4
    if not turned and _SPARSE * pitch < need and len(names) > 1:
        need = 7.5
        axis.set_tick_params(labelrotation=90)
    every = next((step for step in _STEPS if step * pitch >= need), len(names))
    places = range(0, len(names), every)
    axis.set_ticks(list(places), [names[place] for place in places])
    plain(axis.get_ticklabels())
    axis.set_tick_params(labelsize=points(_SIZE), length=2)
    return kind
