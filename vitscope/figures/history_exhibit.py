"""The exhibit of a training run: its history with caption and data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from vitscope.analysis.rounding import rounded
from vitscope.figures.captions import caption, counted, share, source_sentence
from vitscope.figures.exhibit import Exhibit, Table
from vitscope.figures.history import draw_history

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vitscope.records.provenance import Provenance

__all__ = ["history_exhibit"]


def history_exhibit(
    history: pd.DataFrame | Sequence[Mapping[str, float]],
    *,
    best_epoch: int | None = None,
    provenance: Provenance | None = None,
) -> Exhibit:
    """Return the figure of loss, accuracy and learning rate over the epochs.

    Args:
        history: A row an epoch, see `draw_history`.
        best_epoch: The epoch whose weights were kept.
        provenance: Where the run comes from, with its seed.
    """
    table = pd.DataFrame(history)
    rows: list[dict[str, Any]] = [
        dict(zip(map(str, table.columns), row, strict=True)) for row in table.to_numpy(object).tolist()
    ]
    best = next((row for row in rows if row["epoch"] == best_epoch), None)
    said = ""
    if best is not None:
        kept = [f"validation loss {rounded(float(best['validation_loss']))}"]
        value = best.get("validation_accuracy")
        if value is not None and value == value:
            kept.append(f"validation accuracy {share(float(value))}")
        said = f"The weights of epoch {best_epoch} were kept: {', '.join(kept)}."
    seed = None if provenance is None else provenance.seed
    text = caption(
        f"Loss, accuracy and learning rate over the epochs (n = {counted(len(rows), 'epoch')}, one run"
        + ("" if seed is None else f", seed {seed}")
        + "); training values are those of the augmented images while the network changed.",
        said,
        source_sentence(provenance),
    )
    columns = tuple(map(str, rows[0])) if rows else ()
    data = Table(columns, [list(row.values()) for row in rows])
    return Exhibit("history", partial(draw_history, rows, best_epoch=best_epoch), text, data)
