"""State: weights by name, and why a set of them does not fit a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = ["explain_mismatch", "strip_prefixes"]

# What DataParallel, torch.compile and Lightning put before every name.
_WRAPPERS = ("module.", "_orig_mod.")
_SHOWN = 3


def strip_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` without the prefixes of `DataParallel` and `torch.compile`, in any order or nesting.

    A prefix goes only where every name has it: a model with a layer of its own called `module` keeps it.
    """
    stripped = dict(state)
    while stripped:
        prefix = next((each for each in _WRAPPERS if all(name.startswith(each) for name in stripped)), None)
        if prefix is None:
            break
        stripped = {name.removeprefix(prefix): tensor for name, tensor in stripped.items()}
    return stripped


def explain_mismatch(expected: Mapping[str, Sequence[int]], state: Mapping[str, Tensor]) -> str | None:
    """Say in one line why `state` does not fit a model; None where it does.

    Args:
        expected: The shapes of the model's own weights, by name.
        state: The weights that were to be loaded.

    Returns:
        The first missing and unexpected names, the first differences of shape, and how many classes the
        weights likely have where only the last layer differs.
    """
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} {_shape(state[name].shape)} where the model has {_shape(shape)}"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != tuple(shape)
    ]
    if not missing and not unexpected and not shapes:
        return None
    found = [
        _listed(f"{len(missing)} of {len(expected)} weights are missing", missing),
        _listed(f"{len(unexpected)} are not the model's", unexpected),
        _listed(f"{len(shapes)} have another shape", shapes),
        _likely_classes(expected, state),
    ]
    return "; ".join(part for part in found if part)


def _listed(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = ", …" if len(names) > _SHOWN else ""
    return f"{what} ({', '.join(names[:_SHOWN])}{more})"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(str(size) for size in shape) or "scalar"


def _likely_classes(expected: Mapping[str, Sequence[int]], state: Mapping[str, Tensor]) -> str:
    """Compare the last matrix of each: a classifier's head is `[class, feature]`."""
    heads = [name for name, shape in expected.items() if len(shape) == 2]
    if not heads or heads[-1] not in state:
        return ""
    ours, theirs = tuple(expected[heads[-1]]), tuple(state[heads[-1]].shape)
    if len(theirs) != 2 or ours[0] == theirs[0] or ours[1] != theirs[1]:
        return ""
    return f"the weights likely have {theirs[0]} classes, the model {ours[0]}"
