"""The embedding folder: features of a layer as points, the figure of them, and what is read from layers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.capture.blocks import find_layers
from vitscope.embedding.procrustes import align_points
from vitscope.embedding.projection import MethodName, check_method, project
from vitscope.embedding.readout import read_layers
from vitscope.embedding.trust import trust
from vitscope.figures.embedding import draw_embedding, draw_embeddings, settings_line
from vitscope.figures.exhibit import Exhibit, Table, save_exhibit
from vitscope.figures.readout import draw_readout
from vitscope.inference.alignment import align
from vitscope.inference.layer_features import layer_features
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.records.embedding import Embedding
from vitscope.records.predictions import Predictions
from vitscope.records.provenance import Provenance
from vitscope.report.embedding_page import write_page
from vitscope.report.layer_tokens import default_token, name_layer, token_taker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vitscope.data.imageset import ImageSet
    from vitscope.figures.embedding import ColorBy, Groups
    from vitscope.inference.classifier import Classifier
    from vitscope.records.embedding import LayerReadout
    from vitscope.report.layer_tokens import TokenName

__all__ = ["Chosen", "EmbeddingReport", "report_embedding"]


@dataclass(frozen=True)
class Chosen:
    """What is projected, how, and what colours tell.

    Attributes:
        layer: A module's name, or its number among the layers, negative from the end.
        token: `class`: the first token; `mean`: the mean of the patches or places; `patches`: all of them
            side by side. None: the class token where there is one, else the mean.
        method: `pca`, `tsne` or `umap`.
        color: What colours tell.
        superclasses: The groups, where colours tell these.
        seed: Of everything drawn at random.
        readout: Whether to measure what is read from every layer.
    """

    layer: str = "-1"
    token: TokenName | None = None
    method: MethodName = "tsne"
    color: ColorBy = "class"
    superclasses: Groups | None = None
    seed: int = 0
    readout: bool = False


@dataclass(frozen=True, eq=False)
class EmbeddingReport:
    """A written embedding.

    Attributes:
        folder: Where it lies.
        embeddings: One, or two of which the second is aligned to the first.
        residual: The share of variance that the alignment left over; None of a single one.
        readout: What is read from each layer, where it was asked for.
        page: Whether there is a page for the mouse, which needs plotly.
    """

    folder: Path
    embeddings: tuple[Embedding, ...]
    residual: float | None
    readout: LayerReadout | None
    page: bool

    def found(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them."""
        found: dict[str, Any] = {
            "embeddings": [
                {"model": each.model, "layer": each.layer, "token": each.token, "method": each.method}
                | {"images": len(each), **each.about}
                for each in self.embeddings
            ],
            "procrustes_residual": self.residual,
        }
        if self.readout is not None:
            read = self.readout
            found["readout"] = {
                "layers": list(read.layers),
                "images": read.n,
                "fitted": read.fitted,
                "neighbors": read.neighbors,
                **{name: read.accuracy(name).tolist() for name in ("knn", "probe")},
                **{f"{name}_interval": read.intervals[name].tolist() for name in ("knn", "probe")},
            }
        return found


def report_embedding(
    models: Sequence[Classifier],
    images: ImageSet,
    folder: Path,
    *,
    chosen: Chosen | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> EmbeddingReport:
    """Project the features of one or two models to the plane, and write the folder whole or not at all.

    It holds `embedding.json`, `figures/`, `records/*.npz`, `manifest.json`, and where plotly is installed
    `embedding.html`, a page that shows each image under the mouse.

    Args:
        models: One classifier, or two to be shown side by side, in evaluation mode.
        images: Labelled images.
        folder: The folder to make.
        chosen: What is projected, and how.
        overwrite: Replace an embedding that lies there.
        progress: Called with the number of images done since the last call.

    Raises:
        UsageError: There is no such layer, token or method.
        CaptureError: The layer gives no such token.
        EnvironmentFault: A package is missing, or it cannot be written there.
        OutputError: The folder exists and `overwrite` is off.
        NotFiniteError: A feature is not finite.
    """
    chosen = chosen or Chosen()
    check_method(chosen.method)
    with staged_folder(folder, overwrite=overwrite) as stage:
        made, readout = [], None
        for number, model in enumerate(models):
            embedding, read = _embed(
                model, images, chosen, readout=chosen.readout and not number, progress=progress
            )
            made.append(embedding)
            readout = read if read is not None else readout
        residual = None
        if len(made) > 1:
            moved, residual = align_points(made[1].points, made[0].points)
            made[1] = replace(made[1], points=moved)
        page = find_spec("plotly") is not None
        report = EmbeddingReport(folder, tuple(made), residual, readout, page)
        _write(report, chosen, stage)
        if page:
            write_page(made[0], images.image, stage / "embedding.html")
        write_json(stage / MANIFEST, _manifest(models[0], images, chosen))
    return report


def _embed(
    model: Classifier,
    images: ImageSet,
    chosen: Chosen,
    *,
    readout: bool,
    progress: Callable[[int], None] | None,
) -> tuple[Embedding, LayerReadout | None]:
    labelled = align(images, model)
    layers = find_layers(model).names
    name = name_layer(model, layers, chosen.layer)
    token = chosen.token or default_token(model, name)
    wanted = dict.fromkeys((*layers, name) if readout else (name,))
    with tempfile.TemporaryDirectory() as place:
        takers = {each: token_taker(model, each, token) for each in wanted}
        logits, features = layer_features(model, labelled, takers, Path(place), progress=progress)
        projected = project(features[name], chosen.method, seed=chosen.seed)
        trusted = trust(features[name], projected.points, seed=chosen.seed)
        named = {each.removeprefix("network."): values for each, values in features.items()}
        read = read_layers(named, labelled.labels, seed=chosen.seed, token=token) if readout else None
        del features, named
    about = {
        "trustworthiness": trusted.value,
        "trustworthiness_neighbors": trusted.neighbors,
        "trustworthiness_images": trusted.sampled,
    }
    answers = Predictions(logits, labelled.labels, labelled.classes, images.names)
    embedding = Embedding(
        projected.points,
        labelled.labels,
        answers.predicted,
        answers.probabilities.max(axis=1),
        classes=labelled.classes,
        names=images.names,
        method=chosen.method,
        model=model.name,
        layer=name.removeprefix("network."),
        token=token,
        about=projected.about | about,
    )
    return embedding, read


def _write(report: EmbeddingReport, chosen: Chosen, stage: Path) -> None:
    for number, each in enumerate(report.embeddings):
        each.save(stage / "records" / f"embedding{f'-{number + 1}' if number else ''}.npz")
    first = report.embeddings[0]
    options: dict[str, Any] = {"color": chosen.color, "superclasses": chosen.superclasses}
    draw = (
        partial(draw_embedding, first, **options)
        if report.residual is None
        else partial(draw_embeddings, list(report.embeddings), residual=report.residual, **options)
    )
    said = f"Features of {first.model}, {first.layer} ({first.token}), as points: {settings_line(first)}."
    if report.residual is not None:
        said += f" The second is aligned by orthogonal Procrustes; residual {report.residual:.3f}."
    save_exhibit(Exhibit("embedding", draw, said, _table(report)), stage / "figures")
    if report.readout is not None:
        read = report.readout
        read.save(stage / "records" / "readout.npz")
        said = (
            f"Accuracy of a linear probe and of {read.neighbors} nearest neighbours on each layer's frozen "
            f"features ({read.token}), fitted on {read.fitted:,} and counted on {read.n:,} other images, "
            "with Wilson 95 % intervals."
        )
        shares = zip(read.layers, read.accuracy("probe").tolist(), read.accuracy("knn").tolist(), strict=True)
        rows: list[tuple[str, float, float]] = list(shares)
        table = Table(("layer", "probe", "knn"), rows)
        save_exhibit(Exhibit("readout", partial(draw_readout, read), said, table), stage / "figures")
    write_json(stage / "embedding.json", report.found())


def _table(report: EmbeddingReport) -> Table:
    columns = ["image", "true", "predicted", "confidence"]
    for number in range(len(report.embeddings)):
        columns += [f"x{number + 1}", f"y{number + 1}"]
    first = report.embeddings[0]
    rows = [
        (
            name,
            first.classes[first.labels[row]],
            first.classes[first.predicted[row]] if first.predicted[row] >= 0 else None,
            float(first.confidence[row]),
            *(float(value) for each in report.embeddings for value in each.points[row]),
        )
        for row, name in enumerate(first.names)
    ]
    return Table(tuple(columns), rows)


def _manifest(model: Classifier, images: ImageSet, chosen: Chosen) -> Mapping[str, Any]:
    provenance = Provenance.collect(
        checkpoint=model.source,
        checkpoint_digest=model.digest,
        data=images.name,
        split=images.split,
        data_digest=images.digest,
        seed=chosen.seed,
    )
    return {"format": "vitscope.embedding", "version": 1, "provenance": provenance.to_dict()}
