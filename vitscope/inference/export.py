"""Exporting a classifier for other programs, each file checked against the model before it is there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from vitscope.errors import InputError, OutputError, UsageError
from vitscope.inference.onnx_export import check_onnx, export_onnx
from vitscope.inference.tensor_export import export_tensors
from vitscope.inference.timm_export import export_timm
from vitscope.paths import MANIFEST, check_output, staged_folder, write_atomically, write_json

if TYPE_CHECKING:
    from vitscope.inference.classifier import Classifier

__all__ = ["Export", "ExportFormat", "check_export", "export_model"]

ExportFormat = Literal["safetensors", "onnx", "timm"]


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes:
        format: `safetensors`, `onnx` or `timm`.
        path: The file, or the folder of timm.
        bytes: Its size.
        model: The architecture.
        classes: How many classes it tells apart.
        half: Whether the weights are in half precision.
        largest_difference: Between its logits and the model's, over five images of every kind.
        details: What the format needs to be used: see `export_onnx`, `export_tensors`, `export_timm`.
    """

    format: str
    path: Path
    bytes: int
    model: str
    classes: int
    half: bool
    largest_difference: float
    details: dict[str, Any] = field(default_factory=dict)

    def metrics(self) -> dict[str, Any]:
        """Return the fields, as JSON can hold them."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "details"}
        return values | self.details | {"path": str(self.path)}


def check_export(
    path: Path, kind: ExportFormat, *, half: bool = False, pixels: bool = False, overwrite: bool = False
) -> None:
    """Refuse what cannot be exported, before a model is loaded.

    Raises:
        UsageError: The format is unknown, or the arguments do not go with it.
        OutputError: `path` exists.
        EnvironmentFault: A package is missing.
    """
    if kind not in get_args(ExportFormat):
        raise UsageError(f"expected a format of {', '.join(get_args(ExportFormat))}, got {kind!r}")
    if half and kind == "onnx":
        raise UsageError("half precision is not for onnx", hint="its users convert it for the chip they have")
    if pixels and kind != "onnx":
        raise UsageError(f"pixels as input are for onnx: {kind} holds weights alone")
    if kind == "timm":
        check_output(path, overwrite=overwrite)
        return
    if path.suffix.lower() != f".{kind}":
        raise UsageError(f"expected a file that ends in .{kind}, got {path}")
    if os.path.isdir(path) or (os.path.lexists(path) and not overwrite):
        raise OutputError(f"the output {path} exists", hint="choose another --out, or add --overwrite")
    if kind == "onnx":
        check_onnx()


def export_model(
    model: Classifier,
    path: Path | str,
    kind: ExportFormat,
    *,
    half: bool = False,
    pixels: bool = False,
    overwrite: bool = False,
) -> Export:
    """Write a classifier for other programs.

    What was written is read again, by the library that will read it, and gives the same logits for five
    images of every kind; otherwise nothing is left.

    Args:
        model: On the CPU.
        path: The file, or the folder of timm.
        kind: `safetensors`: the weights and a note, which `load` and `vitscope evaluate` read;
            `onnx`: the computation, for ONNX Runtime and others; `timm`: a folder for
            `timm.create_model("local-dir:FOLDER", pretrained=True)`.
        half: Keep the weights in float16 (not for onnx).
        pixels: Take uint8 pixels and scale them inside (onnx alone).
        overwrite: Replace what lies at `path`.

    Raises:
        UsageError: The arguments do not go together.
        InputError: The model cannot be exported so, or what was written gives other logits.
        NotFiniteError: A weight is not finite, or too large for half precision.
        OutputError: `path` exists.
        EnvironmentFault: A package is missing, or it cannot be written.
    """
    path = Path(path)
    check_export(path, kind, half=half, pixels=pixels, overwrite=overwrite)
    if model.device.type != "cpu":
        raise InputError(f"expected a model on the CPU, got one on {model.device}", hint="load it with cpu")
    with torch.random.fork_rng(devices=[]):  # networks that are built to compare draw weights first
        if kind == "timm":
            details = _timm_folder(model, path, half=half, overwrite=overwrite)
        else:
            with write_atomically(path) as temporary:
                if kind == "onnx":
                    details = export_onnx(model, temporary, pixels=pixels)
                else:
                    details = export_tensors(model, temporary, half=half)
    return Export(
        format=kind,
        path=path,
        bytes=_size(path),
        model=model.architecture or model.name,
        classes=len(model.classes),
        half=half,
        largest_difference=details.pop("largest_difference"),
        details=details,
    )


def _timm_folder(model: Classifier, path: Path, *, half: bool, overwrite: bool) -> dict[str, Any]:
    with staged_folder(path, overwrite=overwrite) as stage:
        details = export_timm(model, stage, half=half)
        origin = {"source": model.source, "checkpoint": model.digest, "half": half}
        write_json(stage / MANIFEST, {"format": "vitscope.timm", "version": 1} | origin | details)
    return details


def _size(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
