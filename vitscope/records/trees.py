"""Trees: records within records, as plain JSON beside arrays, so that one file holds all of them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["find_named", "named", "pack", "unpack"]

PACKAGES = ("vitscope.analysis.", "vitscope.embedding.", "vitscope.figures.", "vitscope.records.")
"""Where the classes and functions live that a file may name."""


def named(thing: Callable[..., Any]) -> str:
    """Return the name under which `find_named` finds a class or function of the package.

    Raises:
        InputError: It is none that has a name of its own there.
    """
    name = f"{thing.__module__}:{thing.__qualname__}"
    if find_named(name) is not thing:
        raise InputError(f"expected a class or function of vitscope, got {name}")
    return name


def find_named(name: str) -> Any:  # noqa: ANN401 - a class or a function
    """Return the public class or function of a name such as `vitscope.analysis.confusion:Confusion`.

    Raises:
        InputError: There is none, or it is not of the packages that a file may name.
    """
    module, _, attribute = name.partition(":")
    if not module.startswith(PACKAGES) or not attribute.isidentifier() or attribute.startswith("_"):
        raise InputError(f"expected the name of a record or a drawing of vitscope, got {name!r}")
    try:
        found = import_module(module)
    except ImportError as error:
        raise InputError(f"this vitscope has no {module}") from error
    thing = getattr(found, attribute, None)
    # What a module imports for itself, a function of the system among it, is not the module's own.
    if getattr(thing, "__module__", None) != module:
        raise InputError(f"this vitscope has no {name}")
    return thing


def pack(value: Any) -> tuple[Any, dict[str, NDArray[Any]]]:  # noqa: ANN401 - any record
    """Return a value as JSON can hold it, and the arrays that it refers to by name.

    Texts, numbers, None, lists, tuples, dictionaries, arrays, named tuples, and frozen dataclasses of
    vitscope, within each other to any depth; an array that stands in several places is kept once.

    Raises:
        InputError: There is something else in it.
    """
    packing = _Packing()
    return packing.pack(value), packing.arrays


class _Packing:
    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}
        self._places: dict[int, str] = {}

    def pack(self, value: Any) -> Any:  # noqa: ANN401
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, np.ndarray | np.generic):
            return {"array": self._array(value)}
        if isinstance(value, list):
            return [self.pack(each) for each in value]
        if isinstance(value, tuple):
            return self._tuple(value)
        if is_dataclass(value) and not isinstance(value, type):
            held = {item.name: self.pack(getattr(value, item.name)) for item in fields(value)}
            return {"record": named(type(value)), "fields": held}
        if hasattr(value, "items"):
            return {"pairs": [[self.pack(key), self.pack(each)] for key, each in value.items()]}
        raise InputError(f"cannot keep a {type(value).__name__}")

    def _tuple(self, value: tuple[Any, ...]) -> dict[str, Any]:
        parts = [self.pack(each) for each in value]
        if type(value) is tuple:
            return {"tuple": parts}
        return {"record": named(type(value)), "fields": dict(zip(value._fields, parts, strict=True))}  # type: ignore[attr-defined]

    def _array(self, value: NDArray[Any] | np.generic) -> str:
        if value.dtype.kind not in "biufU":
            raise InputError(f"cannot keep an array of {value.dtype}")
        if id(value) not in self._places:
            name = f"a{len(self.arrays)}"
            self.arrays[name] = np.asarray(value)
            self._places[id(value)] = name
        return self._places[id(value)]


def unpack(tree: Any, arrays: dict[str, NDArray[Any]]) -> Any:  # noqa: ANN401
    """Return the value of which `pack` made the tree and the arrays.

    Nothing is run but the constructors of records, with the checks that they make.

    Raises:
        InputError: A record is not of this vitscope, or has other fields.
        KeyError: An array is missing.
    """
    if isinstance(tree, list):
        return [unpack(each, arrays) for each in tree]
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        found = arrays[tree["array"]]
        return found if found.ndim else found[()]
    if "tuple" in tree:
        return tuple(unpack(each, arrays) for each in tree["tuple"])
    if "pairs" in tree:
        return {unpack(key, arrays): unpack(each, arrays) for key, each in tree["pairs"]}
    kind = find_named(tree["record"])
    if not isinstance(kind, type) or not (is_dataclass(kind) or issubclass(kind, tuple)):
        raise InputError(f"expected a record, got {tree['record']}")
    try:
        return kind(**{name: unpack(each, arrays) for name, each in tree["fields"].items()})
    except TypeError as error:
        raise InputError(f"{tree['record']} has other fields in this vitscope: {error}") from error
