"""`vitscope export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vitscope.cli.console import result, result_json, talk
from vitscope.cli.options import Json, Overwrite, Quiet
from vitscope.cli.subjects import find_model
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from vitscope.inference.export import Export

__all__ = ["export"]

_Format = Literal["safetensors", "onnx", "timm"]


def export(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="best.pth, FILE.safetensors, timm:NAME, torchvision:NAME or hf:NAME. "
            "Without it: $VITSCOPE_CHECKPOINT, ./best.pth or the newest run's.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        _Format | None,
        typer.Option("--format", help="What to write; by the ending of --out where left out."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The file, or timm's folder; beside the checkpoint by default."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Weights in float16: half the size.")] = False,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="onnx: take uint8 pixels, and scale them inside.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="A file with the weights of a named MODEL.", rich_help_panel="Files"),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option("--classes", help="Class names, one a line.", rich_help_panel="Files"),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a model for other programs, checked against the model: safetensors, ONNX, or a folder for timm.

    Example: vitscope export best.pth --format onnx --out best.onnx
    """
    kind = _kind(format, out)
    model = find_model(source, quiet=quiet)
    path = out if out is not None else _beside(model, kind)
    if path.absolute() == Path(model).absolute():
        raise UsageError(f"{path} is the model itself", hint="choose another --out")
    from vitscope.inference.export import check_export, export_model

    check_export(path, kind, half=half, pixels=pixels, overwrite=overwrite)
    from vitscope.inference.classifier import load
    from vitscope.records.arrays import read_names

    names = None if classes is None else read_names(classes)
    classifier = load(model, weights=weights, classes=names)
    talk(f"{classifier.name}: {len(classifier.classes):,} classes", quiet=quiet)
    made = export_model(classifier, path, kind, half=half, pixels=pixels, overwrite=overwrite)
    if json:
        result_json(made.metrics())
    else:
        _tell(made, quiet=quiet)


def _kind(format: _Format | None, out: Path | None) -> _Format:
    if format is not None:
        return format
    kinds: dict[str, _Format] = {".safetensors": "safetensors", ".onnx": "onnx"}
    suffix = "" if out is None else out.suffix.lower()
    if suffix not in kinds:
        raise UsageError("expected --format safetensors, onnx or timm")
    return kinds[suffix]


def _beside(model: str, kind: _Format) -> Path:
    """Return where an export goes by itself: beside the checkpoint, or here for a model by name."""
    path = Path(model)
    base = path.with_suffix("") if path.is_file() else Path(path.name.partition(":")[2] or path.name)
    return base.with_name(f"{base.name}-timm" if kind == "timm" else f"{base.name}.{kind}")


def _tell(made: Export, *, quiet: bool) -> None:
    size, details = f"{made.bytes / 1e6:,.1f} MB", made.details
    result(f"{made.path}: {made.model} as {made.format}, {size}, {made.classes:,} classes")
    apart = f"at most {made.largest_difference:.1e} from" if made.largest_difference else "equal to"
    result(f"logits {apart} the model's, over five images")
    if made.format == "onnx":
        given, found = details["input"], details["output"]
        shapes = [" x ".join(map(str, part["shape"])) for part in (given, found)]
        result(f"opset {details['opset']}; input {given['name']}: {given['type']} {shapes[0]}")
        result(f"output {found['name']}: {found['type']} {shapes[1]}")
    elif made.format == "timm":
        talk(f'timm.create_model("local-dir:{made.path}", pretrained=True)', quiet=quiet)
    else:
        talk(f"next: vitscope evaluate {made.path}", quiet=quiet)
