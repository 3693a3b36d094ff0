"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["Device", "Json", "Out", "Overwrite", "Quiet", "Split"]

_OUTPUT = "Output"

Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_OUTPUT)]
Out = Annotated[
    Path | None, typer.Option("--out", help="The folder to write; beside the checkpoint by default.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what lies in --out.", rich_help_panel=_OUTPUT)
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing on stderr.", rich_help_panel=_OUTPUT)]
Split = Literal["train", "validation", "test"]
