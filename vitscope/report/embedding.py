"""The embedding folder: features of layers as points, the figure of them, and what is read from layers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.capture.blocks import find_layers
from vitscope.embedding.procrustes import align_points
from vitscope.embedding.projection import MethodName, check_method, project
from vitscope.embedding.readout import read_layers
from vitscope.embedding.trust import trust
from vitscope.errors import UsageError
from vitscope.figures.captions import caption, source_sentence
from vitscope.inference.alignment import align
from vitscope.inference.layer_features import layer_features
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.records.embedding import Embedding
from vitscope.records.predictions import Predictions
from vitscope.records.provenance import Provenance
from vitscope.report.embedding_exhibits import save_embeddings, save_readout
from vitscope.report.embedding_page import write_page
from vitscope.report.layer_tokens import default_token, name_layer, token_taker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vitscope.data.imageset import ImageSet
    from vitscope.figures.embedding import ColorBy, Groups
    from vitscope.inference.classifier import Classifier
    from vitscope.records.embedding import LayerReadout
    from vitscope.report.layer_tokens import TokenName

__all__ = ["Chosen", "EmbeddingReport", "check_panels", "report_embedding"]

_MOST = 4  # panels of a figure


@dataclass(frozen=True)
class Chosen:
    """What is projected, how, and what colours tell.

    Attributes:
        layers: Modules' names, or their numbers among the layers, negative from the end; a panel each.
        token: `class`: the first token; `mean`: the mean of the patches or places; `patches`: all of them
            side by side. None: the class token where there is one, else the mean.
        method: `pca`, `tsne` or `umap`.
        color: What colours tell.
        superclasses: The groups of the first model's classes, where colours tell these.
        seed: Of everything drawn at random.
        readout: Whether to measure what is read from every layer of the first model.
        called: What to call the models; their own names where it is empty.
    """

    layers: tuple[str, ...] = ("-1",)
    token: TokenName | None = None
    method: MethodName = "tsne"
    color: ColorBy = "class"
    superclasses: Groups | None = None
    seed: int = 0
    readout: bool = False
    called: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class EmbeddingReport:
    """A written embedding.

    Attributes:
        folder: Where it lies.
        embeddings: One, or several of the same images, all aligned to the first; a model's layers in order.
        readout: What is read from each layer, where it was asked for.
        page: Whether there is a page for the mouse, which needs plotly.
    """

    folder: Path
    embeddings: tuple[Embedding, ...]
    readout: LayerReadout | None
    page: bool

    def found(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them."""
        found: dict[str, Any] = {
            "embeddings": [
                {"model": each.model, "layer": each.layer, "token": each.token, "method": each.method}
                | {"images": len(each), **each.about}
                for each in self.embeddings
            ]
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


def check_panels(models: int, layers: Sequence[str]) -> None:
    """Refuse more panels than a figure holds, before any work.

    Raises:
        UsageError: There is no layer, or there are more than four panels, or a layer is named twice.
    """
    if not 1 <= models * len(layers) <= _MOST:
        raise UsageError(
            f"expected 1 to {_MOST} panels, got {models} x {len(layers)}: models x layers",
            hint="name fewer layers with --layer, or leave out --with",
        )
    twice = next((layer for layer in layers if layers.count(layer) > 1), None)
    if twice is not None:
        raise UsageError(f"the layer {twice[:80]!r} is named twice")


def report_embedding(
    models: Sequence[Classifier],
    images: ImageSet,
    folder: Path,
    *,
    chosen: Chosen | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> EmbeddingReport:
    """Project features of one or two models to the plane, and write the folder whole or not at all.

    It holds `embedding.json`, `figures/`, `records/*.npz`, `manifest.json`, and where plotly is installed
    `embedding.html`, a page that shows each image under the mouse. Features lie in the folder while it is
    made, mapped to memory.

    Args:
        models: One classifier, or two to be shown side by side, in evaluation mode.
        images: Labelled images.
        folder: The folder to make.
        chosen: What is projected, and how.
        overwrite: Replace an embedding that lies there.
        progress: Called with the number of images done since the last call.

    Raises:
        UsageError: There is no such layer, token or method, or there are more than four panels.
        CaptureError: A layer gives no such token.
        EnvironmentFault: A package is missing, or it cannot be written there.
        OutputError: The folder exists and `overwrite` is off.
        NotFiniteError: A feature is not finite.
    """
    chosen = chosen or Chosen()
    check_method(chosen.method)
    check_panels(len(models), chosen.layers)
    layers = [_find(model, chosen.layers) for model in models]
    with staged_folder(folder, overwrite=overwrite) as stage:
        made: list[Embedding] = []
        readout = None
        for number, (model, wanted) in enumerate(zip(models, layers, strict=True)):
            called = chosen.called[number] if chosen.called else model.name
            own = replace(chosen, layers=wanted, called=(called,), readout=chosen.readout and not number)
            with tempfile.TemporaryDirectory(dir=stage) as place:
                found, read = _embed(model, images, own, Path(place), progress=progress)
            made += found
            readout = readout or read
        made[1:] = [_aligned(each, made[0]) for each in made[1:]]
        page = find_spec("plotly") is not None
        report = EmbeddingReport(folder, tuple(made), readout, page)
        origins = [_origin(model, images, chosen) for model in models]
        source = caption(*dict.fromkeys(map(source_sentence, origins)))
        save_embeddings(made, stage, color=chosen.color, superclasses=chosen.superclasses, source=source)
        if readout is not None:
            save_readout(readout, stage, source=source_sentence(origins[0]))
        write_json(stage / "embedding.json", report.found())
        if page:
            path = stage / "embedding.html"
            write_page(made, images.image, path, color=chosen.color, superclasses=chosen.superclasses)
        manifest = {"format": "vitscope.embedding", "version": 1, "provenance": origins[0].to_dict()}
        write_json(stage / MANIFEST, manifest)
    return report


def _find(model: Classifier, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the modules that are meant, each once."""
    known = find_layers(model).names
    names = tuple(name_layer(model, known, each) for each in wanted)
    for place, name in enumerate(names):
        if name in names[:place]:
            both = f"{wanted[names.index(name)]!r} and {wanted[place]!r}"
            raise UsageError(f"the layers {both} of {model.name} are both {name}")
    return names


def _embed(
    model: Classifier,
    images: ImageSet,
    chosen: Chosen,
    place: Path,
    *,
    progress: Callable[[int], None] | None,
) -> tuple[list[Embedding], LayerReadout | None]:
    """Return an embedding a layer, from one pass, and what is read from all layers."""
    labelled = align(images, model)
    known = find_layers(model).names if chosen.readout else ()
    tokens = {
        each: chosen.token or default_token(model, each) for each in dict.fromkeys((*known, *chosen.layers))
    }
    takers = {each: token_taker(model, each, token) for each, token in tokens.items()}
    logits, features = layer_features(model, labelled, takers, place, progress=progress)
    answers = Predictions(logits, labelled.labels, labelled.classes, images.names)
    found = []
    for name in chosen.layers:
        points, about = _projected(features[name], chosen)
        embedding = Embedding(
            points,
            labelled.labels,
            answers.predicted,
            answers.probabilities.max(axis=1),
            classes=labelled.classes,
            names=images.names,
            method=chosen.method,
            model=chosen.called[0],
            layer=_short(name),
            token=tokens[name],
            about=about,
        )
        found.append(embedding)
    if not chosen.readout:
        return found, None
    named = {_short(each): features[each] for each in known}
    token = ", ".join(dict.fromkeys(tokens[each] for each in known))
    return found, read_layers(named, labelled.labels, seed=chosen.seed, token=token)


def _projected(features: NDArray[Any], chosen: Chosen) -> tuple[NDArray[Any], dict[str, Any]]:
    points, about = project(features, chosen.method, seed=chosen.seed)
    return points, about | trust(features, points, seed=chosen.seed).about()


def _aligned(embedding: Embedding, first: Embedding) -> Embedding:
    points, residual = align_points(embedding.points, first.points)
    return replace(embedding, points=points, about={**embedding.about, "procrustes_residual": residual})


def _short(name: str) -> str:
    return name.removeprefix("network.")


def _origin(model: Classifier, images: ImageSet, chosen: Chosen) -> Provenance:
    return Provenance.collect(
        checkpoint=model.source,
        checkpoint_digest=model.digest,
        data=images.name,
        split=images.split,
        data_digest=images.digest,
        seed=chosen.seed,
    )
