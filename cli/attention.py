"""`vitscope attention`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitscope.cli import explanation_options as options
from vitscope.cli.console import progress_bar, result_json, talk
from vitscope.cli.explained import (
    Asked,
    Model,
    Place,
    method_names,
    run_explanation,
    table_of,
)
from vitscope.cli.figure_options import for_a_paper
from vitscope.cli.options import Device, Json, Out, Overwrite, Quiet
from vitscope.cli.subjects import check_out, parse_parts
from vitscope.cli.wanted import Wanted
from vitscope.errors import UsageError
from vitscope.paths import fresh_path

if TYPE_CHECKING:
    from vitscope.records.attention import Pool
    from vitscope.report.attention import AttentionView

__all__ = ["attention"]

_LAYERS = "Layers and heads"


@for_a_paper
def attention(
    images: options.Images = None,
    rollout: Annotated[
        bool, typer.Option("--rollout", help="Attention through all layers (the default).")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The class token's attention, a panel a head.")] = False,
    method: options.MethodName = None,
    methods: options.MethodNames = None,
    target: options.TargetNames = None,
    evaluate: options.Evaluate = False,
    index: options.Index = None,
    checkpoint: options.Checkpoint = None,
    out: Out = None,
    device: Device = "auto",
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers",
            "--layer",
            help="Of --raw and --rollout: like 0-5, -1 or 0,3; 0 is the first, -1 the last.",
            show_default="--raw: the last, --rollout: all",
            rich_help_panel=_LAYERS,
        ),
    ] = None,
    heads: Annotated[
        str | None,
        typer.Option(
            "--heads", help="Of --raw: like 0-2 or 0,5.", show_default="all", rich_help_panel=_LAYERS
        ),
    ] = None,
    grid: Annotated[
        bool,
        typer.Option(
            "--grid",
            help="Raw attention of all layers and heads: a row a layer, a column a head.",
            rich_help_panel=_LAYERS,
        ),
    ] = False,
    animate: Annotated[
        bool,
        typer.Option("--animate", help="Rollout layer by layer, as a GIF too.", rich_help_panel=_LAYERS),
    ] = False,
    split: options.SplitOfIndex = "test",
    data: options.Data = None,
    weights: options.Weights = None,
    classes: options.Classes = None,
    pool: options.PoolName = None,
    overlays: options.Overlays = False,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a transformer attends to: the picture, the map, and both over each other.

    Example: vitscope attention --rollout img.png
    """
    names = _names(rollout=rollout, raw=raw, grid=grid, method=method, methods=methods)
    parts = _Parts(layers, heads, grid, animate, pool)
    parts.check(names)
    panels = raw or parts.named != ""
    for name, given in {"--evaluate": evaluate, "--target": target, "--overlays": overlays}.items():
        if panels and given:
            raise UsageError(
                f"{name} is for whole methods, and does not go with {parts.named or '--raw'}",
                hint=f"leave one of them out; --method {names[0]} is a whole method",
            )
    asked = Asked(names, tuple(target or ("predicted",)), evaluate, overlays, pool)
    wanted = Wanted.found(images, index, split, data)
    asked.check_labels(wanted)
    check_out(out, overwrite=overwrite)
    place = Place(out, overwrite, json, quiet)
    model = Model.found(checkpoint, weights, classes, device, quiet=quiet)
    if panels:
        _panels(model, wanted, place, parts.view(names[0]))
    else:
        run_explanation(model, wanted, asked, place, called="attention")


@dataclass(frozen=True)
class _Parts:
    """Which layers and heads are looked at by themselves, whether they move, and what the head reads."""

    layers: str | None
    heads: str | None
    grid: bool
    animate: bool
    pool: Pool | None

    @property
    def named(self) -> str:
        """The option that asks for it; empty where there is none."""
        given = {
            "--grid": self.grid,
            "--layers": self.layers,
            "--heads": self.heads,
            "--animate": self.animate,
        }
        return next((name for name, value in given.items() if value not in (None, False)), "")

    def check(self, methods: tuple[str, ...]) -> None:
        """Refuse parts that the methods have not.

        Raises:
            UsageError: There are such parts, or a text cannot be read.
        """
        if self.heads is not None:
            if methods != ("raw",):
                raise UsageError(
                    "--heads is for --raw and --grid: other methods fuse the heads",
                    hint="add --raw or --grid",
                )
            parse_parts(self.heads, "--heads")
        if self.layers is not None:
            if methods not in (("raw",), ("rollout",)):
                raise UsageError(
                    f"--layers is for --raw and --rollout, not for {', '.join(methods)}",
                    hint="one of them alone, without --methods",
                )
            parse_parts(self.layers, "--layers")
        if self.animate and methods != ("rollout",):
            raise UsageError(
                "--animate is for --rollout: it shows rollout layer by layer",
                hint="--grid shows raw attention layer by layer",
            )
        if self.animate and self.layers is not None:
            raise UsageError(
                "--animate goes through all layers: leave out --layers", hint="or leave out --animate"
            )

    def view(self, method: str) -> AttentionView:
        """Return what to look at, as the report takes it."""
        from vitscope.report.attention import AttentionView

        return AttentionView(
            method="raw" if method == "raw" else "rollout",
            layers=parse_parts(self.layers or ("all" if self.grid else ""), "--layers"),
            heads=parse_parts(self.heads or "", "--heads"),
            animate=self.animate,
            pool=self.pool,
        )


def _names(
    *, rollout: bool, raw: bool, grid: bool, method: str | None, methods: str | None
) -> tuple[str, ...]:
    given = {
        "--rollout": rollout,
        "--grid" if grid else "--raw": raw or grid,
        "--method": method is not None,
        "--methods": methods is not None,
    }
    ways = [name for name, on in given.items() if on]
    if len(ways) > 1:
        raise UsageError(
            f"{ways[0]} and {ways[1]} cannot be given together",
            hint="several: --methods rollout,raw,relevance",
        )
    if raw or grid:
        return ("raw",)
    return method_names(method, methods) or ("rollout",)


def _panels(model: Model, wanted: Wanted, place: Place, view: AttentionView) -> None:
    """Draw layers, heads or depths, write the folder and tell of it."""
    from vitscope.report.attention import report_attention

    classifier = model.open()
    subjects, own = wanted.subjects(classifier, labelled=False)
    folder = place.out if place.out is not None else fresh_path(model.beside / f"attention-{view.method}")
    with progress_bar("drawing", len(subjects), quiet=place.quiet) as progress:
        report = report_attention(
            classifier,
            subjects,
            folder,
            view=view,
            overwrite=place.overwrite,
            images=own,
            progress=progress,
        )
    if place.json:
        about: dict[str, Any] = {
            "folder": str(report.folder),
            "checkpoint": model.source,
            "methods": [view.method],
        }
        about |= {"heatmaps": {view.method: "heatmaps.npz"}, "images": list(report.rows), "warnings": []}
        result_json(about)
        return
    from vitscope.figures.style import current_style

    table_of(report.rows)
    kinds = f"{current_style().kinds}{', animations as GIF' if view.animate else ''}"
    talk(f"written to {report.folder}, {kinds}, and the maps as heatmaps.npz", quiet=place.quiet)
