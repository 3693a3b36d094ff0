"""`vitscope embed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vitscope.cli import explanation_options as options
from vitscope.cli.console import progress_bar, result, result_json, table, talk
from vitscope.cli.contenders import name_models
from vitscope.cli.explained import Model
from vitscope.cli.figure_options import for_a_paper
from vitscope.cli.options import Device, Json, Out, Overwrite, Quiet, Split
from vitscope.cli.subjects import check_out, data_of
from vitscope.errors import UsageError
from vitscope.paths import fresh_path

if TYPE_CHECKING:
    from vitscope.report.embedding import EmbeddingReport

__all__ = ["embed"]


@for_a_paper
def embed(
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
    limit: Annotated[
        int, typer.Option("--limit", min=5, help="Images at most, of each class alike.")
    ] = 10_000,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            help="A block's number, negative from the end, or a module's name. Several: side by side.",
            show_default="-1",
        ),
    ] = None,
    token: Annotated[
        Literal["class", "mean", "patches"] | None,
        typer.Option(
            "--token",
            help="The class token, the mean of the patches, or all patches.",
            show_default="class where there is one, else mean",
        ),
    ] = None,
    method: Annotated[
        Literal["pca", "tsne", "umap"], typer.Option("--method", help="How features become points.")
    ] = "tsne",
    color: Annotated[
        Literal["class", "correct", "confidence", "superclass"],
        typer.Option("--color", help="What colours tell."),
    ] = "class",
    superclasses: Annotated[
        str | None,
        typer.Option(
            "--superclasses",
            help="For --color superclass: cifar100, or a CSV or JSON file.",
        ),
    ] = None,
    other: Annotated[
        str | None,
        typer.Option("--with", metavar="MODEL", help="Another model side by side with it."),
    ] = None,
    readout: Annotated[
        bool, typer.Option("--readout", help="Also what kNN and a linear probe read from each layer.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn at random.")] = 0,
    weights: options.Weights = None,
    classes: options.Classes = None,
    out: Out = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show images as points in the plane: the features of a layer by PCA, t-SNE or UMAP.

    Several layers, or two models, are aligned to the first by Procrustes: up to four panels.

    Example: vitscope embed best.pth --layer 2 --layer -1 --method tsne --color class
    """
    check_out(out, overwrite=overwrite)
    if (color == "superclass") != (superclasses is not None):
        raise UsageError("--color superclass and --superclasses go together")
    from vitscope.embedding.projection import check_method
    from vitscope.report.embedding import Chosen, check_panels, report_embedding

    check_method(method)
    wanted = tuple(layers or ["-1"])
    check_panels(1 if other is None else 2, wanted)
    maker = Model.found(model, weights, classes, device, quiet=quiet)
    from vitscope.data.sources import load_split
    from vitscope.data.split import stratified_subset
    from vitscope.figures.embedding import Groups

    models = [maker.open()]
    groups = None
    if superclasses is not None:
        from vitscope.analysis.taxonomy import load_superclasses

        found = load_superclasses(superclasses, models[0].classes)
        groups = Groups(found.names, found.member)
    called: tuple[str, ...] = ()
    if other is not None:
        models.append(Model(other, None, None, device).open())
        if models[0].name == models[1].name:
            called = tuple(name_models([maker.source, other], None))
    images = load_split(data_of(models[0], data, split), split)
    images = images.take(stratified_subset(images.labels, limit, seed=seed))
    folder = out if out is not None else fresh_path(maker.beside / f"embedding-{split}")
    talk(f"{models[0].name} on {images.name}, {split}: {len(images):,} images", quiet=quiet)
    with progress_bar("running", len(models) * len(images), quiet=quiet) as progress:
        report = report_embedding(
            models,
            images,
            folder,
            chosen=Chosen(wanted, token, method, color, groups, seed, readout, called),
            overwrite=overwrite,
            progress=progress,
        )
    if json:
        result_json(report.found() | {"folder": str(report.folder)})
    else:
        _summarise(report, quiet=quiet)


def _summarise(report: EmbeddingReport, *, quiet: bool) -> None:
    from vitscope.figures.embedding import settings_line

    for each in report.embeddings:
        result(f"{each.model} {each.layer} ({each.token}): {settings_line(each)}")
    if report.readout is not None:
        read = report.readout
        rows: list[tuple[str, ...]] = [("layer", "probe", f"{read.neighbors} neighbours")]
        columns = zip(read.layers, read.accuracy("probe"), read.accuracy("knn"), strict=True)
        rows += [(layer, f"{probe:.1%}", f"{knn:.1%}") for layer, probe, knn in columns]
        table(rows)
    page = ", embedding.html" if report.page else ""
    result(f"written to {report.folder}: embedding.json, figures/, records/{page}")
    if not report.page:
        talk("note: no page to look at with the mouse: pip install 'vitscope[embed]' adds it", quiet=quiet)
