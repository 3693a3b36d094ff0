"""The page on training names every setting with its default, and every preset with its recipe."""

import ast
import re
from pathlib import Path

import pytest

from vitscope.trainers.presets import preset_about, preset_names
from vitscope.trainers.settings import parse_settings, setting_types

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def section(title):
    text = PAGE.read_text(encoding="utf-8")
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def rows(title):
    cells = [line.strip("| ").split(" | ") for line in section(title).splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_every_setting_is_there_with_its_default():
    told = rows("Settings")
    assert sorted(told) == sorted(setting_types())
    for key, (default, *_) in told.items():
        value = parse_settings({})
        for part in key.split("."):
            value = getattr(value, part)
        assert ast.literal_eval(default.strip("`")) == value, key


def test_every_choice_is_named():
    for key, kind in setting_types().items():
        choices = re.findall(r"'([^']+)'", str(kind)) if "Literal" in str(kind) else []
        assert all(f"`{choice}`" in rows("Settings")[key][1] for choice in choices), key


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_told(name):
    about = preset_about(name)
    settings = parse_settings(about.settings)
    optimizer = f"{settings.optimizer.name} {settings.optimizer.lr:g}"
    row = [settings.data.source, str(settings.epochs), str(settings.batch_size), optimizer, about.source]
    assert rows("Presets")[name] == row
