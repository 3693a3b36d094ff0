"""`vitscope faithfulness`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

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
    from collections.abc import Sequence

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Pool
    from vitscope.report.faithfulness import FaithfulnessReport

__all__ = ["faithfulness"]


@for_a_paper
def faithfulness(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="best.pth, timm:NAME, torchvision:NAME, hf:NAME.", show_default=False
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Other images than the model's own: a name or a folder.")
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Which part of the data.")] = "test",
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="At most so many images, of all classes alike.")
    ] = 200,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods", help="The methods, with commas between.", show_default="all that apply to the model"
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="deletion,insertion,road,infidelity,…", show_default="all"),
    ] = None,
    target: Annotated[
        Literal["predicted", "true"], typer.Option("--target", help="The class that is explained.")
    ] = "predicted",
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the choice of images, and of all noise.")
    ] = 0,
    weights: options.Weights = None,
    classes: options.Classes = None,
    pool: options.PoolName = None,
    out: Out = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure which method's maps tell what a model's answers hang on, beside maps that know nothing.

    Example: vitscope faithfulness best.pth --limit 100 --methods rollout,relevance,grad-cam
    """
    from vitscope.report.request import check_request

    check_out(out, overwrite=overwrite)
    measured = _metrics(metrics)
    named = _methods(methods)
    if named:
        check_request(named, ["predicted"], pool=pool)
    maker = Model.found(model, weights, classes, device, quiet=quiet)
    from vitscope.report.faithfulness import Question, report_faithfulness

    classifier = maker.open()
    images = _images(classifier, data, split, limit=limit, seed=seed)
    chosen = named or _applicable(classifier, images, pool, quiet=quiet)
    talk(f"{', '.join(chosen)} on {images.name}, {split}: {len(images):,} images", quiet=quiet)
    folder = out if out is not None else fresh_path(maker.beside / f"faithfulness-{split}")
    with progress_bar("measuring", _work(chosen, measured, len(images)), quiet=quiet) as progress:
        report = report_faithfulness(
            classifier,
            images,
            folder,
            question=Question(chosen, measured, target, seed, pool),
            overwrite=overwrite,
            progress=progress,
        )
    if json:
        result_json(report.metrics() | {"folder": str(report.folder)})
    else:
        _summarise(report)
        warn(report.metrics()["warnings"], quiet=quiet)


def _metrics(names: str | None) -> tuple[str, ...]:
    from vitscope.records.faithfulness import METRICS

    if names is None:
        return tuple(METRICS)
    given = [name.strip().replace("-", "_") for name in names.split(",")]
    unknown = [name for name in given if name not in METRICS]
    if unknown:
        raise UsageError(f"unknown metric {unknown[0]!r}", hint=f"there are {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name in given)


def _methods(names: str | None) -> tuple[str, ...]:
    from vitscope.explain.methods import find_method
    from vitscope.records.faithfulness import is_baseline

    if names is None:
        return ()
    given = dict.fromkeys(name.strip() for name in names.split(","))
    found = tuple(find_method(name).name for name in given if not is_baseline(name))
    if not found:
        raise UsageError(
            "there is no method but the baselines, which are always measured",
            hint="add one, such as relevance",
        )
    return found


def _images(model: Classifier, data: str | None, split: Split, *, limit: int, seed: int) -> ImageSet:
    from vitscope.data.sources import load_split
    from vitscope.data.split import stratified_subset

    images = load_split(data_of(model, data, split), split)
    return images.take(stratified_subset(images.labels, limit, seed=seed))


def _applicable(model: Classifier, images: ImageSet, pool: Pool | None, *, quiet: bool) -> tuple[str, ...]:
    """Return the methods that apply to the model, and say why each other one is left out."""
    from vitscope.errors import CaptureError
    from vitscope.explain.faithfulness import applicable_methods
    from vitscope.explain.methods import METHODS, pool_options

    first = model.prepare(images.pixels(model.preprocessing, [0]))
    found, refused = applicable_methods(model, first, options=pool_options(METHODS, pool))
    for name, why in refused.items():
        talk(f"without {name}: {why}", quiet=quiet)
    if not found:
        raise CaptureError("no method applies to this model", hint="name one with --methods to see why")
    return found


def _work(methods: tuple[str, ...], metrics: tuple[str, ...], images: int) -> int:
    """Return how many maps are reported as finished in all; see `vitscope.explain.faithfulness`."""
    from vitscope.explain.faithfulness import CHECKED

    checks = ("max_sensitivity" in metrics) + any(name.startswith("randomisation") for name in metrics)
    return len(methods) * (images + checks * min(images, CHECKED))


def _summarise(report: FaithfulnessReport) -> None:
    from vitscope.records.faithfulness import METRICS

    metrics = report.record.metrics
    rows = [
        ["method", "mean rank", *metrics],
        ["", "", *(f"({METRICS[metric].better})" for metric in metrics)],
    ]
    for row in report.rows:
        rank = "-" if row["mean_rank"] is None else f"{row['mean_rank']:.1f}"
        rows.append([row["method"], rank, *(_score(row, metric) for metric in metrics)])
    table(rows)
    result(f"\n* better than {_baselines(metrics)} on the same images, by 95 % intervals of the differences")
    for row in report.rows:
        if row["verdict"] != "baseline":
            result(f"{row['method']}: {row['verdict']}")
    result(f"\nwritten to {report.folder}: faithfulness.json, tables/, figures/")


def _baselines(metrics: Sequence[str]) -> str:
    """Return the baselines in words; not every metric can be compared with both."""
    from vitscope.records.faithfulness import METRICS

    one: dict[str, list[str]] = {}
    for metric in metrics:
        if len(kinds := METRICS[metric].against) == 1:
            one.setdefault(kinds[0], []).append(metric)
    rest = [f"{', '.join(found)}: than {kind} maps alone" for kind, found in one.items()]
    return "random and centre maps" + (f" ({'; '.join(rest)})" if rest else "")


def _score(row: dict[str, object], metric: str) -> str:
    compared = [
        row[f"{metric}_beats_{kind}"] for kind in ("random", "centre") if f"{metric}_beats_{kind}" in row
    ]
    return f"{row[metric]:.3f}{'*' if compared and all(compared) else ' '}"
