"""Files that a page is made of: read as what vitscope writes, or refused in one line."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vitscope.errors import InputError, VitscopeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_json", "reading"]


def read_json(path: Path, *, maker: str) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Args:
        path: The file.
        maker: The command that makes its folder.

    Raises:
        InputError: It is damaged.
    """
    with reading(path, maker=maker):
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise TypeError("it holds no object")
    return value


@contextmanager
def reading(path: Path, *, maker: str) -> Iterator[None]:
    """Hold what goes wrong in the block to be the fault of the file or folder that is read there.

    Args:
        path: The file or folder.
        maker: The command that makes it.

    Raises:
        InputError: It lacks something, or something in it is not of the form that it has to be.
    """
    try:
        yield
    except (
        VitscopeError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else error
        hint = f"remove it, or make it again with `vitscope {maker}`"
        raise InputError(f"{path} is damaged: {what}", hint=hint) from error
