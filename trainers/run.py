"""A run under way: the loop over epochs, and what is saved when."""

from __future__ import annotations

import shlex
import signal
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from vitscope.checkpoint.files import load_checkpoint, save_checkpoint
from vitscope.checkpoint.record import Checkpoint
from vitscope.errors import Interrupted
from vitscope.figures.files import save_figure
from vitscope.figures.history import draw_history
from vitscope.paths import MANIFEST
from vitscope.records.provenance import Provenance
from vitscope.trainers.engine import Engine, TrainingState
from vitscope.trainers.observer import Plan
from vitscope.trainers.signals import first_signal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from vitscope.trainers.folder import RunFolder
    from vitscope.trainers.observer import Observer
    from vitscope.trainers.preparation import Prepared
    from vitscope.trainers.settings import Settings

__all__ = ["Run", "RunResult"]

# Saving takes longer than an epoch of a small model: at most one interval of work is lost to a kill. A large
# model, or a slow disk, lengthens the interval, so that a twentieth of the time at most goes into saving.
_SECONDS_BETWEEN_SAVES = 10.0
_LEAST_RATIO = 20


@dataclass(frozen=True)
class RunResult:
    """What a finished run reports.

    Attributes:
        folder: The run folder.
        best_epoch: The epoch of `best.pth`, from 1.
        validation_accuracy: Its accuracy on the validation part.
        epochs: Epochs trained.
        seconds: Time of the training epochs, validation not counted.
        digest: The digest of `best.pth`.
    """

    folder: Path
    best_epoch: int
    validation_accuracy: float
    epochs: int
    seconds: float
    digest: str


class Run:
    """A run under way: the loop over epochs, and what is saved when."""

    def __init__(
        self,
        folder: RunFolder,
        settings: Settings,
        prepared: Prepared,
        network: nn.Module,
        observer: Observer,
    ) -> None:
        self.folder, self.settings, self.prepared, self.observer = folder, settings, prepared, observer
        self.network = network
        self.engine = Engine(
            network,
            settings,
            train=prepared.train,
            validation=prepared.validation,
            preprocessing=prepared.preprocessing,
            augmentation=prepared.augmentation,
        )
        self.state = TrainingState()
        self.best: dict[str, torch.Tensor] = {}
        self.best_saved = 0
        self.best_digest = ""
        self.saved_at, self.save_seconds = time.monotonic(), 0.0
        self.provenance = Provenance.collect(
            data=prepared.train.name,
            split=prepared.train.split,
            data_digest=prepared.train.digest,
            seed=settings.seed,
            config={
                "threads": settings.threads or torch.get_num_threads(),
                "device": str(self.engine.device),
            },
        )

    def recall(self, memory: dict[str, Any]) -> None:
        """Go back to where `last.pth` was written."""
        self.state = TrainingState(**memory["state"])
        self.engine.recall(memory["optimizer"])
        if self.state.best_epoch:
            best = load_checkpoint(self.folder.path / "best.pth")
            self.best, self.best_digest = best.state, best.digest
            self.best_saved = self.state.best_epoch

    @property
    def complete(self) -> bool:
        """Whether the run came to its end before, manifest included."""
        return self.state.epoch >= self.settings.epochs and (self.folder.path / MANIFEST).is_file()

    def finish(self) -> RunResult:
        """Train to the last epoch, then write the history, its figure and the manifest."""
        settings, state = self.settings, self.state
        device = next(self.network.parameters()).device
        self.observer.prepared(self.prepared, self.network, device)
        starts = self.engine.starts
        images = sum(stop - start for start, stop in starts)
        plan = Plan(
            epochs=settings.epochs,
            done=state.epoch,
            steps=len(starts),
            images=images,
            begun=sum(stop - start for start, stop in starts[: state.step]),
            history=tuple(state.history),
            best_epoch=state.best_epoch,
            settings=settings.model_dump(),
        )
        self.observer.begin(self.folder.path, plan)
        # The loop seeds torch's generator at every step; the caller's is put back afterwards.
        devices = [device] if device.type == "cuda" else []
        try:
            threads = _threads(settings.threads)
            with torch.random.fork_rng(devices=devices), threads, first_signal() as caught:
                if not (self.folder.path / "last.pth").exists():
                    self._save()  # so that a run can be resumed from its first second on
                while state.epoch < settings.epochs:
                    self._epoch(caught)
                self._save()
        finally:
            self.observer.end()
        self._complete()
        return self.result()

    def _epoch(self, caught: list[int]) -> None:
        state = self.state

        def after_step(images: int) -> bool:
            self.observer.advance(images)
            return bool(caught) or self._save_is_due()

        finished = self.engine.run_epoch(state, after_step, stopped=lambda: bool(caught))
        if finished:
            if improved := state.best_epoch == state.epoch:
                self.best = {name: tensor.cpu().clone() for name, tensor in self.network.state_dict().items()}
            self.folder.write_history(state.history)
            self.observer.epoch(state.history[-1], best=improved)
        if caught:
            self._save()
            name = "Ctrl-C" if caught[0] == signal.SIGINT else "SIGTERM"
            place = f"in epoch {state.epoch + 1}" if state.step else f"after epoch {state.epoch}"
            raise Interrupted(
                f"stopped by {name} {place} of {self.settings.epochs}; all of it is saved",
                hint=f"go on with: vitscope train --resume {shlex.quote(str(self.folder.path))}",
                exit_code=128 + caught[0],
            )
        if self._save_is_due():
            self._save()

    def _save_is_due(self) -> bool:
        interval = max(_SECONDS_BETWEEN_SAVES, _LEAST_RATIO * self.save_seconds)
        return time.monotonic() - self.saved_at > interval

    def _save(self) -> None:
        """Write `best.pth` where it changed, then `last.pth`: a kill in between resumes from the older."""
        path, state, began = self.folder.path, self.state, time.monotonic()
        self.engine.check_weights(state)
        if state.best_epoch > self.best_saved:
            best = self._checkpoint(self.best, row=state.best)
            self.best_digest = save_checkpoint(best, path / "best.pth")
            self.best_saved = state.best_epoch
        memory = {"state": asdict(state), "optimizer": self.engine.memory()}
        weights = self.network.state_dict()
        save_checkpoint(self._checkpoint(weights, row={}, memory=memory), path / "last.pth")
        self.saved_at = time.monotonic()
        self.save_seconds = self.saved_at - began

    def _checkpoint(
        self, weights: dict[str, torch.Tensor], *, row: dict[str, float], memory: dict[str, Any] | None = None
    ) -> Checkpoint:
        prepared, settings = self.prepared, self.settings
        return Checkpoint(
            model=settings.model.name,
            options=prepared.options,
            state=weights,
            classes=prepared.train.classes,
            preprocessing=prepared.preprocessing.to_dict(),
            data=prepared.spec.to_dict(),
            training={"settings": settings.model_dump(), "epoch": row} | prepared.digests,
            provenance=self.provenance.to_dict(),
            resume=memory,
        )

    def _complete(self) -> None:
        figure = draw_history(self.state.history, best_epoch=self.state.best_epoch)
        save_figure(figure, self.folder.path / "figures" / "history")
        result = asdict(self.result()) | {"folder": self.folder.path.resolve().name}
        self.folder.write_manifest(
            {
                "result": result,
                "settings": self.settings.model_dump(),
                "provenance": self.provenance.to_dict(),
            }
        )

    def result(self) -> RunResult:
        """Return what the run reports, as far as it has come."""
        state = self.state
        return RunResult(
            folder=self.folder.path,
            best_epoch=state.best_epoch,
            validation_accuracy=state.best["validation_accuracy"],
            epochs=state.epoch,
            seconds=sum(row["seconds"] for row in state.history),
            digest=self.best_digest,
        )


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with so many threads inside the block; as before where there is no number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
