"""What was seen, and whether it makes a chain of layers over the same tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from vitscope.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Kind", "Pass", "Seen", "check_chain", "classify"]

Kind = Literal["global", "windowed", "cross", "channels"]

# Attention over tokens by its class name; attention over channels weighs features and leaves tokens alone.
_ATTENTION = re.compile(r"attention|attn", re.IGNORECASE)
_CHANNELS = re.compile(r"channel|crosscov|xca", re.IGNORECASE)
_GATES = re.compile(r"spatial|squeeze|cbam|eca|pool2d", re.IGNORECASE)
_KINDS: tuple[tuple[Kind, str], ...] = (
    ("windowed", "attends within windows"),
    ("cross", "attends from some tokens to others"),
    ("channels", "attends over channels"),
)


@dataclass(frozen=True)
class Seen:
    """One computation of attention: where, of what shape and kind, and its weights where they are global."""

    module: str
    shape: tuple[int, ...]
    kind: Kind
    weights: Tensor | None


@dataclass
class Pass:
    """One forward pass of the model over some images.

    Attributes:
        images: How many images it took.
        size: Their height and width in pixels.
        seen: Every attention, in the order of computation.
        unused: Modules with a softmax that did not meet values the way attention does, and its shape.
        suspects: Modules that ran and are attention by name.
        logits: What the model returned, where it is a tensor with a row an image.
    """

    images: int
    size: tuple[int, int]
    seen: list[Seen] = field(default_factory=list)
    unused: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    suspects: dict[str, None] = field(default_factory=dict)
    logits: Tensor | None = None


def classify(shape: tuple[int, ...], *, images: int, class_name: str) -> Kind:
    """Return the kind of attention that weights of this shape are, over so many images in such a module.

    Attention over channels cannot be told by its shape, only by the module's class.
    """
    if _CHANNELS.search(class_name):
        return "channels"
    if len(shape) > 4 or shape[0] != images:
        return "windowed"
    return "global" if shape[-1] == shape[-2] else "cross"


@cache
def is_attention(class_name: str) -> bool:
    """Whether a module's class is attention over tokens, by its name."""
    return bool(_ATTENTION.search(class_name)) and not (
        _CHANNELS.search(class_name) or _GATES.search(class_name)
    )


def check_chain(made: Pass) -> None:
    """Check that a pass was a chain of global self-attention layers, all of them seen.

    Raises:
        CaptureError: It was not; the message names the modules and what they did.
    """
    if not made.seen and not made.unused:
        raise _nothing(made)
    if made.unused:
        names = _listed([module for module, _ in made.unused])
        raise CaptureError(
            f"{names}: a softmax {list(made.unused[0][1])} that is not plain attention (weights · values)",
            hint="Grad-CAM and the gradient methods need no attention matrix",
        )
    for kind, what in _KINDS:
        found = [seen for seen in made.seen if seen.kind == kind]
        if found:
            raise CaptureError(
                f"{_listed([seen.module for seen in found])}: {what}"
                f" ({list(found[0].shape)} for {made.images} images), not over all tokens alike",
                hint="a chain of attention needs global self-attention; Grad-CAM needs none",
            )
    _check_whole(made)
    sizes: dict[int, str] = {}
    for seen in made.seen:
        sizes.setdefault(seen.shape[-1], seen.module)
    if len(sizes) > 1:
        listed = ", ".join(f"{count} in {module}" for count, module in sizes.items())
        raise CaptureError(
            f"the number of tokens changes between layers: {listed}",
            hint="a chain of attention needs the same tokens in every layer; Grad-CAM needs none",
        )


def _check_whole(made: Pass) -> None:
    heard = [seen.module for seen in made.seen]
    missed = [name for name in made.suspects if not any(_related(name, other) for other in heard)]
    if missed:
        raise CaptureError(
            f"the attention of {_listed(missed)} was not seen, only that of {_listed(heard)}",
            hint="a part of the layers would give a wrong map; Grad-CAM needs no attention",
        )


def _nothing(made: Pass) -> CaptureError:
    if made.suspects:
        return CaptureError(
            f"the attention of {_listed(list(made.suspects))} was not seen: it has a way of its own",
            hint="let it call torch.nn.functional.scaled_dot_product_attention; Grad-CAM needs no attention",
        )
    return CaptureError(
        "this model has no attention",
        hint="Grad-CAM is the map for convolutions",
    )


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _listed(names: Sequence[str]) -> str:
    unique = [name or "the model itself" for name in dict.fromkeys(names)]
    more = f" and {len(unique) - 2} more" if len(unique) > 2 else ""
    return ", ".join(unique[:2]) + more
