"""Training: from settings, or from a run that was stopped, to a finished folder."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vitscope.checkpoint.files import load_checkpoint
from vitscope.errors import CheckpointError, EnvironmentFault, InputError
from vitscope.inference.device import is_out_of_memory
from vitscope.inference.processes import own_device, processes
from vitscope.models.registry import build_model, is_convolutional
from vitscope.trainers.augmentation.streams import stream
from vitscope.trainers.distillation import find_teacher
from vitscope.trainers.engine import Engine
from vitscope.trainers.folder import RunFolder, check_run_output
from vitscope.trainers.masking import MaskedImageModel
from vitscope.trainers.objectives import objective_of
from vitscope.trainers.observer import Observer
from vitscope.trainers.preparation import Prepared, anchored, prepare
from vitscope.trainers.run import Run, RunResult
from vitscope.trainers.settings import Settings, parse_settings, settings_text
from vitscope.trainers.start import begin, freeze

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from vitscope.inference.processes import Processes

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
    target = own_device(device)
    with processes(target) as here:
        if out is not None and here.main:
            check_run_output(out, overwrite=overwrite)
        settings = anchored(settings)
        with here.main_first():
            prepared = prepare(settings)
        observer = _heard(observer, here)
        engine = _engine(settings, prepared, target, here=here, observer=observer)
        folder = None
        if here.main:
            name = prepared.train.name
            folder = RunFolder.create(out, preset=settings.preset, data=name, overwrite=overwrite)
        with _held(folder):
            if folder is not None:
                folder.write_config(settings_text(settings))
            path = here.same(Path() if folder is None else folder.path)
            run = Run(
                path,
                folder,
                settings=settings,
                prepared=prepared,
                engine=engine,
                observer=observer,
            )
            return run.finish()


def resume(path: Path, *, device: str = "auto", observer: Observer | None = None) -> RunResult:
    """Go on with a run that was stopped, from its `last.pth`.

    Raises:
        InputError: The folder holds no run that can be resumed, or its data has changed.
        VitscopeError: As for `train`.
    """
    target = own_device(device)
    with processes(target) as here:
        folder = None
        if here.main:
            if not os.path.exists(path / "last.pth"):
                raise InputError(f"{path} holds no last.pth to resume from", hint="give the folder of a run")
            folder = RunFolder(path)  # first, since another process may be about to write last.pth anew
        with _held(folder):
            run = _recalled(path, folder, target, here=here, observer=_heard(observer, here))
            return run.result() if run.complete else run.finish()


def _recalled(
    path: Path, folder: RunFolder | None, device: torch.device, *, here: Processes, observer: Observer
) -> Run:
    """Make the run that wrote the folder's `last.pth`, where it stood then."""
    source = path / "last.pth"
    last = here.same(load_checkpoint(source) if here.main else None)
    if last is None or last.resume is None:
        raise InputError(f"{source} holds no state to resume from", hint="give the folder of a run")
    try:
        settings = parse_settings(last.training["settings"])
        with here.main_first():
            prepared = prepare(settings, last=last)
        digests = {name: last.training[name] for name in prepared.digests}
        if digests != prepared.digests:
            raise InputError(f"the images are not those that {path} began with", hint="begin a new run")
        engine = _engine(settings, prepared, device, here=here, observer=observer, state=last.state)
        run = Run(path, folder, settings=settings, prepared=prepared, engine=engine, observer=observer)
        run.recall(last)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{source} holds no state that a run wrote ({reason})") from error
    return run


@contextmanager
def _held(folder: RunFolder | None) -> Iterator[None]:
    """Give the folder up at the end, whatever happens."""
    try:
        yield
    finally:
        if folder is not None:
            folder.release()


def _heard(observer: Observer | None, here: Processes) -> Observer:
    """Return who is told of the progress: of several processes, the first tells."""
    return observer if observer is not None and here.main else Observer()


def _engine(
    settings: Settings,
    prepared: Prepared,
    device: torch.device,
    *,
    here: Processes,
    observer: Observer,
    state: dict[str, torch.Tensor] | None = None,
) -> Engine:
    """Build what trains, with the weights given or those that a new run begins with."""
    teacher = find_teacher(settings.distill, prepared)
    network = _network(settings, prepared)
    if state is None:
        for note in begin(network, settings, prepared):
            observer.notice(note)
    else:
        network.load_state_dict(state)
        freeze(network, settings)
    if here.world > 1 and device.type == "cpu" and _has_batch_norm(network):
        observer.notice(
            "batch norm sees the images of one process at a time, so results depend on their number"
        )
    return Engine(
        network.to(device),
        settings,
        prepared,
        objective=objective_of(settings, network, teacher),
        here=here,
        convolutional=is_convolutional(settings.model.name, network),
    )


def _has_batch_norm(network: nn.Module) -> bool:
    return any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in network.modules())


def _network(settings: Settings, prepared: Prepared) -> nn.Module:
    """Build the model with the weights of the seed."""
    with torch.random.fork_rng(devices=[]):
        # The CPU's generator alone, on which weights are drawn: the GPUs' are not put back here.
        torch.default_generator.manual_seed(stream(settings.seed, 3).initial_seed())
        try:
            network = build_model(settings.model.name, prepared.options)
            return network if settings.objective == "classes" else MaskedImageModel(network)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise EnvironmentFault(
                "the model does not fit into memory", hint="lower model.width or model.depth"
            ) from error
