"""`vitscope figures`: the figures of finished folders again, for another venue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitscope.cli.console import progress_bar, result, result_json, talk
from vitscope.cli.figure_options import for_a_paper
from vitscope.cli.options import Json, Quiet
from vitscope.errors import UsageError
from vitscope.paths import check_output

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["figures"]

_SHOWN = 10  # figures that are named in a note


@for_a_paper
def figures(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders that other commands have written.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to write; RUN/figures by default.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace figures in --out that are there already.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw all figures of finished runs again, for a venue.

    Captions, data and LaTeX are written beside each; in RUN/figures they replace those of before, edited
    captions too. Nothing is computed anew, and no model, data set or torch is needed: what each figure was
    drawn from lies in `drawings` beside it.

        vitscope figures runs/latest --venue icml --width column --format pdf,svg
    """
    from vitscope.figures.redrawing import find_drawings, redraw
    from vitscope.figures.style import current_style

    targets = _targets(runs, out)
    if out is not None and not overwrite:
        for target in targets:
            check_output(target, overwrite=False)
    total = sum(len(find_drawings(run)) for run in runs)
    found = []
    with progress_bar("figures", total, quiet=quiet) as progress:
        for run, target in zip(runs, targets, strict=True):
            found.append(redraw(run, target, progress=progress))
    for each in found:
        _note(each.left_out, quiet=quiet)
    if json:
        rows = [
            {
                "run": str(run),
                "out": str(target),
                "figures": list(each.names),
                "left_out": each.left_out,
            }
            for run, target, each in zip(runs, targets, found, strict=True)
        ]
        style = current_style()
        result_json({"venue": style.venue.name, "width": style.extent, "runs": rows})
        return
    for target, each in zip(targets, found, strict=True):
        count = len(each.names)
        result(f"{target}  {count} {'figure' if count == 1 else 'figures'}, {len(each.files)} files")


def _targets(runs: Sequence[Path], out: Path | None) -> list[Path]:
    """Return where each run's figures go: under `--out` each run of several has a folder of its name.

    Raises:
        UsageError: Two runs would go into one folder.
    """
    if out is None:
        return [run / "figures" for run in runs]
    if len(runs) == 1:
        return [out]
    targets = [out / run.resolve().name for run in runs]
    if len(set(targets)) < len(targets):
        raise UsageError(
            "two of the runs have the same name, and one --out cannot hold both",
            hint="draw them one at a time, or leave out --out",
        )
    return targets


def _note(left_out: dict[str, str], *, quiet: bool) -> None:
    if not left_out:
        return
    shown = list(left_out.items())
    for name, why in shown[:_SHOWN]:
        talk(f"note: {name} was left out: {why}", quiet=quiet)
    if len(shown) > _SHOWN:
        talk(f"note: and {len(shown) - _SHOWN} more", quiet=quiet)
    talk("note: run its command again to keep what is needed from now on", quiet=quiet)
