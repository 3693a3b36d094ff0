"""The options of `vitscope evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "Alpha",
    "BatchSize",
    "Bins",
    "Calibrate",
    "Classes",
    "Corruptions",
    "Data",
    "EvaluatedSplit",
    "Foreign",
    "Half",
    "HeldOut",
    "Kinds",
    "LabelIssues",
    "Labels",
    "Limit",
    "Logits",
    "Method",
    "Probabilities",
    "Source",
    "Superclasses",
    "Verbose",
    "Weights",
]

_ANALYSES, _FILES, _RUN, _OUTPUT = "Analyses", "Predictions and weights", "How it runs", "Output"

Source = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="best.pth, FILE.safetensors, timm:NAME, torchvision:NAME, hf:NAME, or a predictions or "
        "evaluation folder. Without it: $VITSCOPE_CHECKPOINT, ./best.pth or the newest run's.",
        show_default=False,
    ),
]
Data = Annotated[
    str | None, typer.Option("--data", help="Other images than the checkpoint's own: a name or a folder.")
]
EvaluatedSplit = Annotated[
    Literal["train", "validation", "test"], typer.Option("--split", help="Which part of the data.")
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        help="Fit a temperature on the validation images; report before and after.",
        rich_help_panel=_ANALYSES,
    ),
]
Alpha = Annotated[
    float | None,
    typer.Option(
        "--conformal",
        metavar="ALPHA",
        help="Prediction sets that miss the true class in a share ALPHA of images, such as 0.1.",
        rich_help_panel=_ANALYSES,
    ),
]
Method = Annotated[
    Literal["lac", "aps", "raps"],
    typer.Option("--conformal-method", help="The score that makes the sets.", rich_help_panel=_ANALYSES),
]
Superclasses = Annotated[
    str | None,
    typer.Option(
        "--superclasses", help="cifar100, or a CSV or JSON file of groups.", rich_help_panel=_ANALYSES
    ),
]
Foreign = Annotated[
    list[str] | None,
    typer.Option(
        "--ood",
        help="Images of no known class: a name or a folder; may be repeated.",
        rich_help_panel=_ANALYSES,
    ),
]
Corruptions = Annotated[
    bool,
    typer.Option(
        "--corruptions",
        help="Errors on fifteen kinds of corrupted images, each at five severities.",
        rich_help_panel=_ANALYSES,
    ),
]
Kinds = Annotated[
    str | None,
    typer.Option(
        "--kinds",
        help="Other corruptions than the fifteen: kinds, families, or all, such as fog,noise.",
        rich_help_panel=_ANALYSES,
    ),
]
HeldOut = Annotated[
    str | None,
    typer.Option(
        "--held-out",
        help="Images to fit on, a name or a folder; the validation part of the model's data without it.",
        rich_help_panel=_ANALYSES,
    ),
]
LabelIssues = Annotated[
    bool,
    typer.Option(
        "--label-issues", help="List the images whose labels are doubtful.", rich_help_panel=_ANALYSES
    ),
]
Bins = Annotated[
    int,
    typer.Option(
        "--bins", min=1, max=10_000, help="Bins of the calibration errors.", rich_help_panel=_ANALYSES
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="A file with the weights of a timm:, torchvision: or hf: model.",
        rich_help_panel=_FILES,
    ),
]
Logits = Annotated[
    list[Path] | None,
    typer.Option(
        "--logits", help="A .npy file [image, class], a folder of them, or repeated.", rich_help_panel=_FILES
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", help="A .npy or text file, a label an image.", rich_help_panel=_FILES),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        "--classes", help="The class names: a text file, a name a line, or JSON.", rich_help_panel=_FILES
    ),
]
Probabilities = Annotated[
    bool,
    typer.Option("--probabilities", help="--logits holds probabilities.", rich_help_panel=_FILES),
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, help="Images at a time.", rich_help_panel=_RUN)
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        help="A trial on so many images of each set, drawn class by class.",
        rich_help_panel=_RUN,
    ),
]
Half = Annotated[
    bool, typer.Option("--half", help="Keep logits as float16: half the disk.", rich_help_panel=_RUN)
]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Say how long each part took.", rich_help_panel=_OUTPUT)
]
