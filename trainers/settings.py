"""Every setting of a training run, typed and checked before any work."""

from __future__ import annotations

from difflib import get_close_matches
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from vitscope.errors import UsageError
from vitscope.trainers.sections import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "Settings",
    "parse_settings",
    "read_settings",
    "setting_types",
    "settings_text",
    "unknown_setting",
]


def setting_types(section: type[BaseModel] = Settings, prefix: str = "") -> dict[str, Any]:
    """Return the type of every setting by its dotted name, such as `optimizer.lr`."""
    types: dict[str, Any] = {}
    for name, item in section.model_fields.items():
        kind = item.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            types |= setting_types(kind, f"{prefix}{name}.")
        else:
            types[f"{prefix}{name}"] = kind
    return types


def unknown_setting(key: str) -> UsageError:
    """Return the error for a name that is no setting; the nearest that is one is suggested."""
    keys = setting_types()
    ends = {known.rpartition(".")[2]: known for known in keys}
    near = get_close_matches(key, keys, n=1) or [
        ends[end] for end in get_close_matches(key.rpartition(".")[2], ends, n=1)
    ]
    hint = f"did you mean {near[0]}?" if near else "the config.yaml of any run lists them all"
    return UsageError(f"unknown setting {key!r}", hint=hint)


def parse_settings(values: Mapping[str, Any]) -> Settings:
    """Check nested values and make the settings of them.

    Raises:
        UsageError: A key is unknown or a value is not of its type or range; the first of them is named.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise unknown_setting(place) from error
        shown = shorten(repr(first["input"]), 80, placeholder=" …")
        raise UsageError(f"{place or 'settings'}: {first['msg'].lower()}, got {shown}") from error


def read_settings(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings, unchecked.

    Raises:
        UsageError: The file is missing, is not YAML, or holds no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"cannot read settings from {path}: {reason}") from error
    if not isinstance(values, dict):
        raise UsageError(f"expected settings as `key: value` lines in {path}, got {type(values).__name__}")
    return values


def settings_text(settings: Settings) -> str:
    """Return the settings as YAML, every key with its value."""
    return yaml.safe_dump(settings.model_dump(), sort_keys=False, allow_unicode=True)
