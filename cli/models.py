"""`vitscope models`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitscope.cli.console import result, result_json, table
from vitscope.cli.options import Json

if TYPE_CHECKING:
    from vitscope.inference.sizes import ModelSize

__all__ = ["models"]


def models(
    name: Annotated[
        str | None,
        typer.Argument(help="One model, also timm:NAME or torchvision:NAME.", show_default=False),
    ] = None,
    image_size: Annotated[int, typer.Option("--size", min=4, max=1024, help="Pixels a side.")] = 32,
    classes: Annotated[int, typer.Option("--classes", min=1, max=100_000, help="How many classes.")] = 10,
    json: Json = False,
) -> None:
    """List the models that can be trained: parameters, multiply-adds, and the options with their defaults.

    Example: vitscope models --size 224 --classes 1000
    """
    from vitscope.inference.sizes import model_size
    from vitscope.models.registry import MODELS

    form = {"image_size": image_size, "classes": classes}
    sizes = [model_size(each, **form) for each in (MODELS if name is None else [name])]
    if json:
        rows = [size.metrics() for size in sizes]
        result_json(form | {"models": rows} if name is None else form | rows[0])
        return
    table([_HEAD, *map(_row, sizes)])
    result(f"at {image_size}x{image_size} pixels in colour and {classes:,} classes")
    result()
    for size in sizes:
        result(f"{size.name}: {size.summary}" if size.summary else size.name)
        if size.options:
            result(textwrap.fill(_options(size.options), 78, initial_indent="  ", subsequent_indent="  "))
    if name is None:
        result()
        result("Options are set with --set model.OPTION=VALUE. Networks of other libraries")
        result("are models, too: --set model.name=timm:NAME or torchvision:NAME.")


_HEAD = ("model", "parameters", "multiply-adds", "attention")


def _row(size: ModelSize) -> tuple[str, ...]:
    attention = {True: "yes", False: "no", None: "unknown"}[size.attention]
    return size.name, f"{size.parameters / 1e6:,.2f} M", f"{size.multiply_adds / 1e6:,.0f} M", attention


def _options(options: dict[str, Any]) -> str:
    return "  ".join(f"{name}={value}" for name, value in options.items())
