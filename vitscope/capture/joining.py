"""Where tokens are joined to the patches before the first attention: in front of them, or behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["JOINS", "Joined"]

JOINS = frozenset({torch.cat, torch.concat, torch.concatenate})


class Joined:
    """The joints of one forward pass: how many tokens stand behind the largest part, by the whole's count."""

    def __init__(self) -> None:
        self._behind: dict[int, int] = {}

    def clear(self) -> None:
        """Forget everything: a new forward pass begins."""
        self._behind.clear()

    def note(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        """Note a joint of tokens `[image, token, channel]`; others are none."""
        dim = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))
        parts = args[0] if args else kwargs.get("tensors", ())
        if result.ndim != 3 or dim not in (1, -2) or not parts:
            return
        counts = [part.shape[1] for part in parts]
        largest = max(range(len(counts)), key=counts.__getitem__)
        behind = sum(counts[largest + 1 :]) + self._behind.get(counts[largest], 0)
        self._behind[result.shape[1]] = behind

    def behind(self, tokens: int) -> int:
        """Return how many of so many tokens were joined behind the patches."""
        return self._behind.get(tokens, 0)
