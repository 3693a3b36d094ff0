"""What a command is about: the checkpoint, the data and the images that its arguments name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.cli.console import talk
from vitscope.errors import ImageError, InputError, UsageError
from vitscope.paths import check_output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vitscope.data.sources import DataSpec
    from vitscope.inference.classifier import Classifier

__all__ = ["check_out", "data_of", "find_checkpoint", "find_images", "parse_indices"]


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
                hint="name one with --checkpoint, or make one with: vitscope train",
            )
        found, why = runs[-1], "the newest run's"
    talk(f"checkpoint: {found} ({why})", quiet=quiet)
    return found


def data_of(model: Classifier, given: str | None) -> DataSpec:
    """Return where the images are: what was given, else what the checkpoint was trained on.

    Raises:
        InputError: Neither is known.
    """
    from dataclasses import replace

    if model.data is None:
        raise InputError("the model does not know its data", hint="name it with --data")
    return model.data if given is None else replace(model.data, source=given)


def find_images(arguments: Iterable[str]) -> list[Path]:
    """Return the image files that the arguments name: files, folders (searched below) and glob patterns.

    Raises:
        ImageError: An argument names none.
    """
    from vitscope.data.images import IMAGE_SUFFIXES

    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            files = (
                item for item in sorted(path.rglob("*")) if item.is_file() and not item.name.startswith(".")
            )
            matches = [item for item in files if item.suffix.lower() in IMAGE_SUFFIXES]
        elif path.exists():
            matches = [path]
        else:
            anchor = Path(path.anchor or ".")
            pattern = str(path.relative_to(path.anchor)) if path.anchor else argument
            matches = sorted(anchor.glob(pattern)) if any(letter in argument for letter in "*?[") else []
        if not matches:
            raise ImageError(f"{argument} is no image, and no folder or pattern that holds one")
        found += matches
    return found


def parse_indices(text: str, count: int) -> list[int]:
    """Return the indices that a text like `0-7` or `3,5,10-12` names.

    Raises:
        UsageError: The text is not of this form, or an index is out of range.
    """
    indices: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"expected --index like 0-7 or 3,5,10-12, got {text!r}")
        indices += range(int(first), int(last if dash else first) + 1)
        if indices and max(indices[-1], int(first)) >= count:
            raise UsageError(f"--index {text} is out of range: there are {count} images, 0-{count - 1}")
    if not indices:
        raise UsageError(f"--index {text} names no image")
    return indices
