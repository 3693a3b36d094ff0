"""Alignment: the classes of a data set found among those of a model, by name."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier

__all__ = ["align", "match_classes"]


def align(images: ImageSet, model: Classifier) -> ImageSet:
    """Return the images with the model's classes, and their labels as indices into these.

    The data may have fewer classes than the model, in any order. The names, the order and the files of the
    images stay as they are.

    Raises:
        DataError: The model does not know a class, or a name fits several of its classes.
    """
    if images.classes == model.classes:
        return images
    places = np.asarray(match_classes(images.classes, model.classes, model.aliases), dtype=np.int64)
    return replace(images, classes=model.classes, labels=places[images.labels])


def match_classes(
    names: Sequence[str], classes: Sequence[str], aliases: Sequence[tuple[str, ...]] = ()
) -> list[int]:
    """Return for each name the class that it means.

    A name means the class that has it as its name or as an alias, letter for letter; where there is none,
    the class whose name or alias differs only in case, spaces, underscores, hyphens and other signs.

    Args:
        names: The classes of the data.
        classes: The classes of the model.
        aliases: Other names of each of the model's classes, such as ImageNet's `n01440764`.

    Raises:
        DataError: A name means no class, or several, or two names mean the same class.
    """
    exact, loose = _index(classes, aliases, exactly=True), _index(classes, aliases, exactly=False)
    found: list[int] = []
    for name in names:
        hits = sorted(exact.get(name) or loose.get(_plain(name)) or ())
        if not hits:
            raise DataError(
                f"the model does not know the class {name!r} of the data", hint=_known(classes, aliases)
            )
        if len(hits) > 1:
            several = " or ".join(repr(classes[index]) for index in hits[:3])
            raise DataError(
                f"the class {name!r} of the data could be {several}", hint=_clearer(hits, aliases)
            )
        if hits[0] in found:
            other = names[found.index(hits[0])]
            raise DataError(
                f"the classes {other!r} and {name!r} of the data are both the model's {classes[hits[0]]!r}",
                hint="put their images into one folder",
            )
        found.append(hits[0])
    return found


def _index(
    classes: Sequence[str], aliases: Sequence[tuple[str, ...]], *, exactly: bool
) -> dict[str, set[int]]:
    places: dict[str, set[int]] = defaultdict(set)
    for index, own in enumerate(classes):
        for name in (own, *(aliases[index] if aliases else ())):
            places[name if exactly else _plain(name)].add(index)
    return places


def _plain(name: str) -> str:
    """Return a name without case and signs; one of signs alone stays as it is."""
    return " ".join(re.findall(r"\w+", name.casefold().replace("_", " "))) or name


def _known(classes: Sequence[str], aliases: Sequence[tuple[str, ...]]) -> str:
    shown = ", ".join(_shown(classes[:3])) + (", …" if len(classes) > 3 else "")
    if tuple(classes) == tuple(str(index) for index in range(len(classes))):
        return f"its {len(classes)} classes have no names but {shown}: give them with --classes FILE"
    also = f", also called {aliases[0][0]}…" if aliases and aliases[0] else ""
    return f"it knows {len(classes)} classes: {shown}{also}"


def _clearer(hits: Iterable[int], aliases: Sequence[tuple[str, ...]]) -> str:
    ways = [aliases[index][0] for index in hits if aliases and aliases[index]]
    return f"name the folder {' or '.join(_shown(ways[:3]))}" if ways else "name the folder as the model does"


def _shown(names: Iterable[str]) -> list[str]:
    return [name if len(name) <= 40 else f"{name[:39]}…" for name in names]
