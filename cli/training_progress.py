"""How training is shown: a bar on a terminal, a line an epoch otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.cli.console import plain, talk
from vitscope.trainers.observer import Observer, Plan

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vitscope.trainers.preparation import Prepared

__all__ = ["Bar", "Lines"]


def _about(prepared: Prepared, network: nn.Module, device: torch.device) -> str:
    parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    rows, columns = prepared.preprocessing.size
    images = (
        f"{len(prepared.train):,} images to train on, {len(prepared.validation):,} to choose the best epoch"
    )
    form = f"{rows}x{columns} pixels, {len(prepared.train.classes)} classes"
    return f"{parameters:.2f} M parameters on {device}; {prepared.train.name}: {images}, {form}"


def _line(row: dict[str, float], *, epochs: int, best: bool) -> str:
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}.0f}/{epochs}"
        f"  train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:6.1%}"
        f"  validation loss {row['validation_loss']:.4f} accuracy {row['validation_accuracy']:6.1%}"
        f"  {row['images_per_second']:,.0f} images/s{'  best' if best else ''}"
    )


class Lines(Observer):
    """A plain line an epoch, for files and pipes."""

    _epochs = 0

    def prepared(self, prepared: Prepared, network: nn.Module, device: torch.device) -> None:
        """Say what is trained on what."""
        talk(_about(prepared, network, device))

    def begin(self, folder: Path, plan: Plan) -> None:
        """Say where the run is written, and how long it is."""
        self._epochs = plan.epochs
        talk(f"run folder: {folder}")
        steps = "1 step: a batch holds all images" if plan.steps == 1 else f"{plan.steps:,} steps"
        going_on = f", from epoch {plan.done + 1} on" if plan.done else ""
        talk(f"{plan.epochs:,} epoch{'s' if plan.epochs > 1 else ''} of {steps}{going_on}")

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """Print the epoch's line."""
        talk(_line(row, epochs=self._epochs, best=best))


class Bar(Lines):
    """A bar over the epoch, with the speed, the time left of the run and the best accuracy so far."""

    def begin(self, folder: Path, plan: Plan) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().begin(folder, plan)
        self._best = 0.0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[best]}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._progress.start()
        title = f"epoch {plan.done + 1}/{plan.epochs}"
        self._task = self._progress.add_task(
            title, total=plan.epochs * plan.images, completed=plan.done * plan.images, speed="", best=""
        )

    def advance(self, images: int) -> None:
        """Move the bar."""
        self._progress.advance(self._task, images)

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """Update the texts beside the bar, and end it with the last epoch."""
        if best:
            self._best = row["validation_accuracy"]
        self._progress.update(
            self._task,
            description=f"epoch {min(int(row['epoch']) + 1, self._epochs)}/{self._epochs}",
            speed=f"{row['images_per_second']:,.0f} images/s",
            best=f"best {self._best:.1%}",
        )
        self._progress.console.print(
            plain(_line(row, epochs=self._epochs, best=best)), markup=False, highlight=False
        )

    def end(self) -> None:
        """Take the bar away."""
        self._progress.stop()
