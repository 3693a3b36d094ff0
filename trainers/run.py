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
from vitscope.figures.exhibit import save_exhibit
from vitscope.figures.history_exhibit import history_exhibit
from vitscope.paths import MANIFEST
from vitscope.records.provenance import Provenance
from vitscope.trainers.observer import Plan
from vitscope.trainers.signals import first_signal
from vitscope.trainers.state import TrainingState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vitscope.trainers.engine import Engine
    from vitscope.trainers.folder import RunFolder
    from vitscope.trainers.observer import Observer
    from vitscope.trainers.preparation import Prepared
    from vitscope.trainers.sections import Settings

__all__ = ["Run", "RunResult"]

# Saving takes longer than an epoch of a small model: at most one interval of work is lost to a kill. A large
# model, or a slow disk, lengthens the interval, so that a twentieth of the time at most goes into saving.
_SECONDS_BETWEEN_SAVES = 10.0
_LEAST_RATIO = 20
_SECONDS_OF_ONE_SIGNAL = 2.0


@dataclass(frozen=True)
class RunResult:
    """What a finished run reports.

    Attributes:
        folder: The run folder.
        best_epoch: The epoch of `best.pth`, from 1.
        validation_accuracy: Its accuracy on the validation part; None where no classes are learned.
        validation_loss: Its loss there.
        epochs: Epochs trained.
        seconds: Time of the training epochs, validation not counted.
        digest: The digest of `best.pth`.
    """

    folder: Path
    best_epoch: int
    validation_accuracy: float | None
    validation_loss: float
    epochs: int
    seconds: float
    digest: str


class Run:
    """A run under way: the loop over epochs, and what is saved when.

    Args:
        path: The run folder.
        folder: The same, held for writing; None in all processes but the first.
        settings: Its settings.
        prepared: The data and what follows from it.
        engine: What trains.
        observer: Is told of the progress.
    """

    def __init__(
        self,
        path: Path,
        folder: RunFolder | None,
        *,
        settings: Settings,
        prepared: Prepared,
        engine: Engine,
        observer: Observer,
    ) -> None:
        self.path, self.folder, self.engine = path, folder, engine
        self.settings, self.prepared, self.observer = settings, prepared, observer
        self.state = TrainingState()
        self.best: dict[str, torch.Tensor] = {}
        self.best_saved = 0
        self.best_digest = ""
        self.caught: list[int] = []
        self.saved_at, self.save_seconds = time.monotonic(), 0.0
        self.provenance = Provenance.collect(
            data=prepared.train.name,
            split=prepared.train.split,
            data_digest=prepared.train.digest,
            seed=settings.seed,
            config={
                "threads": settings.threads or torch.get_num_threads(),
                "device": str(self.engine.device),
                "processes": self.engine.here.world,
            },
        )

    def recall(self, last: Checkpoint) -> None:
        """Go back to where `last.pth` was written, and say what is not as it was then."""
        memory = last.resume or {}
        self.state = TrainingState(**memory["state"])
        self.engine.recall(memory)
        if self.state.best_epoch and self.folder is not None:
            best = load_checkpoint(self.path / "best.pth")
            if best.training["epoch"]["epoch"] == self.state.best_epoch:
                self.best, self.best_digest = best.state, best.digest
                self.best_saved = self.state.best_epoch
            else:  # a kill came between the two files: this one is of an epoch that is trained once more
                self.state.best_epoch = 0
        self.state.best_epoch = self.engine.here.same(self.state.best_epoch)
        if changed := _changes(last.provenance, self.provenance.to_dict()):
            self.observer.notice(
                f"the run goes on, but may not end in the same bits: {changed} since it was saved"
            )

    @property
    def complete(self) -> bool:
        """Whether the run came to its end before, manifest included."""
        manifest = (self.path / MANIFEST).is_file()
        return self.state.epoch >= self.settings.epochs and self.engine.here.same(manifest)

    def finish(self) -> RunResult:
        """Train to the last epoch, then write the history, its figure and the manifest."""
        settings, state, engine = self.settings, self.state, self.engine
        self.observer.prepared(self.prepared, engine.network, engine.device)
        images = sum(stop - start for start, stop in engine.starts)
        plan = Plan(
            epochs=settings.epochs,
            done=state.epoch,
            steps=len(engine.starts),
            images=images,
            begun=sum(stop - start for start, stop in engine.starts[: state.step]),
            history=tuple(state.history),
            best_epoch=state.best_epoch,
            settings=settings.model_dump(),
        )
        self.observer.begin(self.path, plan)
        # The loop seeds torch's generator at every step; the caller's is put back afterwards.
        devices = [engine.device] if engine.device.type == "cuda" else []
        try:
            threads = _threads(settings.threads)
            signals = first_signal(repeated=_SECONDS_OF_ONE_SIGNAL if engine.here.world > 1 else 0.0)
            with torch.random.fork_rng(devices=devices), threads, signals as self.caught:
                if self.folder is not None and not (self.path / "last.pth").exists():
                    self.save()  # so that a run can be resumed from its first second on
                while state.epoch < settings.epochs:
                    self._epoch()
                self.save()
        finally:
            self.observer.end()
        self._complete()
        return self.result()

    def _epoch(self) -> None:
        state, here = self.state, self.engine.here
        if self.engine.run_epoch(state, self):
            improved = state.best_epoch == state.epoch
            if self.folder is not None:
                if improved:
                    weights = self.engine.judged.state_dict()
                    self.best = {name: tensor.cpu().clone() for name, tensor in weights.items()}
                self.folder.write_history(state.history)
            self.observer.epoch(state.history[-1], best=improved)
        if here.any(self.stopped()):
            self.save()
            raise self._interrupted(self.caught[0] if self.caught else signal.SIGTERM)
        if here.any(self.save_is_due()):
            self.save()

    def _interrupted(self, number: int) -> Interrupted:
        state = self.state
        name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        place = f"in epoch {state.epoch + 1}" if state.step else f"after epoch {state.epoch}"
        return Interrupted(
            f"stopped by {name} {place} of {self.settings.epochs}; all of it is saved",
            hint=f"go on with: vitscope train --resume {shlex.quote(str(self.path))}",
            exit_code=128 + number,
        )

    def advance(self, images: int) -> None:
        """Tell the observer of a step."""
        self.observer.advance(images)

    def stopped(self) -> bool:
        """Whether a signal has come."""
        return bool(self.caught)

    def save_is_due(self) -> bool:
        """Whether the interval is over; the first process alone decides."""
        if self.folder is None:
            return False
        interval = max(_SECONDS_BETWEEN_SAVES, _LEAST_RATIO * self.save_seconds)
        return time.monotonic() - self.saved_at > interval

    def save(self) -> None:
        """Write `best.pth` where it changed, then `last.pth`: a kill in between resumes from the older."""
        state, began = self.state, time.monotonic()
        self.engine.check_weights(state)
        if self.folder is None:
            return
        path = self.path
        if state.best_epoch > self.best_saved:
            best = self._checkpoint(self.best, row=state.best)
            self.best_digest = save_checkpoint(best, path / "best.pth")
            self.best_saved = state.best_epoch
        memory = {"state": asdict(state)} | self.engine.memory()
        weights = self.engine.network.state_dict()
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
        if self.folder is None:
            return
        best, provenance = self.state.best_epoch, self.provenance
        exhibit = history_exhibit(self.state.history, best_epoch=best, provenance=provenance)
        save_exhibit(exhibit, self.path / "figures")
        result = asdict(self.result()) | {"folder": self.path.resolve().name}
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
            folder=self.path,
            best_epoch=state.best_epoch,
            validation_accuracy=state.best.get("validation_accuracy"),
            validation_loss=state.best["validation_loss"],
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


def _changes(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Say what bears on the bits of a run and is not as it was; empty where nothing is."""
    found = []
    for section in ("config", "versions"):
        old, new = before.get(section, {}), now[section]
        found += [
            f"{name} {old[name]} → {new[name]}" for name in new if old.get(name, new[name]) != new[name]
        ]
    return ", ".join(found)
