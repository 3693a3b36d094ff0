"""Taxonomies: CIFAR-100's twenty superclasses, or those that a file names."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.analysis.superclasses import Superclasses
from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["load_superclasses"]

# As the data set's authors list them, the classes spelt as in its files:
# Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
_CIFAR100 = {
    "aquatic mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food containers": "bottle bowl can cup plate",
    "fruit and vegetables": "apple mushroom orange pear sweet_pepper",
    "household electrical devices": "clock keyboard lamp telephone television",
    "household furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large carnivores": "bear leopard lion tiger wolf",
    "large man-made outdoor things": "bridge castle house road skyscraper",
    "large natural outdoor scenes": "cloud forest mountain plain sea",
    "large omnivores and herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium-sized mammals": "fox porcupine possum raccoon skunk",
    "non-insect invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles 1": "bicycle bus motorcycle pickup_truck train",
    "vehicles 2": "lawn_mower rocket streetcar tank tractor",
}
_KNOWN = {"cifar100": {name: group for group, names in _CIFAR100.items() for name in names.split()}}
_HEADER = ("class", "superclass")
_LARGEST = 64 * 2**20  # bytes of a file that can still be a list of classes
_HINT = f"a CSV file with the columns {','.join(_HEADER)}, or a JSON object of class: superclass"


def load_superclasses(source: Path | str, classes: tuple[str, ...]) -> Superclasses:
    """Return the superclasses of a model's classes, by the name of a data set or from a file.

    A CSV file has the header `class,superclass` and a line a class. A JSON file is one object, of
    `"class": "superclass"` or of `"superclass": ["class", …]`. Every class stands in it exactly once.

    Args:
        source: `cifar100`, whose class names may be spelt with spaces, hyphens or underscores; or the path of
            a CSV or JSON file in UTF-8.
        classes: The model's class names.

    Raises:
        InputError: There is no such file, it cannot be read, or its classes are not the model's.
    """
    if str(source) in _KNOWN:
        return Superclasses.of(classes, _spelt_as(classes, _KNOWN[str(source)]))
    path = Path(source)
    text = _text(path)
    pairs = _json_pairs(path, text) if text.lstrip()[:1] in ("{", "[") else _csv_pairs(path, text)
    found: dict[str, tuple[str, str]] = {}
    known = set(classes)
    for where, name, group in pairs:
        if name in found:
            raise InputError(
                f"expected every class once in {path}, got {name!r} {found[name][0]} and {where}"
            )
        if name not in known:
            raise InputError(
                f"expected classes of the model in {path}, got {name!r} {where}",
                hint=f"the model's classes are {_few(classes)}",
            )
        found[name] = (where, group)
    try:
        return Superclasses.of(classes, {name: group for name, (_, group) in found.items()})
    except InputError as error:
        raise InputError(f"cannot use the superclasses in {path}: {error}", hint=error.hint) from error


def _spelt_as(classes: tuple[str, ...], known: dict[str, str]) -> dict[str, str]:
    """Return the known superclasses by the model's own spelling of its classes."""
    own = {re.sub(r"[-\s]+", "_", name.strip().lower()): name for name in classes}
    return {own.get(name, name): group for name, group in known.items()}


def _text(path: Path) -> str:
    if not path.is_file():
        raise InputError(
            f"expected {', '.join(_KNOWN)} or a file of superclasses, got {str(path)!r}", hint=f"make {_HINT}"
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"expected a list of classes in {path}, got {path.stat().st_size:,} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} as text in UTF-8: {error}", hint=f"give {_HINT}") from error


def _csv_pairs(path: Path, text: str) -> list[tuple[str, str, str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    pairs: list[tuple[str, str, str]] = []
    try:
        header = tuple(cell.strip().lower() for cell in next(reader, []))
        if header != _HEADER:
            raise InputError(
                f"expected the header {','.join(_HEADER)!r} in line 1 of {path}, got {','.join(header)!r}",
                hint=f"give {_HINT}",
            )
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(_HEADER) or not all(cell.strip() for cell in cells):
                raise InputError(
                    f"expected a class and its superclass in line {reader.line_num} of {path}, got {cells}",
                    hint="put names with a comma into double quotes",
                )
            pairs.append((f"in line {reader.line_num}", cells[0], cells[1].strip()))
    except csv.Error as error:
        raise InputError(
            f"line {reader.line_num} of {path} is not CSV: {error}", hint=f"give {_HINT}"
        ) from error
    return pairs


def _json_pairs(path: Path, text: str) -> list[tuple[str, str, str]]:
    try:
        # Pairs and not a dictionary, which would keep the last of two equal keys in silence.
        value = json.loads(text, object_pairs_hook=tuple)
    except (ValueError, RecursionError) as error:
        line = f"line {error.lineno} of " if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{line}{path} is not JSON: {error}", hint=f"give {_HINT}") from error
    if not isinstance(value, tuple):
        raise InputError(f"expected one JSON object in {path}, got a list", hint=f"give {_HINT}")
    return list(_entries(path, value))


def _entries(path: Path, value: tuple[tuple[str, Any], ...]) -> Iterable[tuple[str, str, str]]:
    for key, held in value:
        if isinstance(held, str) and held.strip():
            yield "as a key", key, held.strip()
        elif isinstance(held, list) and held and all(isinstance(name, str) for name in held) and key.strip():
            yield from ((f"in {key!r}", name, key.strip()) for name in held)
        else:
            raise InputError(
                f"expected a superclass or a list of classes under {key!r} in {path}, got {held!r:.60}",
                hint=f"give {_HINT}",
            )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
