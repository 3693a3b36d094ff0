"""`vitscope compare`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vitscope.cli.console import progress_bar, result, result_json, table, talk
from vitscope.cli.contenders import name_models, open_contenders, shared_images
from vitscope.cli.figure_options import for_a_paper
from vitscope.cli.options import Device, Json, Overwrite, Quiet, Split
from vitscope.cli.subjects import check_out
from vitscope.paths import fresh_path

if TYPE_CHECKING:
    from vitscope.analysis.comparison import Comparison
    from vitscope.analysis.differences import Difference
    from vitscope.inference.cost import Cost
    from vitscope.report.comparison import ComparisonReport

__all__ = ["compare"]

_COSTS = ("parameters", "multiply-adds", "images/s")
_SHOWN = 5


@for_a_paper
def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="best.pth, a run, predictions or evaluation folder, timm:NAME, torchvision:NAME, hf:NAME.",
        ),
    ],
    data: Annotated[
        str | None, typer.Option("--data", help="Other images than the models' own: a name or a folder.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Which part of the data.")] = "test",
    names: Annotated[
        str | None, typer.Option("--names", help="What to call the models, with commas between.")
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option("--weights", help="A file for each timm:, torchvision: or hf: model, in their order."),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Images at a time.")] = 256,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to write; ./comparison by default.")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare classifiers on the same images: differences with paired intervals, exact tests, agreement.

    Example: vitscope compare vit/best.pth resnet/best.pth --split test
    """
    called = name_models(models, names)
    check_out(out, overwrite=overwrite)
    contenders = open_contenders(models, called, weights=weights or [], device=device)
    images = shared_images(contenders, data, split)
    from vitscope.report.comparison import check_contenders, report_comparison

    check_contenders(contenders, images)
    folder = out if out is not None else fresh_path(Path("comparison"))
    running = sum(each.model is not None for each in contenders)
    total = running * (len(images) if images is not None else 0)
    if running and images is not None:
        talk(
            f"{running} of {len(called)} models on {images.name}, {split}: {len(images):,} images",
            quiet=quiet,
        )
    with progress_bar("predicting", total, quiet=quiet) as progress:
        report = report_comparison(
            contenders, folder, images=images, overwrite=overwrite, batch_size=batch_size, progress=progress
        )
    for note in report.notes:
        talk(note, quiet=quiet)
    if json:
        result_json(report.metrics() | {"folder": str(report.folder)})
    else:
        _summarise(report)


def _summarise(report: ComparisonReport) -> None:
    comparison, metrics = report.comparison, report.metrics()
    head = ["model", "accuracy", "95 % interval", "NLL", "ECE", *_COSTS]
    rows = []
    for row in metrics["models"]:
        low, high = row["accuracy_interval"]
        nll = "infinite" if row["nll"] is None else f"{row['nll']:.4f}"
        measured = (f"{row['accuracy']:.2%}", f"{low:.2%} to {high:.2%}", nll, f"{row['ece']:.4f}")
        rows.append([row["model"], *measured, *_cost(report.costs[row["model"]])])
    table([head, *rows])
    left_out = f"; {comparison.n_left_out:,} left out: not every model's logits of them are finite"
    result(f"\n{comparison.n:,} images{left_out if comparison.n_left_out else ''}")
    result("\ndifference in accuracy (points), McNemar's exact test, adjusted for the number of pairs")
    head = ["pair", "difference", "95 % interval", "only first right", "only second", "p", "adjusted"]
    table([head, *map(_pair, comparison.differences)])
    _classes(comparison)
    result(f"\nwritten to {report.folder}: comparison.json, tables/, figures/")


def _cost(cost: Cost | None) -> list[str]:
    if cost is None:
        return ["-"] * len(_COSTS)
    return [
        f"{cost.parameters / 1e6:,.2f} M",
        f"{cost.multiply_adds / 1e9:,.3f} G",
        f"{cost.images_per_second:,.0f}",
    ]


def _pair(each: Difference) -> list[str]:
    from vitscope.analysis.rounding import rounded_p

    low, high = (100 * float(bound) for bound in each.intervals[0])
    bounds = "n/a" if math.isnan(low) else f"{low:+.2f} to {high:+.2f}"  # NaN: too few discordant images
    return [
        f"{each.model} - {each.reference}",
        f"{100 * float(each.values[0]):+.2f}",
        bounds,
        f"{each.overlap.only_model:,}",
        f"{each.overlap.only_reference:,}",
        rounded_p(each.p),
        rounded_p(each.p_holm),
    ]


def _classes(comparison: Comparison) -> None:
    """Print the classes that differ the most, of those that differ for certain."""
    import numpy as np

    from vitscope.analysis.significance import LEVEL

    found = [
        (float(each.classes.value[place]), f"{each.model} - {each.reference}", each.classes.classes[place])
        for each in comparison.differences
        for place in np.flatnonzero(each.classes.p_holm < LEVEL)
    ]
    if not found:
        result(f"\nno class differs with an adjusted p below {LEVEL}")
        return
    found.sort(key=lambda row: -abs(row[0]))
    result(f"\nclasses that differ with an adjusted p below {LEVEL}: {len(found)}, the largest first")
    rows = [(name, pair, f"{100 * value:+.1f}") for value, pair, name in found[:_SHOWN]]
    table([("class", "pair", "points"), *rows])
