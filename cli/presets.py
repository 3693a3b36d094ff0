"""`vitscope presets`."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitscope.cli.console import plain, result, result_json
from vitscope.cli.options import Json

if TYPE_CHECKING:
    from vitscope.trainers.presets import PresetAbout

__all__ = ["presets"]

_WIDTH = 80
_SIZE = re.compile(r"([0-9.]+) M parameters, ([0-9.]+) ([MG]) multiply-adds an image")


def presets(
    name: Annotated[
        str | None, typer.Argument(help="One preset: its YAML, for --config.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """List the presets of `vitscope train`: model, data, epochs, and the accuracies published and measured.

    Example: vitscope presets vit-tiny > mine.yaml
    """
    from vitscope.trainers.presets import preset_about, preset_names, preset_text

    if name is not None and not json:
        result(preset_text(name).rstrip("\n"))
        return
    rows = [_row(preset_about(each)) for each in (preset_names() if name is None else [name])]
    if json:
        result_json({"presets": rows} if name is None else rows[0])
    else:
        _list(rows)
        result("vitscope train PRESET trains it; vitscope presets PRESET prints its settings.")


def _row(about: PresetAbout) -> dict[str, Any]:
    from vitscope.trainers.settings import parse_settings

    settings = parse_settings(about.settings)
    found = _SIZE.fullmatch(about.size)
    return {
        "name": about.name,
        "summary": about.summary,
        "model": settings.model.name,
        "data": settings.data.source,
        "size": about.size,
        "epochs": settings.epochs,
        "million_parameters": None if found is None else float(found[1]),
        "million_multiply_adds": None if found is None else float(found[2]) * {"M": 1, "G": 1000}[found[3]],
        "source": about.source,
        "expected": about.expected,
        "time": about.time,
        "settings": settings.model_dump(),
    }


def _list(rows: list[dict[str, Any]]) -> None:
    """Print a line a preset, and what is known of its accuracy below."""
    name, model, data = (max(len(key), *(len(row[key]) for row in rows)) for key in ("name", "model", "data"))
    result(f"{'preset':{name}}  {'model':{model}}  {'data':{data}}  epochs")
    for row in rows:
        texts = f"{row['name']:{name}}  {row['model']:{model}}  {row['data']:{data}}"
        result(f"{texts}  {row['epochs']:>6}")
        for text in (row["size"], row["expected"], f"time: {row['time']}"):
            for line in textwrap.wrap(plain(text), _WIDTH - 4, break_long_words=False):
                result(f"    {line}")
    result()
