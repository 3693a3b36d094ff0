"""Settings from the command line: `key.sub=value`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from vitscope.errors import UsageError
from vitscope.trainers.settings import setting_types, unknown_setting

__all__ = ["apply_overrides", "merge"]


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `change` put over it, section by section.

    >>> merge({"optimizer": {"lr": 1, "name": "sgd"}}, {"optimizer": {"lr": 2}})
    {'optimizer': {'lr': 2, 'name': 'sgd'}}
    """
    merged = dict(base)
    for key, value in change.items():
        below = merged.get(key)
        merged[key] = (
            merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def apply_overrides(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Put `key.sub=value` assignments over nested values; a value is read as YAML: `1e-3`, `true`, `null`.

    Raises:
        UsageError: An assignment has no `=`, or its key is unknown; the nearest known key is suggested.
    """
    merged = dict(values)
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator:
            raise UsageError(
                f"expected key=value, got {assignment!r}", hint="for example --set optimizer.lr=5e-4"
            )
        parts = _known(key.strip()).split(".")
        nested: Any = _value(text, is_text=setting_types()[key.strip()] is str)
        for part in reversed(parts):
            nested = {part: nested}
        merged = merge(merged, nested)
    return merged


def _known(key: str) -> str:
    keys = setting_types()
    if key in keys:
        return key
    inside = [known for known in keys if known.startswith(f"{key}.")]
    if inside:
        raise UsageError(f"{key} is a section, not a setting", hint=f"it has {', '.join(inside)}")
    raise unknown_setting(key)


def _value(text: str, *, is_text: bool) -> Any:  # noqa: ANN401 - whatever YAML can hold; the settings check it
    try:
        value = yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        if is_text:
            return text.strip()
        raise UsageError(f"cannot read the value {text!r}") from error
    if is_text:  # a folder may be called 2024, true or 1e3
        return value if isinstance(value, str) else text.strip()
    if isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 takes 5e-4 for a text
        except ValueError:
            return value
    return value
