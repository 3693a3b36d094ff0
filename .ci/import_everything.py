"""Import every module of the installed package; fails where one is lacking or does not import."""

import importlib
import pkgutil
import sys
from pathlib import Path

import vitscope

names = [item.name for item in pkgutil.walk_packages(vitscope.__path__, "vitscope.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
place = Path(vitscope.__file__).resolve()
if "site-packages" not in place.parts:
    sys.exit(f"expected the installed package, got {place}")
for part in ("vitscope.cli.main", "vitscope.trainers.presets", "vitscope.report.evaluation"):
    if part not in names:
        sys.exit(f"{part} is not in the wheel")
presets = importlib.import_module("vitscope.trainers.presets").preset_names()
if "digits" not in presets:
    sys.exit("the presets are not in the wheel")
sys.stdout.write(f"imported {len(names)} modules from {place.parent}, presets: {', '.join(presets)}\n")
