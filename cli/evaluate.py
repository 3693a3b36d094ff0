"""`vitscope evaluate`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitscope.cli.console import progress_bar, result, result_json, table, talk
from vitscope.cli.options import Device, Json, Out, Overwrite, Quiet, Split
from vitscope.cli.subjects import check_out, data_of, find_checkpoint
from vitscope.paths import fresh_path

if TYPE_CHECKING:
    from vitscope.analysis.evaluation import Evaluation

__all__ = ["evaluate"]


def evaluate(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            help="$VITSCOPE_CHECKPOINT, ./best.pth or the newest run's otherwise.", show_default=False
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Other images than the checkpoint's own: a name or a folder.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Which part of the data.")] = "test",
    out: Out = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Images at a time.")] = 256,
    device: Device = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say how long each part took.", rich_help_panel="Output")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Measure a classifier on labelled images: numbers with intervals, tables and figures.

    Example: vitscope evaluate best.pth --split test --json
    """
    began = time.perf_counter()
    check_out(out, overwrite=overwrite)
    path = find_checkpoint(checkpoint, quiet=quiet)
    from vitscope.data.sources import load_split
    from vitscope.inference.classifier import load
    from vitscope.report.evaluation import Stopwatch, report_evaluation

    watch = Stopwatch()
    watch.seconds["import"] = time.perf_counter() - began
    with watch.part("checkpoint"):
        model = load(path, device=device)
    with watch.part("data"):
        images = load_split(data_of(model, data, split), split)
    folder = out if out is not None else fresh_path(path.parent / f"evaluation-{split}")
    talk(f"{model.name} on {images.name}, {split}: {len(images):,} images", quiet=quiet)
    with progress_bar("predicting", len(images), quiet=quiet) as progress:
        report = report_evaluation(
            model, images, folder, overwrite=overwrite, batch_size=batch_size, progress=progress, watch=watch
        )
    watch.seconds["total"] = time.perf_counter() - began
    if verbose:
        talk(
            "seconds: " + ", ".join(f"{part} {seconds:.2f}" for part, seconds in watch.seconds.items()),
            quiet=quiet,
        )
    if json:
        result_json(report.evaluation.metrics() | {"folder": str(report.folder)})
    else:
        _summarise(report.evaluation, report.folder)


def _summarise(evaluation: Evaluation, folder: Path) -> None:
    metrics = evaluation.metrics()
    low, high = metrics["accuracy_interval"]
    result(
        f"accuracy  {metrics['accuracy']:.2%}  (95 % interval {low:.2%} to {high:.2%}, n = {metrics['n']:,})"
    )
    result(
        f"top-5 {metrics['top5']:.2%}, negative log-likelihood {metrics['nll']:.4f}, "
        f"Brier score {metrics['brier']:.4f}, expected calibration error {metrics['ece']:.4f}"
    )
    if metrics["n_not_finite"]:
        result(
            f"{metrics['n_not_finite']:,} images with logits that are not finite are left out of every number"
        )
    measured = [row for row in metrics["per_class"] if row["accuracy"] is not None]
    weakest = sorted(measured, key=lambda row: row["accuracy"])[:5]
    result("\nweakest classes")
    rows = [(row["class"], f"{row['accuracy']:.1%}", f"{row['correct']}/{row['n']}") for row in weakest]
    table([("class", "accuracy", "right"), *rows])
    if pairs := metrics["confusion_pairs"][:5]:
        result("\nmost confused")
        shown = [
            (f"{row['true']} taken for {row['predicted']}", f"{row['share']:.1%}", row["count"])
            for row in pairs
        ]
        table([("pair", "share", "images"), *((pair, share, str(count)) for pair, share, count in shown)])
    result(f"\nwritten to {folder}: metrics.json, tables/, figures/, predictions/")
