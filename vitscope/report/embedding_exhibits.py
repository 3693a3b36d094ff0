"""The exhibits of an embedding: its records, its figure and that of what is read from layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from vitscope.figures.captions import caption
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
    embeddings: Sequence[Embedding],
    folder: Path,
    *,
    color: ColorBy,
    superclasses: Groups | None,
    source: str = "",
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
    said = caption(_said(embeddings), source)
    save_exhibit(Exhibit("embedding", draw, said, _table(embeddings)), folder / "figures")


def save_readout(readout: LayerReadout, folder: Path, *, source: str = "") -> None:
    """Write `records/readout.npz` and its figure."""
    readout.save(folder / "records" / "readout.npz")
    said = (
        f"Accuracy of a linear probe and of {readout.neighbors} nearest neighbours on each layer's frozen "
        f"features ({readout.token}), fitted on {readout.fitted:,} and counted on n = {readout.n:,} "
        f"other images (division by seed {readout.seed}), with Wilson 95 % intervals."
    )
    columns, values = ["layer"], [list[Any](readout.layers)]
    for kind in ("probe", "knn"):
        columns += [kind, f"{kind}_low", f"{kind}_high", f"{kind}_hits"]
        values += [readout.accuracy(kind).tolist(), *readout.intervals[kind].T.tolist()]
        values.append(readout.hits[kind].tolist())
    table = Table((*columns, "n"), [(*row, readout.n) for row in zip(*values, strict=True)])
    exhibit = Exhibit("readout", partial(draw_readout, readout), caption(said, source), table)
    save_exhibit(exhibit, folder / "figures")


def _said(embeddings: Sequence[Embedding]) -> str:
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
