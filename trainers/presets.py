"""The presets: named settings, kept as commented YAML files."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from typing import Any

import yaml

from vitscope.errors import UsageError

__all__ = ["load_preset", "preset_names"]


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
    names = preset_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        raise UsageError(
            f"unknown preset {name!r}",
            hint=f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}",
        )
    text = (resources.files("vitscope.trainers") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)
    return {"preset": name} | values
