"""The options that `attention` and `explain` share, and some of them `faithfulness` and `inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vitscope.cli.options import Split

__all__ = [
    "Checkpoint",
    "Classes",
    "Data",
    "Evaluate",
    "Images",
    "Index",
    "MethodName",
    "MethodNames",
    "Overlays",
    "PoolName",
    "SplitOfIndex",
    "TargetNames",
    "Weights",
]

_DATA, _MODEL = "Data", "Model"

Images = Annotated[
    list[str] | None, typer.Argument(help="Image files, folders or glob patterns.", show_default=False)
]
MethodName = Annotated[
    str | None, typer.Option("--method", help="Any method of `vitscope explain --list`.", show_default=False)
]
MethodNames = Annotated[
    str | None,
    typer.Option(
        "--methods", metavar="A,B,…", help="Several: a row an image, a column a method.", show_default=False
    ),
]
TargetNames = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="CLASS",
        help="The class to explain: a name, a number, predicted, or true (with --index). "
        "Repeated: the maps side by side, in one scale.",
        show_default="predicted",
    ),
]
Evaluate = Annotated[
    bool,
    typer.Option("--evaluate", help="Score the maps beside a random and a centred one: are they faithful?"),
]
Overlays = Annotated[
    bool,
    typer.Option(
        "--overlays",
        help="Also each map over its picture as a PNG of the picture's own size.",
        rich_help_panel="Output",
    ),
]
Index = Annotated[
    str | None, typer.Option("--index", help="Images of the checkpoint's own data, like 0-7 or 3,5.")
]
Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        help="best.pth, FILE.safetensors, timm:NAME, torchvision:NAME or hf:NAME; $VITSCOPE_CHECKPOINT, "
        "./best.pth or the newest run's otherwise.",
        show_default=False,
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="A file with the weights of a timm:, torchvision: or hf: model.",
        rich_help_panel=_MODEL,
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        "--classes", help="The class names: a text file, a name a line, or JSON.", rich_help_panel=_MODEL
    ),
]
PoolName = Annotated[
    Literal["cls", "mean"] | None,
    typer.Option(
        "--pool",
        help="What the head reads: cls, the class token, or mean, of the patches.",
        show_default="as the model tells",
        rich_help_panel=_MODEL,
    ),
]
SplitOfIndex = Annotated[
    Split, typer.Option("--split", help="Of --index: which part of the data.", rich_help_panel=_DATA)
]
Data = Annotated[
    str | None,
    typer.Option("--data", help="Of --index: other data, a name or a folder.", rich_help_panel=_DATA),
]
