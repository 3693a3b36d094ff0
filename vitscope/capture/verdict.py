"""What was seen, and whether it makes a chain of layers over the same tokens."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from vitscope.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitscope.capture.sighting import Kind, Pass

__all__ = ["check_chain", "classify", "is_attention"]

# Attention over tokens by its class name; attention over channels weighs features and leaves tokens alone.
_ATTENTION = re.compile(r"attention|attn|mhsa|mla$|mamba|retention|rwkv|hyena", re.IGNORECASE)
_CHANNELS = re.compile(r"channel|crosscov|xca", re.IGNORECASE)
_GATES = re.compile(r"spatial|squeeze|cbam|eca|pool2d", re.IGNORECASE)
# What every refusal offers instead.
_OTHERS = "Grad-CAM (`--method grad-cam`) needs no attention matrix, nor do the gradient methods"
_KINDS: tuple[tuple[Kind, str], ...] = (
    ("windowed", "attends within windows"),
    ("cross", "attends from some tokens to others"),
    ("channels", "attends over channels"),
    ("other", "attends over something else than the tokens it is given"),
)


def classify(
    shape: tuple[int, ...], *, images: int, class_name: str, given: Sequence[tuple[int, ...]] = ()
) -> Kind:
    """Return the kind of attention that weights of this shape are.

    Attention over channels cannot be told by its shape alone, only by the module's class and its input.

    Args:
        shape: Of the weights.
        images: How many images the model was given.
        class_name: The module's class.
        given: The shapes of the tensors that the module was given.
    """
    if _CHANNELS.search(class_name):
        return "channels"
    if len(shape) not in (3, 4) or shape[0] != images:
        return "windowed"
    if shape[-1] != shape[-2]:
        return "cross"
    return "global" if _are_tokens(shape[-1], given) else "other"


def _are_tokens(count: int, given: Sequence[tuple[int, ...]]) -> bool:
    """Whether the first of these that is a stack of tokens or a map has so many tokens or places."""
    for shape in given:
        if len(shape) == 3:
            return count in shape[:2]
        if len(shape) == 4:
            # Channels come last or second, or the tokens are cut into heads before or after.
            return count in (shape[1] * shape[2], shape[2] * shape[3], shape[1], shape[2])
    return True


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
    tokens = made.seen[-1].shape[-1] if made.seen else None
    unused = [each for each in made.unused if each.looks_like_attention(tokens)]
    if not made.seen and not unused:
        raise _nothing(made)
    _check_kinds(made)
    if unused:
        names = _listed([each.module for each in unused])
        why = unused[0].fault or "is not multiplied by values as attention is"
        raise CaptureError(f"{names}: a softmax or matrix {list(unused[0].shape)} that {why}", hint=_OTHERS)
    _check_whole(made)
    _check_sizes(made)
    _check_order(made)
    if made.behind:
        raise CaptureError(
            f"{made.behind} of the tokens stand behind the patches, not before them",
            hint=f"a map needs class and register tokens first; {_OTHERS}",
        )
    if made.mixed:
        raise CaptureError(
            f"{_listed(list(made.mixed))}: the tokens are mixed or moved in another way as well,"
            " after the first attention",
            hint=f"attention is not all that moves between tokens here; {_OTHERS}",
        )


def _check_kinds(made: Pass) -> None:
    for kind, what in _KINDS:
        found = [seen for seen in made.seen if seen.kind == kind]
        if found:
            raise CaptureError(
                f"{_listed([seen.module for seen in found])}: {what}"
                f" ({list(found[0].shape)} for {made.images} images), not over all tokens alike",
                hint=f"a chain of attention needs global self-attention; {_OTHERS}",
            )


def _check_sizes(made: Pass) -> None:
    sizes: dict[int, str] = {}
    for seen in made.seen:
        sizes.setdefault(seen.shape[-1], seen.module)
    if len(sizes) > 1:
        listed = ", ".join(f"{count} in {module}" for count, module in sizes.items())
        raise CaptureError(
            f"the number of tokens changes between layers: {listed}",
            hint=f"a chain of attention needs the same tokens in every layer; {_OTHERS}",
        )


def _check_order(made: Pass) -> None:
    """Check that each attention works on what the one before has put out, and the output on all of them."""
    for number, (one, other) in enumerate(pairwise(made.seen)):
        if not other.before >> number & 1:
            raise CaptureError(
                f"{_listed([one.module, other.module])}: attentions side by side, the second does not work on"
                " what the first has put out",
                hint=f"a chain of attention needs one layer after the other; {_OTHERS}",
            )
        if one.module == other.module and one.entry == other.entry:
            raise CaptureError(
                f"{one.module or 'the model itself'} computes several attentions in one run",
                hint=f"which matrix stands for the layer is not known; {_OTHERS}",
            )
    if made.reached is not None and not made.reached >> (len(made.seen) - 1) & 1:
        raise CaptureError(
            f"the output was not made from the attention of {made.seen[-1].module or 'the model itself'}",
            hint=f"it stands beside the way to the output, or the way cannot be followed; {_OTHERS}",
        )


def _check_whole(made: Pass) -> None:
    heard = [seen.module for seen in made.seen]
    missed = [name for name in made.suspects if not any(_related(name, other) for other in heard)]
    if missed:
        raise CaptureError(
            f"the attention of {_listed(missed)} was not seen, only that of {_listed(heard)}",
            hint=f"a part of the layers would give a wrong map; {_OTHERS}",
        )


def _nothing(made: Pass) -> CaptureError:
    if made.suspects:
        return CaptureError(
            f"the attention of {_listed(list(made.suspects))} was not seen: it has a way of its own",
            hint=f"let it call torch.nn.functional.scaled_dot_product_attention; {_OTHERS}",
        )
    return CaptureError(
        "this model has no attention",
        hint=f"{_OTHERS}; attention in a compiled or scripted function is not seen",
    )


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _listed(names: Sequence[str]) -> str:
    unique = [name or "the model itself" for name in dict.fromkeys(names)]
    more = f" and {len(unique) - 2} more" if len(unique) > 2 else ""
    return ", ".join(unique[:2]) + more
