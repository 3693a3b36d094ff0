"""What maps are asked for: methods and the classes they explain, checked before a model is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from vitscope.errors import UsageError
from vitscope.explain.methods import find_method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitscope.records.attention import Pool

__all__ = ["Target", "check_request"]

Target = Literal["predicted", "true"] | int
"""A class to explain: an index, or each image's predicted or true class."""


def check_request(
    methods: Sequence[str],
    targets: Sequence[Target | str],
    *,
    evaluate: bool = False,
    pool: Pool | None = None,
) -> None:
    """Refuse methods and targets that do not make sense together.

    Raises:
        UsageError: A method is unknown or named twice, there is none of either, or a class is named that no
            method explains, or several for a method that explains none, or where maps are to be scored; or
            a pool is told that no method reads.
    """
    if not methods or not targets:
        raise UsageError("expected at least one method and one class to explain", hint="relevance, predicted")
    if evaluate and len(targets) > 1:
        raise UsageError("faithfulness is scored for one target", hint="name one")
    found = [find_method(name) for name in methods]
    for method in found:
        if methods.count(method.name) > 1:
            raise UsageError(f"the method {method.name} is named twice", hint="name it once")
        if len(targets) > 1 and not method.per_class:
            raise UsageError(
                f"{method.name} explains no class, so that {len(targets)} targets would have the same map",
                hint="leave it out, or name one target",
            )
    if list(targets) != ["predicted"] and not any(method.per_class for method in found):
        raise UsageError(
            f"a target is for methods that explain a class, and {methods[0]} explains none"
            if len(methods) == 1
            else f"a target is for methods that explain a class: none of {', '.join(methods)} does",
            hint="relevance does; `vitscope explain --list` shows all",
        )
    if pool is not None and not any(method.attends for method in found):
        raise UsageError(
            f"the pool is for methods that read attention, and {methods[0]} does not"
            if len(methods) == 1
            else f"the pool is for methods that read attention: none of {', '.join(methods)} does",
            hint="leave it out",
        )
