"""The classes of ImageNet: one list of names for models of every library, with what else they are called."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ClassNames", "imagenet_classes", "name_classes"]

_SUBSETS = {
    11221: "imagenet-21k-miil",
    11821: "imagenet-12k",
    21841: "imagenet-22k",
    21842: "imagenet-22k-ms",
    21843: "imagenet-21k-goog",
}
_SAME = 0.98  # share of equal names that makes a list of a thousand ImageNet's


@dataclass(frozen=True)
class ClassNames:
    """The classes of a model.

    Attributes:
        names: One name a class, each once.
        aliases: Other names of each class; empty where there are none.
    """

    names: tuple[str, ...]
    aliases: tuple[tuple[str, ...], ...] = ()


@cache
def imagenet_classes() -> ClassNames:
    """Return the thousand classes of ImageNet-1k by torchvision's names, which are each unique.

    Their aliases are WordNet's synset (`n01440764`), as the data set's folders are called, and its lemmas
    (`tench, Tinca tinca`), of which two classes share `crane`.
    """
    from timm.data.imagenet_info import ImageNetInfo
    from torchvision.models import ResNet18_Weights

    names = tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    info: Any = ImageNetInfo("imagenet-1k")
    return ClassNames(names, tuple(zip(info.label_names(), info.label_descriptions(), strict=True)))


def name_classes(count: int, given: Sequence[str] | None = None, *, imagenet: bool = False) -> ClassNames:
    """Return the names of a model's classes.

    Args:
        count: How many there are.
        given: Their names, where the model tells; a list that is ImageNet's takes ImageNet's names.
        imagenet: Whether a model without names is taken to know ImageNet, by its number of classes.

    Returns:
        Names, or the indices `0`, `1`… where nothing is known.

    Raises:
        InputError: Another number of names than classes, or a name twice.
    """
    if given is not None:
        names = tuple(given)
        return _recognized(names) or ClassNames(_checked(names, count))
    if imagenet and count == len(imagenet_classes().names):
        return imagenet_classes()
    if imagenet and count in _SUBSETS:
        from timm.data.imagenet_info import ImageNetInfo

        info: Any = ImageNetInfo(_SUBSETS[count])
        lemmas = tuple((text,) for text in info.label_descriptions())
        return ClassNames(tuple(info.label_names()), lemmas)
    return ClassNames(tuple(str(index) for index in range(count)))


def _checked(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    if len(names) != count:
        raise InputError(f"expected {count} class names, one a logit of the model, got {len(names)}")
    if len(set(names)) != count:
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise InputError(
            f"expected each class name once, but {twice!r} is there twice",
            hint="give names with --classes FILE",
        )
    return names


def _recognized(names: tuple[str, ...]) -> ClassNames | None:
    """Return ImageNet's names if the given ones are them in any of their forms, in ImageNet's order."""
    known = imagenet_classes()
    if len(names) != len(known.names):
        return None
    rows = list(zip(names, known.names, known.aliases, strict=True))
    if sum(name in (ours, *others) for name, ours, others in rows) < _SAME * len(rows):
        return None
    return ClassNames(known.names, tuple((*others, name) for name, _, others in rows))
