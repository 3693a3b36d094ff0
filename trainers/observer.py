"""What a training run tells while it goes on."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import nn

    from vitscope.trainers.preparation import Prepared

__all__ = ["Observer", "Observers", "Plan"]


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Attributes:
        epochs: Epochs in all.
        done: Epochs done before, by the run that is resumed.
        steps: Steps an epoch; 1 where a batch holds all images.
        images: Images an epoch.
        begun: Images of the epoch under way that were done before.
        history: One row an epoch that was done before.
        best_epoch: The best of those, from 1; 0 where there is none.
        settings: Every setting, nested.
    """

    epochs: int
    done: int
    steps: int
    images: int
    begun: int = 0
    history: tuple[Mapping[str, float], ...] = ()
    best_epoch: int = 0
    settings: Mapping[str, Any] | None = None

    @property
    def best(self) -> Mapping[str, float] | None:
        """The row of the best epoch that was done before."""
        return self.history[self.best_epoch - 1] if self.best_epoch else None


class Observer:
    """What a run tells while it goes on; every method may be overridden, none must."""

    def prepared(self, prepared: Prepared, network: nn.Module, device: torch.device) -> None:
        """The data and the network are there."""

    def begin(self, folder: Path, plan: Plan) -> None:
        """Training begins."""

    def notice(self, message: str) -> None:
        """Something is not as could be expected, or worth knowing; training goes on."""

    def advance(self, images: int) -> None:
        """A step was made."""

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """An epoch was finished."""

    def end(self) -> None:
        """Training has ended, one way or the other."""


class Observers(Observer):
    """Several observers as one: all are told of the end, whatever the others do.

    They begin in the reverse order, so that what writes to the terminal stands first and begins last.
    """

    def __init__(self, *observers: Observer) -> None:
        self.observers = observers

    def prepared(self, prepared: Prepared, network: nn.Module, device: torch.device) -> None:
        """Tell each that the data and the network are there."""
        for observer in self.observers:
            observer.prepared(prepared, network, device)

    def begin(self, folder: Path, plan: Plan) -> None:
        """Tell each that training begins; where one of them cannot, end those that have."""
        with ExitStack() as begun:
            for observer in reversed(self.observers):
                observer.begin(folder, plan)
                begun.callback(observer.end)
            begun.pop_all()

    def notice(self, message: str) -> None:
        """Tell each what is worth knowing."""
        for observer in self.observers:
            observer.notice(message)

    def advance(self, images: int) -> None:
        """Tell each of a step."""
        for observer in self.observers:
            observer.advance(images)

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """Tell each of an epoch."""
        for observer in self.observers:
            observer.epoch(row, best=best)

    def end(self) -> None:
        """Tell each of the end; the first error is raised when all were told."""
        with ExitStack() as stack:
            for observer in self.observers:
                stack.callback(observer.end)
