"""Observers that keep a run's numbers for TensorBoard and for Weights & Biases."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vitscope.errors import EnvironmentFault, UsageError
from vitscope.figures.history import draw_history
from vitscope.paths import write_json
from vitscope.trainers.observer import Observer, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["LOGGERS", "TensorBoardLog", "WandbLog", "open_log"]

LOGGERS = ("tensorboard", "wandb")
# The columns of an epoch's row by the names that group them in both programs.
_SCALARS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "learning_rate": "learning_rate",
    "images_per_second": "images_per_second",
}


def open_log(name: str) -> Observer:
    """Return the observer of a name of `LOGGERS`, which opens its log when the run begins.

    Raises:
        UsageError: There is no such log.
        EnvironmentFault: Its package is not installed.
    """
    if name not in LOGGERS:
        raise UsageError(f"expected a log of {' or '.join(LOGGERS)}, got {name!r}")
    if find_spec(name) is None:
        raise EnvironmentFault(
            f"the package {name} is not installed here", hint=f"pip install 'vitscope[{name}]'"
        )
    return TensorBoardLog() if name == "tensorboard" else WandbLog(import_module("wandb"))


def scalars(row: Mapping[str, float]) -> dict[str, float]:
    """Return an epoch's numbers by the names of the logs; columns that are not there are left out."""
    return {tag: float(row[column]) for column, tag in _SCALARS.items() if row.get(column) is not None}


def best_scores(row: Mapping[str, float]) -> dict[str, float]:
    """Return the validation's numbers of the best epoch's row by the names of the logs."""
    names = ("accuracy", "loss")
    return {f"best/{name}": row[key] for name in names if (key := f"validation_{name}") in row}


class TensorBoardLog(Observer):
    """Writes `tensorboard/` in the run folder: scalars an epoch, the settings, the history at the end.

    A resumed run goes on in the same folder; what was logged of an epoch that was not saved is passed over.
    """

    def begin(self, folder: Path, plan: Plan) -> None:
        """Open the log, at the epoch that comes next."""
        from torch.utils.tensorboard import SummaryWriter

        self._rows = [dict(row) for row in plan.history]
        self._best, self._settings = plan.best_epoch, flat(plan.settings or {})
        again = plan.done + 1 if plan.done else None
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=again)
        if not plan.done:
            lines = "\n".join(f"    {key}: {value}" for key, value in self._settings.items())
            self._writer.add_text("settings", lines, 0)

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """Write the epoch's numbers."""
        self._rows.append(row)
        if best:
            self._best = len(self._rows)
        for tag, value in scalars(row).items():
            self._writer.add_scalar(tag, value, int(row["epoch"]))
        self._writer.flush()

    def end(self) -> None:
        """Add the history's figure and the best epoch's numbers beside the settings, and close."""
        if self._rows:
            last = int(self._rows[-1]["epoch"])
            figure = draw_history(self._rows, best_epoch=self._best or None)
            self._writer.add_figure("history", figure, last, close=False)
            found = best_scores(self._rows[self._best - 1])
            self._writer.add_hparams(self._settings, found, run_name=".", global_step=last)
        self._writer.close()


class WandbLog(Observer):
    """Logs to Weights & Biases: scalars an epoch, the settings as its configuration, the best in the summary.

    The run's identity there is kept in `wandb.json` of the run folder, by which a resumed run goes on.

    Args:
        client: The module `wandb`.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - the module has no types of its own
        self._client = client

    def begin(self, folder: Path, plan: Plan) -> None:
        """Open the run, or go on with it.

        Raises:
            EnvironmentFault: It cannot be opened, as without a key or a network.
        """
        known = _kept(folder / "wandb.json") if plan.done or plan.begun else {}
        try:
            self._run = self._client.init(
                project="vitscope",
                name=folder.resolve().name,
                dir=str(folder),
                config=flat(plan.settings or {}),
                **({"id": known["id"], "resume": "allow"} if "id" in known else {}),
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise EnvironmentFault(
                f"Weights & Biases cannot be reached: {reason}",
                hint="set WANDB_MODE=offline, or leave out --log wandb",
            ) from error
        write_json(folder / "wandb.json", {"id": self._run.id})

    def epoch(self, row: dict[str, float], *, best: bool) -> None:
        """Log the epoch's numbers."""
        self._run.log(scalars(row), step=int(row["epoch"]))
        if best:
            self._run.summary.update(best_scores(row) | {"best/epoch": int(row["epoch"])})

    def end(self) -> None:
        """Close the run."""
        self._run.finish()


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names; what is none of text, number and switch as text."""
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            values |= flat(value, f"{prefix}{name}.")
        else:
            plain = isinstance(value, str | int | float | bool)
            values[f"{prefix}{name}"] = value if plain else "none" if value is None else str(value)
    return values


def _kept(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    return {}
