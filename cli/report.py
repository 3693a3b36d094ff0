"""`vitscope report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitscope.cli.console import result, result_json, talk
from vitscope.cli.contenders import name_models
from vitscope.cli.options import Json, Quiet
from vitscope.errors import UsageError

__all__ = ["report"]

_PARTS = ("predictions", "evaluation")


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run, evaluation or predictions folders."),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="Where the images are, if not where the folders say: a name or a folder."
        ),
    ] = None,
    names: Annotated[
        str | None, typer.Option("--names", help="What to call the models, with commas between.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="The page's title.", show_default=False)] = "",
    maps: Annotated[
        bool,
        typer.Option(
            "--maps/--no-maps", help="Run the models for attention maps over their confident errors."
        ),
    ] = True,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("report.html"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page in --out.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show one evaluated model, or several, on one page that opens anywhere, offline too.

    Example: vitscope report vit/evaluation-test resnet/evaluation-test --out report.html
    """
    from vitscope.report.page import check_page, report_page

    check_page(out, overwrite=overwrite)
    called = _names(runs, names)
    made = report_page(
        dict(zip(called, runs, strict=True)), out, data=data, maps=maps, title=title, overwrite=overwrite
    )
    for note in made.notes:
        talk(note, quiet=quiet)
    if json:
        about = {"file": str(made.path), "bytes": made.size, "runs": list(made.runs)}
        result_json(about | {"warnings": list(made.notes)})
    else:
        result(f"written to {made.path}: {made.size / 1e6:.1f} MB, {', '.join(made.runs)}")


def _names(runs: list[Path], names: str | None) -> list[str]:
    """Return what to call the runs: as was given, else by the parts in which their folders differ.

    Raises:
        UsageError: There are not as many names as runs, or a run is given twice.
    """
    if len({folder.resolve() for folder in runs}) < len(runs):
        raise UsageError("a run is given twice", hint="name each once")
    if len(runs) > 1:
        return name_models([str(folder) for folder in runs], names)
    if names is not None:
        return [names]
    parts = [part for part in runs[0].absolute().parts if not part.startswith(_PARTS)]
    return [parts[-1]]
