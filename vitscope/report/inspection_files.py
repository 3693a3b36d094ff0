"""The files of an inspection: a figure, a table and a record of each part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.lens import lens_by_layer
from vitscope.analysis.tables import number, write_table
from vitscope.figures.exhibit import save_exhibit
from vitscope.figures.inspection_exhibits import (
    class_maps_exhibit,
    filters_exhibit,
    heads_exhibit,
    lens_exhibit,
    positions_exhibit,
    similarity_exhibit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vitscope.analysis.lens import LensCurves
    from vitscope.records.filters import Filters
    from vitscope.records.heads import HeadStatistics
    from vitscope.records.heatmap import Heatmap
    from vitscope.records.lens import Lens
    from vitscope.records.positions import PositionSimilarity
    from vitscope.records.similarity import Similarity

__all__ = [
    "write_class_maps",
    "write_filters",
    "write_heads",
    "write_lens",
    "write_positions",
    "write_similarities",
]

_NORMAL = 1.96  # standard errors either side in a 95 % interval
# Two tables each: LaTeX has no room for all measures with their intervals side by side.
_HEAD_TABLES = {
    "head_entropy": ("entropy", "class_entropy"),
    "head_distance": ("distance", "pixel_distance"),
}
_LENS_TABLES = {"lens": ("accuracy", "agreement"), "lens_probability": ("true_class", "final_class")}


def write_heads(statistics: HeadStatistics, stage: Path, *, source: str = "") -> dict[str, Any]:
    """Write what heads do; return it as JSON holds it: a list a layer with a number a head."""
    save_exhibit(heads_exhibit(statistics, source=source), stage / "figures")
    statistics.save(stage / "records" / "heads.npz")
    for table, names in _HEAD_TABLES.items():
        shown = [name for name in names if name in statistics.means]
        columns = ["layer", "head", *_with_ends(shown)]
        write_table(stage / "tables" / f"{table}.csv", columns, _head_rows(statistics, shown))
    measures = {
        name: {"mean": _nested(statistics.means[name]), "standard_error": _nested(statistics.errors[name])}
        for name in statistics.means
    }
    return {
        "layers": list(statistics.layers),
        "grid": list(statistics.grid),
        "patch_pixels": list(statistics.patch),
        "tokens": statistics.tokens,
        "images": statistics.images,
        **measures,
    }


def write_class_maps(maps: Heatmap, stage: Path, *, source: str = "") -> dict[str, Any]:
    """Write the mean map of each class; return which classes have how many images."""
    save_exhibit(class_maps_exhibit(maps, source=source), stage / "figures")
    maps.save(stage / "records" / "class_rollout.npz")
    rows, columns = maps.values.shape[1:]
    cells = [
        (name, row, column, float(maps.values[place, row, column]))
        for place, name in enumerate(maps.names)
        for row in range(rows)
        for column in range(columns)
    ]
    write_table(stage / "tables" / "class_rollout.csv", ("class", "row", "column", "share"), cells)
    return {"classes": list(maps.names), "images": maps.options["images"], "grid": [rows, columns]}


def write_positions(similarity: PositionSimilarity, stage: Path, *, source: str = "") -> dict[str, Any]:
    """Write the position embeddings' similarity; return what it is of."""
    save_exhibit(positions_exhibit(similarity, source=source), stage / "figures")
    similarity.save(stage / "records" / "positions.npz")
    return {"name": similarity.name, "grid": list(similarity.grid), "prefix": similarity.prefix}


def write_filters(filters: Filters, stage: Path, *, source: str = "") -> dict[str, Any]:
    """Write the first layer's filters; return what they are, with the variance that components explain."""
    save_exhibit(filters_exhibit(filters, source=source), stage / "figures")
    filters.save(stage / "records" / "filters.npz")
    about: dict[str, Any] = {"name": filters.name, "kind": filters.kind, "total": filters.total}
    if filters.variance is not None:
        shares = filters.variance.tolist()
        write_table(
            stage / "tables" / "filters.csv",
            ("component", "variance"),
            list(enumerate(shares, start=1)),
            percent=("variance",),
        )
        about["variance"] = shares
    return about


def write_lens(lens: Lens, stage: Path, *, source: str = "") -> dict[str, Any]:
    """Write the logit lens; return its curves with their intervals."""
    curves = lens_by_layer(lens)
    save_exhibit(lens_exhibit(curves, lens, source=source), stage / "figures")
    lens.save(stage / "records" / "lens.npz")
    for table, names in _LENS_TABLES.items():
        rows: list[list[str | float]] = [
            [layer, *(end for name in names for end in _lens_cells(curves, name, place))]
            for place, layer in enumerate(curves.layers)
        ]
        write_table(stage / "tables" / f"{table}.csv", ["layer", *_with_ends(names)], rows, percent=names)
    found: dict[str, Any] = {"layers": list(curves.layers), "images": curves.n}
    for name, values in curves.values.items():
        found |= {name: _nested(values), f"{name}_interval": _nested(curves.intervals[name])}
    return found


def write_similarities(
    similarities: Mapping[str, Similarity], stage: Path, *, source: str = ""
) -> dict[str, Any]:
    """Write CKA within and between models; return the matrices by name."""
    found: dict[str, Any] = {}
    for name, each in similarities.items():
        save_exhibit(similarity_exhibit(each, name, source=source), stage / "figures")
        each.save(stage / "records" / f"{name}.npz")
        rows = [(layer, *each.values[place].tolist()) for place, layer in enumerate(each.layers)]
        write_table(stage / "tables" / f"{name}.csv", ("layer", *each.others), rows)
        found[name] = {
            "models": list(each.models),
            "layers": list(each.layers),
            "other_layers": list(each.others),
            "images": each.images,
            "minibatches": each.batches,
            "values": _nested(each.values),
            "standard_errors": _nested(each.errors),
        }
    return found


def _with_ends(names: Sequence[str]) -> list[str]:
    return [column for name in names for column in (name, f"{name}_low", f"{name}_high")]


def _head_rows(statistics: HeadStatistics, names: Sequence[str]) -> list[list[str | int | float]]:
    rows: list[list[str | int | float]] = []
    for layer, head in np.ndindex(statistics.means[names[0]].shape):
        row: list[str | int | float] = [statistics.layers[layer], head]
        for name in names:
            mean, error = (float(each[name][layer, head]) for each in (statistics.means, statistics.errors))
            row += [mean, mean - _NORMAL * error, mean + _NORMAL * error]
        rows.append(row)
    return rows


def _lens_cells(curves: LensCurves, name: str, place: int) -> tuple[float, float, float]:
    low, high = curves.intervals[name][place].tolist()
    return float(curves.values[name][place]), low, high


def _nested(values: NDArray[np.float64]) -> list[Any]:
    """Return an array as lists that JSON can hold: None where it is not finite."""
    if values.ndim > 1:
        return [_nested(row) for row in values]
    return [number(value) for value in values.tolist()]
