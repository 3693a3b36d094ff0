"""The head: the layer of a network that gives the logits."""

from __future__ import annotations

from torch import nn

from vitscope.errors import InputError

__all__ = ["head_of"]


def head_of(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers that give the logits; one, or two where a distilled model has two.

    They are those that the network states (`get_classifier`, as all of timm's do), else its last linear
    layer or convolution.

    Raises:
        InputError: It has none.
    """
    stated = getattr(network, "get_classifier", None)
    if callable(stated):
        found = stated()
        layers = list(found) if isinstance(found, tuple | list) else [found]
    else:
        layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1:]
    names = tuple(
        name
        for name, module in network.named_modules()
        if any(module is layer for layer in layers) and any(True for _ in module.parameters())
    )
    if not names:
        raise InputError(f"{type(network).__name__} has no layer that gives logits")
    return names
