"""The presets: named settings, kept as commented YAML files whose first lines say what to expect of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from typing import Any

import yaml

from vitscope.errors import UsageError

__all__ = ["PresetAbout", "load_preset", "preset_about", "preset_names", "preset_text"]

# A line of a header, or one that goes on with it.
_LINE = re.compile(r"# (summary|size|source|expected|time): (.+)")
_MORE = re.compile(r"#   (\S.*)")


@dataclass(frozen=True)
class PresetAbout:
    """What a preset says of itself.

    Attributes:
        name: Its name.
        summary: What is trained, in one line.
        size: Parameters, and multiply-adds of an image.
        source: Whose recipe it is.
        expected: The accuracy that was published, and ours where it was measured.
        time: How long it takes, where that was measured.
        settings: Its values, nested; what it leaves out has the default of `Settings`.
    """

    name: str
    summary: str
    size: str
    source: str
    expected: str
    time: str
    settings: dict[str, Any]


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets, sorted."""
    folder = resources.files("vitscope.trainers") / "presets"
    return tuple(
        sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))
    )


def load_preset(name: str) -> dict[str, Any]:
    """Return a preset's values; what it leaves out has the default of `Settings`.

    Raises:
        UsageError: There is no preset of that name.
    """
    values: dict[str, Any] = yaml.safe_load(preset_text(name))
    return {"preset": name} | values


def preset_about(name: str) -> PresetAbout:
    """Return what a preset says of itself in its first lines, and its values.

    Raises:
        UsageError: There is no preset of that name.
    """
    about = dict.fromkeys(("summary", "size", "source", "expected", "time"), "")
    key = ""
    for line in preset_text(name).splitlines():
        if found := _LINE.fullmatch(line):
            key = found[1]
            about[key] = found[2]
        elif key and (more := _MORE.fullmatch(line)):
            about[key] += f" {more[1]}"
        else:
            key = ""
    return PresetAbout(name, **about, settings=load_preset(name))


def preset_text(name: str) -> str:
    """Return a preset's file, comments included.

    Raises:
        UsageError: There is no preset of that name.
    """
    names = preset_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        raise UsageError(
            f"unknown preset {name!r}",
            hint=f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}",
        )
    return (resources.files("vitscope.trainers") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
