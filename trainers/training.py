"""A training run from settings to a finished folder."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from vitscope.checkpoint.files import load_checkpoint, save_checkpoint
from vitscope.checkpoint.record import Checkpoint
from vitscope.errors import InputError, Interrupted
from vitscope.figures.files import save_figure
from vitscope.figures.history import draw_history
from vitscope.inference.device import resolve_device
from vitscope.models.registry import build_model
from vitscope.records.provenance import Provenance
from vitscope.trainers.augmentation import stream
from vitscope.trainers.engine import Engine, TrainingState
from vitscope.trainers.folder import RunFolder
from vitscope.trainers.preparation import Prepared, prepare
from vitscope.trainers.settings import Settings, parse_settings, settings_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

__all__ = ["Observer", "RunResult", "resume", "train"]

# Saving takes longer than an epoch of a small model: at most one interval of work is lost to a kill.
_SECONDS_BETWEEN_SAVES = 10.0


class Observer:
    """What a run tells while it goes on; every method may be overridden, none must."""

    def begin(self, folder: Path, *, epochs: int, images: int, done: int) -> None:
        """Training begins: epochs in all, images an epoch, epochs done before."""

    def prepared(self, prepared: Prepared, network: nn.Module, device: torch.device) -> None:
        """The data and the network are there."""

    def advance(self, images: int) -> None:
        """A step was made."""

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """An epoch was finished."""


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


def train(
    settings: Settings,
    *,
    out: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    observer: Observer | None = None,
) -> RunResult:
    """Train a model and write its run folder.

    Args:
        settings: The run's settings.
        out: The folder; a new one below `runs/` where it is not given.
        device: `auto`, `cpu`, `cuda`…
        overwrite: Replace a run in `out`.
        observer: Is told of the progress.

    Raises:
        VitscopeError: Of the kind that says what went wrong; the last good checkpoint is kept.
    """
    target = resolve_device(device)
    prepared = prepare(settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(settings.seed, 3).initial_seed())
        network = build_model(settings.model.name, prepared.options)
    folder = RunFolder.create(out, preset=settings.preset, data=prepared.train.name, overwrite=overwrite)
    try:
        folder.write_config(settings_text(settings))
        run = _Run(folder, settings, prepared, network.to(target), observer or Observer())
        return run.finish()
    finally:
        folder.release()


def resume(path: Path, *, device: str = "auto", observer: Observer | None = None) -> RunResult:
    """Go on with a run that was stopped, from its `last.pth`.

    Raises:
        InputError: The folder holds no run that can be resumed, or its data has changed.
        VitscopeError: As for `train`.
    """
    target = resolve_device(device)
    last = load_checkpoint(path / "last.pth")
    if last.resume is None:
        raise InputError(f"{path / 'last.pth'} holds no state to resume from")
    settings = parse_settings(last.training["settings"])
    prepared = prepare(settings)
    digest = last.training["data_digest"]
    if prepared.train.digest != digest:
        raise InputError(f"the training images are not those that {path} began with", hint="begin a new run")
    network = build_model(settings.model.name, prepared.options)
    network.load_state_dict(last.state)
    folder = RunFolder(path)
    try:
        run = _Run(folder, settings, prepared, network.to(target), observer or Observer())
        run.recall(last.resume)
        return run.finish()
    finally:
        folder.release()


class _Run:
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
        self.saved_at = time.monotonic()
        self.provenance = Provenance.collect(
            data=prepared.train.name,
            split=prepared.train.split,
            data_digest=prepared.train.digest,
            seed=settings.seed,
            config={"threads": torch.get_num_threads(), "device": str(self.engine.device)},
        )

    def recall(self, memory: dict[str, Any]) -> None:
        """Go back to where `last.pth` was written."""
        self.state = TrainingState(**memory["state"])
        self.engine.recall(memory["optimizer"])
        if self.state.best_epoch:
            best = load_checkpoint(self.folder.path / "best.pth")
            self.best, self.best_digest = best.state, best.digest
            self.best_saved = self.state.best_epoch

    def finish(self) -> RunResult:
        """Train to the last epoch, then write the history, its figure and the manifest."""
        settings, state = self.settings, self.state
        device = next(self.network.parameters()).device
        self.observer.prepared(self.prepared, self.network, device)
        images = sum(stop - start for start, stop in self.engine.starts)
        self.observer.begin(self.folder.path, epochs=settings.epochs, images=images, done=state.epoch)
        # The loop seeds torch's generator at every step; the caller's is put back afterwards.
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), _first_signal() as caught:
            while state.epoch < settings.epochs:
                self._epoch(caught)
            self._save()
        self._complete()
        return self._result()

    def _epoch(self, caught: list[int]) -> None:
        state = self.state

        def after_step(images: int) -> bool:
            self.observer.advance(images)
            return bool(caught)

        finished = self.engine.run_epoch(state, after_step)
        if finished:
            if improved := state.best_epoch == state.epoch:
                self.best = {name: tensor.cpu().clone() for name, tensor in self.network.state_dict().items()}
            self.folder.write_history(state.history)
            self.observer.epoch(state.history[-1], best=improved)
        if caught:
            self._save()
            name = "Ctrl-C" if caught[0] == signal.SIGINT else "SIGTERM"
            raise Interrupted(
                f"stopped by {name} in epoch {state.epoch + 1} of {self.settings.epochs}; all of it is saved",
                hint=f"go on with: vitscope train --resume {self.folder.path}",
                exit_code=128 + caught[0],
            )
        if time.monotonic() - self.saved_at > _SECONDS_BETWEEN_SAVES:
            self._save()

    def _save(self) -> None:
        """Write `best.pth` where it changed, then `last.pth`: a kill in between resumes from the older."""
        path, state = self.folder.path, self.state
        if state.best_epoch > self.best_saved:
            best = self._checkpoint(self.best, row=state.best)
            self.best_digest = save_checkpoint(best, path / "best.pth")
            self.best_saved = state.best_epoch
        memory = {"state": asdict(state), "optimizer": self.engine.memory()}
        weights = self.network.state_dict()
        save_checkpoint(self._checkpoint(weights, row={}, memory=memory), path / "last.pth")
        self.saved_at = time.monotonic()

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
            training={"settings": settings.model_dump(), "data_digest": prepared.train.digest, "epoch": row},
            provenance=self.provenance.to_dict(),
            resume=memory,
        )

    def _complete(self) -> None:
        figure = draw_history(self.state.history, best_epoch=self.state.best_epoch)
        save_figure(figure, self.folder.path / "figures" / "history")
        result = asdict(self._result()) | {"folder": self.folder.path.name}
        self.folder.write_manifest(
            {
                "result": result,
                "settings": self.settings.model_dump(),
                "provenance": self.provenance.to_dict(),
            }
        )

    def _result(self) -> RunResult:
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
def _first_signal() -> Iterator[list[int]]:
    """Note the first Ctrl-C or SIGTERM instead of obeying it; the second acts as it always did."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread is told of signals
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: object) -> None:
        caught.append(number)
        for each, handler in kept.items():
            signal.signal(each, handler)

    for number in kept:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
