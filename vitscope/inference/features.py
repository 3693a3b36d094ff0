"""Penultimate features: what a classifier's last linear layer is given, from the same forward pass."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from vitscope.inference.classifier import Classifier

__all__ = ["with_features"]


@contextmanager
def with_features(model: Classifier) -> Iterator[Callable[[Tensor], Tensor]]:
    """Yield a forward pass that returns `[image, class + feature]`: the logits, then the features.

    The features are the input of the linear layer whose output the logits are. Hooks see it as the network
    runs; they are gone afterwards, also when it fails.

    Raises:
        InputError: By the yielded function: no linear layer gives the logits.
    """
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, given: tuple[Any, ...], made: Tensor) -> None:
        seen.append((given[0], made))

    def forward(images: Tensor) -> Tensor:
        seen.clear()
        logits = model(images)
        features = next((given for given, made in reversed(seen) if _is_same(made, logits)), None)
        seen.clear()
        if features is None or features.ndim != 2:
            raise InputError(
                f"{model.name} has no linear layer whose output is the logits, so it has no features to keep",
                hint="leave the features out",
            )
        return torch.cat([logits.float(), features.float()], dim=1)

    heads = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and module.out_features == len(model.classes)
    ]
    handles = [head.register_forward_hook(keep) for head in heads]
    try:
        yield forward
    finally:
        for handle in handles:
            handle.remove()
        seen.clear()


def _is_same(made: Tensor, logits: Tensor) -> bool:
    return made.shape == logits.shape and (made.data_ptr() == logits.data_ptr() or torch.equal(made, logits))
