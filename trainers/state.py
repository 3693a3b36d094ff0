"""Where a training run stands, and who watches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["TrainingState", "Watch"]


@dataclass
class TrainingState:
    """Where a run stands; everything of a run that is neither weights nor optimizer.

    Attributes:
        epoch: Epochs done.
        step: Steps done in the epoch under way.
        losses: The losses of those steps.
        correct: How many images were right in each of them; a mixed image counts by its labels' shares.
        seconds: The time they took.
        history: One row an epoch done.
        best_epoch: The epoch, counted from 1, that is best on the validation part; 0 before the first.
    """

    epoch: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)
    correct: list[float] = field(default_factory=list)
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0

    @property
    def best(self) -> dict[str, float]:
        """The best epoch's row."""
        return self.history[self.best_epoch - 1]


class Watch(Protocol):
    """Who is told of each step, and asked whether to save or to stop."""

    def advance(self, images: int) -> None:
        """A step was made with so many images."""

    def stopped(self) -> bool:
        """Whether training should stop after the step under way."""

    def save_is_due(self) -> bool:
        """Whether the state should be saved."""

    def save(self) -> None:
        """Save the state, which is complete now."""
