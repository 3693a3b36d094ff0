"""The exhibits of an embedding: its records, its figure and that of what is read from layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from vitscope.figures.embedding import draw_embedding, draw_embeddings, settings_line
from vitscope.figures.exhibit import Exhibit, Table, save_exhibit
from vitscope.figures.readout import draw_readout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vitscope.figures.embedding import ColorBy, Groups
    from vitscope.records.embedding import Embedding, LayerReadout

__all__ = ["save_embeddings", "save_readout"]


def save_embeddings(
    embeddings: Sequence[Embedding], folder: Path, *, color: ColorBy, superclasses: Groups | None
) -> None:
    """Write the records, `records/embedding.npz` and from the second on `embedding-2.npz`, and the figure."""
    for number, each in enumerate(embeddings, start=1):
        each.save(folder / "records" / f"embedding{f'-{number}' if number > 1 else ''}.npz")
    options: dict[str, Any] = {"color": color, "superclasses": superclasses}
    draw = (
        partial(draw_embedding, embeddings[0], **options)
        if len(embeddings) == 1
        else partial(draw_embeddings, list(embeddings), **options)
    )
    save_exhibit(Exhibit("embedding", draw, _caption(embeddings), _table(embeddings)), folder / "figures")


def save_readout(readout: LayerReadout, folder: Path) -> None:
    """Write `records/readout.npz` and its figure."""
    readout.save(folder / "records" / "readout.npz")
    said = (
        f"Accuracy of a linear probe and of {readout.neighbors} nearest neighbours on each layer's frozen "
        f"features ({readout.token}), fitted on {readout.fitted:,} and counted on {readout.n:,} other "
        "images, with Wilson 95 % intervals."
    )
    columns = (readout.accuracy("probe").tolist(), readout.accuracy("knn").tolist())
    rows: list[tuple[str, float, float]] = list(zip(readout.layers, *columns, strict=True))
    table = Table(("layer", "probe", "knn"), rows)
    save_exhibit(Exhibit("readout", partial(draw_readout, readout), said, table), folder / "figures")


def _caption(embeddings: Sequence[Embedding]) -> str:
    said = "; ".join(
        f"{each.model}, {each.layer} ({each.token}): {settings_line(each)}" for each in embeddings
    )
    turned = " All are aligned to the first by orthogonal Procrustes." if len(embeddings) > 1 else ""
    return f"Features of images as points. {said}.{turned}"


def _table(embeddings: Sequence[Embedding]) -> Table:
    """Return a row an image; answers of another model than the first stand beside that model's places."""
    first = embeddings[0]
    columns = ["image", "true"]
    values: list[Sequence[Any]] = [first.names, [first.classes[label] for label in first.labels]]
    for number, each in enumerate(embeddings, start=1):
        if number == 1 or each.model != first.model:
            end = "" if number == 1 else str(number)
            columns += [f"predicted{end}", f"confidence{end}"]
            said = [each.classes[label] if label >= 0 else None for label in each.predicted]
            values += [said, each.confidence.tolist()]
        columns += [f"x{number}", f"y{number}"]
        values += [*each.points.T.tolist()]
    return Table(tuple(columns), list(zip(*values, strict=True)))
