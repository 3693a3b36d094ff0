"""`vitscope inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitscope.cli import explanation_options as options
from vitscope.cli.console import progress_bar, result, result_json, table, talk
from vitscope.cli.explained import Model, warn
from vitscope.cli.figure_options import for_a_paper
from vitscope.cli.options import Device, Json, Out, Overwrite, Quiet, Split
from vitscope.cli.subjects import check_out, data_of
from vitscope.errors import UsageError
from vitscope.paths import fresh_path

if TYPE_CHECKING:
    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.report.inspection import InspectionReport, Other

__all__ = ["inspect"]


@for_a_paper
def inspect(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="best.pth, FILE.safetensors, timm:NAME, torchvision:NAME or hf:NAME. "
            "Without it: $VITSCOPE_CHECKPOINT, ./best.pth or the newest run's.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Other images than the checkpoint's own: a name or a folder.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Which part of the data.")] = "test",
    limit: Annotated[int, typer.Option("--limit", min=4, help="Images at most, of each class alike.")] = 500,
    other: Annotated[
        str | None, typer.Option("--with", metavar="MODEL", help="Another model to compare by CKA.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only", help="heads, class-rollout, positions, filters, lens, cka, with commas between."
        ),
    ] = None,
    weights: options.Weights = None,
    classes: options.Classes = None,
    pool: options.PoolName = None,
    out: Out = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look inside a model: what heads do, where they look, what each layer knows, which layers are alike.

    Example: vitscope inspect best.pth --limit 500
    """
    parts = _parts(only, other)
    check_out(out, overwrite=overwrite)
    maker = Model.found(model, weights, classes, device, quiet=quiet)
    from vitscope.report.inspection import report_inspection

    first = maker.open()
    images = _images(first, parts, data, split=split, limit=limit)
    second = None if other is None else _other(maker.source, other, device)
    folder = out if out is not None else fresh_path(maker.beside / f"inspection-{split}")
    if images is not None:
        talk(f"{first.name} on {images.name}, {split}: {len(images):,} images", quiet=quiet)
    with progress_bar("looking", 0 if images is None else len(images), quiet=quiet) as progress:
        report = report_inspection(
            first,
            images,
            folder,
            parts=parts,
            other=second,
            pool=pool,
            overwrite=overwrite,
            progress=progress,
        )
    for part, why in report.inspection.absent.items():
        talk(f"no {part}: {why}", quiet=quiet)
    if json:
        result_json(report.found | {"folder": str(report.folder)})
    else:
        _summarise(report)
        warn(report.found["warnings"], quiet=quiet)


def _parts(only: str | None, other: str | None) -> list[str] | None:
    """Return the parts asked for; None for all that apply.

    Raises:
        UsageError: A part is unknown, or `--with` goes with parts that compare nothing.
    """
    if only is None:
        return None
    from vitscope.explain.plan import PARTS

    parts = [part.strip() for part in only.split(",")]
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise UsageError(f"--only has no {unknown[0]!r}", hint=f"there are {', '.join(PARTS)}")
    if other is not None and "cka" not in parts:
        raise UsageError("--with compares by CKA, which --only leaves out", hint="add cka to --only")
    return parts


def _images(
    model: Classifier, parts: list[str] | None, data: str | None, *, split: Split, limit: int
) -> ImageSet | None:
    from vitscope.data.sources import load_split
    from vitscope.data.split import stratified_subset
    from vitscope.report.inspection import OF_WEIGHTS

    if parts is not None and set(parts) <= set(OF_WEIGHTS):
        return None
    found = load_split(data_of(model, data, split), split)
    return found.take(stratified_subset(found.labels, limit, seed=0))


def _other(source: str, other: str, device: str) -> Other:
    from vitscope.cli.contenders import name_models
    from vitscope.inference.classifier import load
    from vitscope.report.inspection import Other

    one, two = name_models([source, other], None)
    return Other(load(other, device=device), (one, two))


def _summarise(report: InspectionReport) -> None:
    found = report.found
    rows = [*_layers(found)]
    if len(rows) > 1:
        table(rows)
    for name, each in report.similarities.items():
        first, second = each.models
        between = f" of {first} and {second}" if first != second else f" within {first}" if first else ""
        size = f"{len(each.layers)} x {len(each.others)} layers, {each.images:,} images"
        result(f"{name}: linear CKA{between}, {size}")
    result(f"\nwritten to {report.folder}: inspection.json, figures/, tables/, records/")


def _layers(found: dict[str, Any]) -> list[list[str]]:
    """Return a row a block with what is known of it: the means over its heads, and the lens."""
    measures = {
        "entropy": "entropy (nats)",
        "class_entropy": "of the class token",
        "pixel_distance": "distance (pixels)",
    }
    heads, lens = found.get("heads", {}), found.get("lens", {})
    layers = lens.get("layers") or heads.get("layers") or []
    columns: dict[str, list[str]] = {"block": list(layers)}
    for name, title in measures.items():
        if name in heads and len(heads[name]["mean"]) == len(layers):
            columns[title] = [_mean(row) for row in heads[name]["mean"]]
    if lens:
        columns["accuracy"] = [f"{value:.1%}" for value in lens["accuracy"]]
        columns["p of the truth"] = [f"{value:.3f}" for value in lens["true_class"]]
    return [list(columns), *map(list, zip(*columns.values(), strict=True))]


def _mean(row: list[float | None]) -> str:
    known = [value for value in row if value is not None]
    return f"{sum(known) / len(known):.2f}" if known else "n/a"
