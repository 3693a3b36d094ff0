"""`vitscope attention`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vitscope.cli.console import progress_bar, result_json, table, talk
from vitscope.cli.options import Device, Json, Out, Overwrite, Quiet, Split
from vitscope.cli.subjects import check_out, data_of, find_checkpoint, find_images, parse_indices
from vitscope.errors import UsageError
from vitscope.paths import fresh_path

if TYPE_CHECKING:
    from vitscope.data.imageset import ImageSet
    from vitscope.report.attention import Subject

__all__ = ["attention"]


def attention(
    images: Annotated[
        list[str] | None, typer.Argument(help="Image files, folders or glob patterns.", show_default=False)
    ] = None,
    rollout: Annotated[
        bool, typer.Option("--rollout", help="Attention through all layers (the default).")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The class token's attention, a panel a head.")] = False,
    layer: Annotated[
        int | None,
        typer.Option("--layer", help="Of --raw: 0 is the first, -1 the last.", show_default="the last"),
    ] = None,
    index: Annotated[
        str | None, typer.Option("--index", help="Images of the checkpoint's own data, like 0-7 or 3,5.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", help="$VITSCOPE_CHECKPOINT, ./best.pth or the newest run's otherwise."),
    ] = None,
    out: Out = None,
    device: Device = "auto",
    split: Annotated[
        Split,
        typer.Option("--split", help="Of --index: which part of the data.", rich_help_panel="Data"),
    ] = "test",
    data: Annotated[
        str | None,
        typer.Option("--data", help="Of --index: other data, a name or a folder.", rich_help_panel="Data"),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a transformer attends to: the picture, the map, and both over each other.

    Example: vitscope attention --rollout img.png
    """
    if not images and index is None:
        raise UsageError(
            "there is no image to look at",
            hint="name image files, or --index 0-7 for the checkpoint's own data",
        )
    method = _method(rollout=rollout, raw=raw, layer=layer)
    check_out(out, overwrite=overwrite)
    files = find_images(images or ())
    path = find_checkpoint(checkpoint, quiet=quiet)
    from vitscope.data.sources import load_split
    from vitscope.inference.classifier import load
    from vitscope.report.attention import report_attention

    model = load(path, device=device)
    own = None if index is None else load_split(data_of(model, data, split), split)
    subjects = _from_files(files) + ([] if own is None else _from_data(own, index or ""))
    folder = out if out is not None else fresh_path(path.parent / f"attention-{method}")
    with progress_bar("drawing", len(subjects), quiet=quiet) as progress:
        report = report_attention(
            model,
            subjects,
            folder,
            method=method,
            layer=-1 if layer is None else layer,
            overwrite=overwrite,
            images=own,
            progress=progress,
        )
    if json:
        result_json({"folder": str(report.folder), "checkpoint": str(path), "images": list(report.rows)})
        return
    rows = [(row["name"], row["predicted"], f"{row['confidence']:.1%}", row["figure"]) for row in report.rows]
    table([("image", "predicted", "confidence", "figure"), *rows])
    talk(f"written to {report.folder}, PDF and PNG, and the maps as heatmaps.npz", quiet=quiet)


def _method(*, rollout: bool, raw: bool, layer: int | None) -> Literal["raw", "rollout"]:
    if rollout and raw:
        raise UsageError("--rollout and --raw cannot be given together")
    if layer is not None and not raw:
        raise UsageError("--layer is for --raw: rollout goes through all layers")
    return "raw" if raw else "rollout"


def _from_files(files: list[Path]) -> list[Subject]:
    """Return the files as subjects, once each of them says that it is an image."""
    from vitscope.data.images import probe_image, read_image
    from vitscope.report.attention import Subject

    for file in files:
        probe_image(file)
    return [Subject(str(file), partial(read_image, file)) for file in files]


def _from_data(images: ImageSet, index: str) -> list[Subject]:
    from vitscope.report.attention import Subject

    chosen = parse_indices(index, len(images))
    name = f"{images.name}-{images.split}"
    return [Subject(f"{name}-{number}", partial(images.image, number)) for number in chosen]
