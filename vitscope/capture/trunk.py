"""The trunk of a model: where it keeps its blocks and stages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import nn

from vitscope.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check_names", "has_attention", "stacks", "stated_stages"]

# Attention over channels as well: a chain that leaves such blocks out would be a part of the trunk.
_ATTENTION = re.compile(r"attention|attn|xca|crosscov", re.IGNORECASE)


def stacks(module: nn.Module, path: str = "") -> list[list[str]]:
    """Return the names of the modules with weights in each container below a module, the outermost ones.

    Containers that stand among such modules, as stages among what joins them, give theirs in their place.
    """
    deeper: list[list[str]] = []
    inside: list[str] = []
    blocks = 0
    for name, child in module.named_children():
        place = f"{path}.{name}" if path else name
        found = stacks(child, place)
        deeper += found
        if _is_container(module) and _is_block(child):
            inside.append(place)
            blocks += 1
        elif _is_container(child):
            inside += [each for stack in found for each in stack]
    if blocks > 1 or (blocks and sum(map(len, deeper)) < 2):
        return [inside]
    return deeper


def stated_stages(model: nn.Module) -> list[str]:
    """Return the stages that a model of timm states, below whatever it is wrapped in."""
    for name, module in model.named_modules():
        stated = getattr(module, "feature_info", None)
        if isinstance(stated, list):
            places = [str(each["module"]) for each in stated]
            return [f"{name}.{place}" if name else place for place in places]
    return []


def has_attention(module: nn.Module) -> bool:
    """Return whether something in a module is attention by the name of its class."""
    return any(_ATTENTION.search(type(each).__name__) for each in module.modules())


def check_names(model: nn.Module, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of modules.

    Raises:
        CaptureError: There is none, or the model has no module of a name.
    """
    known = dict(model.named_modules())
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise CaptureError(
            f"the model has no module {missing[0]!r}" if missing else "expected at least one block's name",
            hint="model.named_modules() lists them",
        )
    return tuple(names)


def _is_container(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential | nn.ModuleList)


def _is_block(module: nn.Module) -> bool:
    return not _is_container(module) and not _is_plain(module) and _has_weights(module)


def _is_plain(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn.modules.") and next(module.children(), None) is None


def _has_weights(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters())
