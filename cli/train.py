"""`vitscope train`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitscope.cli.console import result, result_json, talk
from vitscope.cli.figure_options import for_a_paper
from vitscope.cli.options import Device, Json, Overwrite, Quiet
from vitscope.errors import Interrupted, NotFiniteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vitscope.trainers.observer import Observer
    from vitscope.trainers.run import RunResult
    from vitscope.trainers.settings import Settings

__all__ = ["train"]


@for_a_paper
def train(
    preset: Annotated[
        str | None,
        typer.Argument(help="A preset, of those that `vitscope presets` lists.", show_default="digits"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings in a YAML file, such as a run's config.yaml.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="A name, of those that `vitscope datasets` lists, or a folder of images."
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="How many epochs.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, like optimizer.lr=5e-4."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="FILE", help="Weights to begin with: a file, or hub."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The seed of everything random.")] = None,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", help="The run folder; a new one below runs/ by default.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with a run that was stopped.")
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", help="tensorboard or wandb: log there, too.", rich_help_panel="Output"),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a classifier; without arguments, a small vision transformer on the embedded digits.

    Example: vitscope train vit-tiny --data cifar10 --set optimizer.lr=5e-4 --epochs 50
    """
    given = {
        "preset": preset,
        "--data": data,
        "--epochs": epochs,
        "--weights": weights,
        "--set": settings,
        "--seed": seed,
        "--out": out,
        "--overwrite": overwrite or None,
    }
    if resume is not None:
        _check_resume(resume, config, [name for name, value in given.items() if value is not None])
        observer = _observer(log or [], quiet=quiet)
        from vitscope.trainers.training import resume as go_on

        with _told_once():
            answer = go_on(resume, device=device, observer=observer)
    else:
        flags = {"data.source": data, "start.weights": weights, "epochs": epochs, "seed": seed}
        chosen = _settings(preset, config, settings or [], flags)
        observer = _observer(log or [], quiet=quiet)
        from vitscope.trainers.training import train as begin

        with _told_once():
            answer = begin(chosen, out=out, device=device, overwrite=overwrite, observer=observer)
    _report(answer, as_json=json)


def _check_resume(run: Path, config: Path | None, others: list[str]) -> None:
    if others:
        raise UsageError(f"a resumed run keeps its settings, so {others[0]} cannot be given with --resume")
    if config is not None and config.resolve() != (run / "config.yaml").resolve():
        raise UsageError("a resumed run keeps its settings, so --config can only be its own config.yaml")


def _settings(
    preset: str | None, config: Path | None, assignments: list[str], flags: dict[str, Any]
) -> Settings:
    """Put together preset or file, flags, and `--set`, each over the one before."""
    from vitscope.trainers.overrides import apply_overrides, merge
    from vitscope.trainers.presets import load_preset
    from vitscope.trainers.settings import parse_settings, read_settings

    if preset is not None and config is not None:
        raise UsageError(
            "a preset and --config cannot be given together", hint="name the preset, or the file"
        )
    values = read_settings(config) if config is not None else load_preset(preset or "digits")
    change: dict[str, Any] = {}
    for key, value in flags.items():
        section, _, name = key.rpartition(".")
        if value is not None:
            change |= {section: {name: value}} if section else {name: value}
    return parse_settings(apply_overrides(merge(values, change), assignments))


def _observer(logs: list[str], *, quiet: bool) -> Observer:
    from vitscope.cli.training_progress import Bar, Lines
    from vitscope.trainers.loggers import open_log
    from vitscope.trainers.observer import Observers

    opened = [open_log(name) for name in dict.fromkeys(logs)]
    shown = [] if quiet else [Bar() if sys.stderr.isatty() else Lines()]
    return Observers(*shown, *opened)


@contextmanager
def _told_once() -> Iterator[None]:
    """Let the first of several processes alone tell of what stops all of them at the same step."""
    from vitscope.inference.processes import announced

    try:
        yield
    except (Interrupted, NotFiniteError) as error:
        if announced().main:
            raise
        raise SystemExit(error.exit_code) from error


def _report(answer: RunResult, *, as_json: bool) -> None:
    from vitscope.inference.processes import announced

    if not announced().main:
        return  # of several processes, the first tells
    best = answer.folder / "best.pth"
    if as_json:
        values = asdict(answer) | {"folder": str(answer.folder), "checkpoint": str(best)}
        result_json(values)
        return
    if answer.validation_accuracy is None:
        score, after = f"validation loss {answer.validation_loss:.4f}", f"train PRESET --weights {best}"
    else:
        score, after = f"validation accuracy {answer.validation_accuracy:.1%}", f"evaluate {best}"
    result(f"{best}: epoch {answer.best_epoch} of {answer.epochs}, {score}")
    talk(f"next: vitscope {after}")
