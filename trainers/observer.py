"""What a training run tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import nn

    from vitscope.trainers.preparation import Prepared

__all__ = ["Observer", "Plan"]


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Attributes:
        epochs: Epochs in all.
        done: Epochs done before, by the run that is resumed.
        steps: Steps an epoch; 1 where a batch holds all images.
        images: Images an epoch.
    """

    epochs: int
    done: int
    steps: int
    images: int


class Observer:
    """What a run tells while it goes on; every method may be overridden, none must."""

    def begin(self, folder: Path, plan: Plan) -> None:
        """Training begins."""

    def prepared(self, prepared: Prepared, network: nn.Module, device: torch.device) -> None:
        """The data and the network are there."""

    def notice(self, message: str) -> None:
        """Something is not as it could be expected; training goes on."""

    def advance(self, images: int) -> None:
        """A step was made."""

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """An epoch was finished."""

    def end(self) -> None:
        """Training has ended, one way or the other."""
