"""What a command is about: the checkpoint, the data and the images that its arguments name."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.cli.console import talk
from vitscope.errors import ImageError, InputError, UsageError
from vitscope.paths import check_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vitscope.cli.options import Split
    from vitscope.data.sources import DataSpec
    from vitscope.inference.classifier import Classifier

__all__ = [
    "check_out",
    "data_of",
    "find_checkpoint",
    "find_class",
    "find_images",
    "find_model",
    "parse_indices",
    "parse_parts",
]


def check_out(out: Path | None, *, overwrite: bool) -> None:
    """Refuse an output folder that exists, before anything heavy is imported.

    Raises:
        UsageError: `--overwrite` without `--out`.
        OutputError: The folder exists and may not be replaced.
    """
    if out is not None:
        check_output(out, overwrite=overwrite)
    elif overwrite:
        raise UsageError("--overwrite needs --out", hint="without --out, a new folder is made each time")


def find_checkpoint(given: Path | None, *, quiet: bool = False) -> Path:
    """Return the checkpoint to use, and say which unless it was given.

    In this order: the one given, `$VITSCOPE_CHECKPOINT`, `./best.pth`, the newest run's below `./runs`.

    Raises:
        InputError: There is none of these.
    """
    if given is not None:
        return given
    named = os.environ.get("VITSCOPE_CHECKPOINT")
    if named:
        found, why = Path(named), "from $VITSCOPE_CHECKPOINT"
    elif Path("best.pth").exists():
        found, why = Path("best.pth"), "here"
    else:
        runs = sorted(Path("runs").glob("*/best.pth"), key=lambda path: path.stat().st_mtime)
        if not runs:
            raise InputError(
                "there is no checkpoint here: neither best.pth nor one below runs/",
                hint="name one, or make one with: vitscope train",
            )
        found, why = runs[-1], "the newest run's"
    talk(f"checkpoint: {found} ({why})", quiet=quiet)
    return found


def find_model(given: str | None, *, quiet: bool = False) -> str:
    """Return the model to use, a file or a name, and say which unless it was given; see `find_checkpoint`.

    Raises:
        InputError: There is none.
    """
    return given if given is not None else str(find_checkpoint(None, quiet=quiet))


def data_of(model: Classifier, given: str | None, split: Split) -> DataSpec:
    """Return where the images are: what was given, else what the checkpoint was trained on.

    A folder that is given, is not the checkpoint's own and is not divided is a test split throughout.

    Raises:
        InputError: The model does not know its data, and none is given.
    """
    from dataclasses import replace

    from vitscope.data.sources import DataSpec

    if model.data is None:
        if given is None:
            raise InputError(f"{model.name} does not know its data", hint="name the images with --data")
        return DataSpec(source=given, test=1.0) if split == "test" else DataSpec(source=given)
    if given is None:
        return model.data
    foreign = os.path.realpath(given) != os.path.realpath(model.data.source)
    test = 1.0 if foreign and split == "test" else model.data.test
    return replace(model.data, source=given, test=test)


def find_images(arguments: Iterable[str]) -> list[Path]:
    """Return the image files that the arguments name: files, folders (searched below) and glob patterns.

    Raises:
        UsageError: An argument is empty.
        ImageError: An argument names none.
    """
    found: list[Path] = []
    for argument in arguments:
        if not argument:
            raise UsageError("an image's name is empty", hint="is a variable of your shell not set?")
        if os.path.lexists(argument):
            matches = _below(argument) if os.path.isdir(argument) else [Path(argument)]
        else:
            hits = sorted(glob.glob(_pattern(argument), recursive=True))
            matches = [
                image for hit in hits for image in (_below(hit) if os.path.isdir(hit) else _images([hit]))
            ]
        if not matches:
            raise ImageError(
                f"{argument} is no image, and no folder or pattern that holds one",
                hint="images of the checkpoint's own data are named with --index 0-7",
            )
        found += matches
    return found


def _below(folder: str) -> list[Path]:
    files = (str(item) for item in sorted(Path(folder).rglob("*")) if item.is_file())
    return _images(files)


def _images(files: Iterable[str]) -> list[Path]:
    from vitscope.data.images import IMAGE_SUFFIXES

    paths = (Path(file) for file in files)
    return [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")]


def _pattern(argument: str) -> str:
    """Return the pattern with the part that exists as it stands, brackets and all, taken literally."""
    path = Path(argument)
    known = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if not os.path.lexists(known / part):
            break
        known /= part
    return os.path.join(glob.escape(str(known)), str(path.relative_to(known)))  # noqa: PTH118


def parse_indices(text: str, count: int) -> list[int]:
    """Return the indices that a text like `0-7` or `3,5,10-12` names.

    Raises:
        UsageError: The text is not of this form, or an index is out of range.
    """
    indices: list[int] = []
    for part in text.split(","):
        form = re.fullmatch(r"\s*([0-9]{1,12})(?:-([0-9]{1,12}))?\s*", part)
        if form is None:
            raise UsageError(f"expected --index like 0-7 or 3,5,10-12, got {text[:80]!r}")
        first, last = int(form[1]), int(form[2] or form[1])
        if first > last:
            raise UsageError(f"--index {part.strip()} counts backwards", hint=f"write {last}-{first}")
        if last >= count:
            raise UsageError(
                f"--index {part.strip()} is out of range: there are {count} images, 0-{count - 1}"
            )
        indices += range(first, last + 1)
    return indices


def find_class(classes: Sequence[str], text: str) -> int:
    """Return the class that a text names: by its name, letter for letter, else by its number from 0.

    Raises:
        UsageError: There is no such class; the hint has the nearest name.
    """
    if text in classes:
        return list(classes).index(text)
    if text.isascii() and text.isdigit() and int(text[:18]) < len(classes):
        return int(text[:18])
    from difflib import get_close_matches

    near = get_close_matches(text.casefold(), [name.casefold() for name in classes], n=1, cutoff=0.5)
    nearest = next((name for name in classes if near and name.casefold() == near[0]), "")
    raise UsageError(
        f"the model has no class {text[:80]!r}: it has {len(classes)}, 0 to {len(classes) - 1} by number",
        hint=f"did you mean {nearest}?" if nearest else f"such as {', '.join(classes[:3])}"[:160],
    )


def parse_parts(text: str, option: str) -> tuple[tuple[int, int], ...]:
    """Return the first and last of each part of a text like `0-5`, `-1` or `0,3,6-8`; negative from the end.

    `all` is one part, and nothing none.

    Raises:
        UsageError: The text is not of this form.
    """
    if text.strip() in ("", "all"):
        return ((0, -1),) if text.strip() else ()
    parts = []
    for part in text.split(","):
        form = re.fullmatch(r"\s*(-?[0-9]{1,6})(?:-(-?[0-9]{1,6}))?\s*", part)
        if form is None:
            raise UsageError(f"expected {option} like 0-5, -1 or 0,3,6-8, got {text[:80]!r}")
        parts.append((int(form[1]), int(form[2] or form[1])))
    return tuple(parts)
