"""Training: from settings, or from a run that was stopped, to a finished folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from vitscope.checkpoint.files import load_checkpoint
from vitscope.errors import CheckpointError, EnvironmentFault, InputError
from vitscope.inference.device import is_out_of_memory, resolve_device
from vitscope.models.registry import build_model
from vitscope.trainers.augmentation.streams import stream
from vitscope.trainers.folder import RunFolder, check_run_output
from vitscope.trainers.observer import Observer
from vitscope.trainers.preparation import Prepared, anchored, prepare
from vitscope.trainers.run import Run, RunResult
from vitscope.trainers.settings import Settings, parse_settings, settings_text

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

__all__ = ["Observer", "RunResult", "resume", "train"]


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
    if out is not None:
        check_run_output(out, overwrite=overwrite)
    settings = anchored(settings)
    prepared = prepare(settings)
    network = _network(settings, prepared)
    folder = RunFolder.create(out, preset=settings.preset, data=prepared.train.name, overwrite=overwrite)
    try:
        folder.write_config(settings_text(settings))
        run = Run(folder, settings, prepared, network.to(target), observer or Observer())
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
    if not os.path.exists(path / "last.pth"):
        raise InputError(f"{path} holds no last.pth to resume from", hint="give the folder of a run")
    folder = RunFolder(path)  # first of all, since another process may be about to write last.pth anew
    try:
        run = _recalled(folder, target, observer or Observer())
        return run.result() if run.complete else run.finish()
    finally:
        folder.release()


def _recalled(folder: RunFolder, device: torch.device, observer: Observer) -> Run:
    """Make the run that wrote the folder's `last.pth`, where it stood then."""
    path = folder.path / "last.pth"
    last = load_checkpoint(path)
    if last.resume is None:
        raise InputError(f"{path} holds no state to resume from", hint="give the folder of a run")
    try:
        settings = parse_settings(last.training["settings"])
        prepared = prepare(settings)
        digests = {name: last.training[name] for name in prepared.digests}
        if digests != prepared.digests:
            raise InputError(
                f"the images are not those that {folder.path} began with", hint="begin a new run"
            )
        network = _network(settings, prepared)
        network.load_state_dict(last.state)
        run = Run(folder, settings, prepared, network.to(device), observer)
        run.recall(last.resume)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path} holds no state that a run wrote ({reason})") from error
    return run


def _network(settings: Settings, prepared: Prepared) -> nn.Module:
    """Build the model with the weights of the seed."""
    with torch.random.fork_rng(devices=[]):
        # The CPU's generator alone, on which weights are drawn: the GPUs' are not put back here.
        torch.default_generator.manual_seed(stream(settings.seed, 3).initial_seed())
        try:
            return build_model(settings.model.name, prepared.options)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise EnvironmentFault(
                "the model does not fit into memory", hint="lower model.width or model.depth"
            ) from error
