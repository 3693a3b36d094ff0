"""How a page's model was trained: the history epoch by epoch, the recipe, and the time it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vitscope.report.page_axes import SHARES, Chart, Field, Mark, round_steps
from vitscope.report.page_files import reading
from vitscope.report.page_text import per_cent, shown, tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from vitscope.report.page_runs import Run

    Columns = Mapping[str, NDArray[np.float64]]

__all__ = ["find_training"]

_PARTS = (("train", "training", 0), ("validation", "validation", 1))
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_FEW = 20  # epochs up to which each has a dot
# What a reader asks of a recipe first: titles, and the settings' names.
_MAIN = (
    ("preset", ("preset",)),
    ("model", ("model.name", "model.patch_size", "model.width", "model.depth")),
    ("started from", ("start.weights", "start.train")),
    ("image size", ("data.image_size",)),
    ("epochs", ("epochs",)),
    ("images a step", ("batch_size", "accumulate")),
    ("optimizer", ("optimizer.name", "optimizer.lr", "optimizer.weight_decay")),
    ("schedule", ("schedule.name", "schedule.warmup_epochs")),
    ("augmentation", ("augment.policy", "augment.flip", "augment.crop_padding", "augment.erasing")),
    ("mixing", ("augment.mixup", "augment.cutmix")),
    ("label smoothing", ("label_smoothing",)),
    ("weight averaging", ("ema",)),
    ("teacher", ("distill.teacher",)),
    ("precision", ("precision",)),
    ("seed", ("seed",)),
)
_IDLE = (None, "", 0, False, "none", "all")  # a setting that does nothing
_WHOLE = (None, "")  # of settings that count even where they are 0


def find_training(run: Run) -> dict[str, Any] | None:
    """Return a training run's curves, their numbers, its settings and its time; None where it is not there.

    Raises:
        InputError: `metrics.csv` or the manifest is damaged.
    """
    if run.training is None:
        return None
    manifest, path = run.training.manifest, run.training.folder / "metrics.csv"
    columns = _history(path) if path.is_file() else {}
    with reading(run.training.folder, maker="train"):
        return _told(manifest["result"], dict(_flat(manifest.get("settings"))), columns) | {
            "folder": shown(str(run.training.folder))
        }


def _told(result: Mapping[str, Any], settings: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    best = result.get("best_epoch")
    return {
        "epochs": len(columns["epoch"]) if columns else result.get("epochs"),
        "best": best,
        "accuracy": "" if (share := result.get("validation_accuracy")) is None else per_cent(share),
        "time": duration(result["seconds"]) if "seconds" in result else "",
        "charts": _charts(columns, best) if columns else [],
        "titles": _titles(columns),
        "rows": _rows(columns, best) if columns else [],
        "recipe": _recipe(settings),
        "settings": [(shown(name), _value(value)) for name, value in settings.items()],
    }


def duration(seconds: float) -> str:
    """Return a time in its two largest units, such as `1 h 2 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def _history(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a history, NaN where nothing was measured; none of an empty one."""
    with reading(path, maker="train"):
        table = pd.read_csv(path, dtype=np.float64)
        columns = {str(name): table[name].to_numpy() for name in table.columns} if len(table) else {}
        if columns and not np.isfinite(columns["epoch"]).all():
            raise ValueError("an epoch has no number")
    return columns


def _charts(columns: Columns, best: int | None) -> list[Chart]:
    """Return the charts of loss, accuracy and learning rate, as far as they were measured."""
    found = []
    for quantity, name, share in (("loss", "Loss", False), ("accuracy", "Accuracy", True)):
        lines = [
            (title, colour, columns[key])
            for part, title, colour in _PARTS
            if np.isfinite(columns.get(key := f"{part}_{quantity}", np.array([]))).any()
        ]
        if lines:
            found.append(_chart(name, columns["epoch"], lines, best=best, share=share))
    rate = columns.get("learning_rate", np.array([]))
    if np.isfinite(rate).any():
        power = _power(float(np.nanmax(rate)))
        lines = [("learning rate", 2, rate / 10.0**power)]
        found.append(_chart("Learning rate", columns["epoch"], lines, best=best, power=power))
    return found


def _chart(
    name: str,
    epochs: NDArray[np.float64],
    lines: list[tuple[str, int, NDArray[np.float64]]],
    *,
    best: int | None,
    share: bool = False,
    power: int = 0,
) -> Chart:
    first, last = float(epochs.min()), float(epochs.max())
    if first == last:
        first, last = first - 1, last + 1
    top = max(float(np.nanmax(values)) for _, _, values in lines)
    steps = SHARES if share and top > 0.5 else round_steps(top)
    field = Field((first, last), (0, steps[-1]))
    marks = []
    for title, colour, values in lines:
        marks.append(Mark("line", colour, field.line(epochs, values), title))
        if len(epochs) <= _FEW:
            marks.append(Mark("dots", colour, field.dots(epochs, values)))
    if best is not None:
        marks.append(Mark("line dashed", -1, field.line([best, best], field.y), f"epoch {best}, kept"))
    unit = ", %" if share else f", 10{str(power).translate(_RAISED)}" if power else ""
    told = [_ends(title, values, share=share) for title, _, values in lines]
    return Chart(
        name=name,
        description=f"{name}{unit} over {len(epochs):,} epochs: {'; '.join(told)}. Numbers are in the table.",
        x=field.ticks("x", _epochs(epochs)),
        y=field.ticks("y", steps, percent=share),
        x_label="epoch",
        y_label=f"{name.lower()}{unit}",
        marks=tuple(marks),
    )


def _power(value: float) -> int:
    """Return the power of ten that small numbers are told in; 0 of those that need none."""
    return int(np.floor(np.log10(value))) if 0 < value < 0.1 else 0


def _ends(title: str, values: NDArray[np.float64], *, share: bool) -> str:
    """Return where a line begins and ends, in words."""
    known = values[np.isfinite(values)]
    first, last = (tell(float(each), percent=share).value for each in (known[0], known[-1]))
    return f"{title} from {first} to {last}"


def _epochs(epochs: NDArray[np.float64]) -> list[float]:
    """Return at most six epochs to be named, whole and evenly apart."""
    first, last = float(epochs.min()), float(epochs.max())
    step = next(
        size * part
        for size in (10**power for power in range(12))
        for part in (1, 2, 5)
        if (last - first) / (size * part) <= 6
    )
    return [float(each) for each in np.arange(np.ceil(first / step) * step, last + 0.5, step)]


_TITLES = {
    "learning_rate": "learning rate",
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy",
    "seconds": "time",
    "images_per_second": "images a second",
}


def _titles(columns: Columns) -> list[str]:
    return [title for name, title in _TITLES.items() if name in columns]


def _rows(columns: Columns, best: int | None) -> list[dict[str, Any]]:
    names = [name for name in _TITLES if name in columns]
    return [
        {
            "epoch": f"{epoch:g}",
            "best": epoch == best,
            "cells": [_cell(name, float(columns[name][place])) for name in names],
        }
        for place, epoch in enumerate(columns["epoch"].tolist())
    ]


def _cell(name: str, value: float) -> str:
    if not np.isfinite(value):
        return "n/a"
    if name.endswith("accuracy"):
        return per_cent(value)
    if name == "seconds":
        return duration(value)
    if name == "images_per_second":
        return f"{value:,.0f}"
    return f"{value:.3g}" if name == "learning_rate" else f"{value:.3f}"


def _flat(settings: Any, before: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - whatever JSON holds
    """Yield settings by their names as `--set` takes them, such as `optimizer.lr`."""
    for name, value in settings.items() if isinstance(settings, dict) else ():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _recipe(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for title, names in _MAIN:
        idle = _WHOLE if names[0] == "seed" else _IDLE
        parts = [(name, settings[name]) for name in names if settings.get(name) not in idle]
        if title == "images a step":
            parts = [(name, value) for name, value in parts if (name, value) != ("accumulate", 1)]
        if parts:
            told = [_value(value) if name == names[0] else _named(name, value) for name, value in parts]
            rows.append((title, ", ".join(told)))
    return rows


def _named(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a setting is
    word = name.rpartition(".")[2].replace("_", " ")
    return word if value is True else f"{word} {_value(value)}"


def _value(value: Any) -> str:  # noqa: ANN401 - whatever a setting is
    if value is None:
        return "by default"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else shown(str(value)) if value != "" else "none"
