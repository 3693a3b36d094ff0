"""How training is shown: a bar on a terminal, a line an epoch otherwise."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.cli.console import plain, talk
from vitscope.trainers.observer import Observer, Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from vitscope.trainers.preparation import Prepared

__all__ = ["Bar", "Lines", "Pace"]

_SECONDS_BETWEEN_DRAWINGS = 0.1


class Pace:
    """How fast a run goes, and how long it has to go on.

    The time left is that of the images left at the mean speed so far, in which the time of validating and
    saving is contained from the first epoch's end on.

    Args:
        plan: What the run is going to do.
        clock: Returns the time in seconds.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = plan.epochs * plan.images
        self.before = plan.done * plan.images + plan.begun
        self.seen = 0
        self._clock, self._began = clock, clock()
        self._epoch_began, self._epoch_seen = self._began, 0

    @property
    def done(self) -> int:
        """Images done of the whole run, those before it was resumed among them."""
        return self.before + self.seen

    @property
    def images_per_second(self) -> float | None:
        """Of the epoch under way; None before its first step is done."""
        images, seconds = self.seen - self._epoch_seen, self._clock() - self._epoch_began
        return images / seconds if images and seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Of the whole run; None before the first step is done."""
        seconds = self._clock() - self._began
        return (self.total - self.done) * seconds / self.seen if self.seen else None

    def advance(self, images: int) -> None:
        """Count images."""
        self.seen += images

    def next_epoch(self) -> None:
        """Begin an epoch."""
        self._epoch_began, self._epoch_seen = self._clock(), self.seen


def _duration(seconds: float | None) -> str:
    """Return a time like `1:02:03`, or `-:--:--` where none is known."""
    if seconds is None:
        return "-:--:--"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _about(prepared: Prepared, network: nn.Module, device: torch.device) -> str:
    parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    rows, columns = prepared.preprocessing.size
    images = (
        f"{len(prepared.train):,} images to train on, {len(prepared.validation):,} to choose the best epoch"
    )
    form = f"{rows}x{columns} pixels, {len(prepared.train.classes)} classes"
    return f"{parameters:.2f} M parameters on {device}; {prepared.train.name}: {images}, {form}"


def _line(row: dict[str, float], *, epochs: int) -> str:
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}.0f}/{epochs}"
        f"  train {_scores(row, 'train')}  validation {_scores(row, 'validation')}"
        f"  {row['images_per_second']:,.0f} images/s"
    )


def _scores(row: dict[str, float], part: str) -> str:
    accuracy = row.get(f"{part}_accuracy")
    return f"loss {row[f'{part}_loss']:.4f}" + ("" if accuracy is None else f" accuracy {accuracy:6.1%}")


class Lines(Observer):
    """A plain line an epoch, with the speed, the best accuracy so far and the time left of the run."""

    def prepared(self, prepared: Prepared, network: nn.Module, device: torch.device) -> None:
        """Say what is trained on what."""
        talk(_about(prepared, network, device))

    def notice(self, message: str) -> None:
        """Say it on a line of its own."""
        talk(f"note: {message}")

    def begin(self, folder: Path, plan: Plan) -> None:
        """Say where the run is written, and how long it is."""
        self._epochs, self.pace = plan.epochs, Pace(plan)
        self._best = None if plan.best is None else dict(plan.best)
        talk(f"run folder: {folder}")
        steps = "1 step: a batch holds all images" if plan.steps == 1 else f"{plan.steps:,} steps"
        going_on = f", from epoch {plan.done + 1} on" if plan.done or plan.begun else ""
        talk(f"{plan.epochs:,} epoch{'s' if plan.epochs > 1 else ''} of {steps}{going_on}")

    def advance(self, images: int) -> None:
        """Count a step's images."""
        self.pace.advance(images)

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """Print the epoch's line."""
        self._note(row, best=best)
        left = f"  {_duration(self.pace.seconds_left)} left" if row["epoch"] < self._epochs else ""
        talk(f"{_line(row, epochs=self._epochs)}  {self._best_so_far()}{left}")

    def _note(self, row: dict[str, float], *, best: bool) -> None:
        self.pace.next_epoch()
        if best:
            self._best = row

    def _best_so_far(self) -> str:
        if self._best is None:
            return ""
        accuracy = self._best.get("validation_accuracy")
        score = f"loss {self._best['validation_loss']:.4f}" if accuracy is None else f"{accuracy:.1%}"
        return f"best {score} (epoch {self._best['epoch']:.0f})"


class Bar(Lines):
    """A bar over the run, with the speed, the time left of the run and the best accuracy so far."""

    def begin(self, folder: Path, plan: Plan) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        super().begin(folder, plan)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[best]}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("", total=self.pace.total, speed="", left="", best="")
        self._drawn = 0.0
        self._draw(plan.done + 1)
        self._progress.start()

    def advance(self, images: int) -> None:
        """Move the bar, a few times a second at most: steps can be shorter than drawing one."""
        super().advance(images)
        if time.monotonic() - self._drawn > _SECONDS_BETWEEN_DRAWINGS:
            self._draw()

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """Print the epoch's line above the bar."""
        self._note(row, best=best)
        text = plain(_line(row, epochs=self._epochs) + ("  best" if best else ""))
        self._progress.console.print(text, markup=False, highlight=False)
        self._draw(int(row["epoch"]) + 1)

    def _draw(self, epoch: int | None = None) -> None:
        if epoch is not None:
            title = f"epoch {min(epoch, self._epochs)}/{self._epochs}"
            self._progress.update(self._task, description=title, best=self._best_so_far())
        speed, left = self.pace.images_per_second, f"{_duration(self.pace.seconds_left)} left"
        self._progress.update(self._task, completed=self.pace.done, left=left)
        if speed is not None:
            self._progress.update(self._task, speed=f"{speed:,.0f} images/s")
        self._drawn = time.monotonic()

    def end(self) -> None:
        """Take the bar away."""
        self._progress.stop()
