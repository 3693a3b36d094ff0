"""The options of every command that writes figures: where they will be printed, and as what files."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, Literal

import typer

__all__ = ["Formats", "Venue", "Width", "for_a_paper"]

_PANEL = "Figures"

Venue = Annotated[
    str | None,
    typer.Option(
        "--venue",
        help="neurips, iclr, icml, cvpr, ieee, acl, nature or slides.",
        show_default="neurips",
        rich_help_panel=_PANEL,
    ),
]
Width = Annotated[
    Literal["column", "page"] | None,
    typer.Option(
        "--width", help="As wide as a column, or as the page.", show_default="column", rich_help_panel=_PANEL
    ),
]
Formats = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Any of pdf, svg, png and pgf, with commas between.",
        show_default="pdf,png",
        rich_help_panel=_PANEL,
    ),
]


def for_a_paper(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--venue`, `--width` and `--format` to a command, and run it in the style that they ask for.

    They are judged before the command does anything.
    """

    @wraps(command)
    def run(
        *args: Any,  # noqa: ANN401 - the command's own
        venue: str | None = None,
        width: Literal["column", "page"] | None = None,
        formats: str | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        if venue is None and width is None and formats is None:
            command(*args, **kwargs)
            return
        from vitscope.figures.style import paper_style

        kinds = [kind.strip() for kind in (formats or "pdf,png").split(",")]
        with paper_style(venue or "neurips", width or "column", formats=kinds):
            command(*args, **kwargs)

    own = signature(command, eval_str=True)
    added = {"venue": Venue, "width": Width, "formats": Formats}
    parameters = [
        *own.parameters.values(),
        *(
            Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in added.items()
        ),
    ]
    # Typer reads a command's options from both.
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": None}
    return run
