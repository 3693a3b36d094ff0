"""The exhibits of an inspection: what lies in a model, with captions and data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.figures.captions import caption, counted, share
from vitscope.figures.class_maps import draw_class_maps
from vitscope.figures.exhibit import Exhibit, Table
from vitscope.figures.filters import draw_filters
from vitscope.figures.heads import draw_head_statistics
from vitscope.figures.lens import draw_lens
from vitscope.figures.positions import draw_position_similarity
from vitscope.figures.similarity import draw_similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.lens import LensCurves
    from vitscope.records.filters import Filters
    from vitscope.records.heads import HeadStatistics
    from vitscope.records.heatmap import Heatmap
    from vitscope.records.lens import Lens
    from vitscope.records.positions import PositionSimilarity
    from vitscope.records.similarity import Similarity

__all__ = [
    "class_maps_exhibit",
    "filters_exhibit",
    "heads_exhibit",
    "lens_exhibit",
    "positions_exhibit",
    "similarity_exhibit",
]


def heads_exhibit(statistics: HeadStatistics, *, source: str = "") -> Exhibit:
    """Return the figure of what heads do."""
    rows: list[list[Any]] = []
    for name in statistics.means:
        mean, error = statistics.means[name], statistics.errors[name]
        for layer, head in np.ndindex(mean.shape):
            value, spread = float(mean[layer, head]), float(error[layer, head])
            rows.append([name, statistics.layers[layer], head, value, spread])
    text = caption(
        f"Entropy and distance of attention by layer and head: a point a head, the mean over images "
        f"(n = {statistics.images:,}; {counted(len(statistics.layers), 'layer')}, "
        f"{statistics.tokens:,} tokens); standard errors over images are in the data.",
        source,
    )
    data = Table(("measure", "layer", "head", "mean", "standard_error"), rows)
    return Exhibit("heads", partial(draw_head_statistics, statistics), text, data)


def class_maps_exhibit(maps: Heatmap, *, source: str = "") -> Exhibit:
    """Return the figure of the mean map of each class."""
    rows = _cells(maps.values, maps.names)
    counts = np.asarray(maps.options.get("images", []), dtype=np.int64)
    text = caption(
        f"Mean attention rollout of {counted(len(maps), 'class', 'classes')} "
        f"(n = {int(counts.sum()):,} images).",
        source,
    )
    data = Table(("class", "row", "column", "share"), rows)
    return Exhibit("class_rollout", partial(draw_class_maps, maps), text, data)


def _cells(values: NDArray[Any], names: tuple[str, ...]) -> list[list[Any]]:
    return [
        [names[place], row, column, float(values[place, row, column])]
        for place, row, column in np.ndindex(values.shape)
    ]


def positions_exhibit(similarity: PositionSimilarity, *, source: str = "") -> Exhibit:
    """Return the figure of how alike position embeddings are."""
    rows = [[*place, float(similarity.values[place])] for place in np.ndindex(similarity.values.shape)]
    down, across = similarity.grid
    text = caption(
        f"Cosine similarity of the position embedding of each of n = {down * across:,} patches "
        f"({similarity.name}) with those of all others, each in its place.",
        source,
    )
    columns = ("row", "column", "other_row", "other_column", "cosine")
    return Exhibit("positions", partial(draw_position_similarity, similarity), text, Table(columns, rows))


def filters_exhibit(filters: Filters, *, source: str = "") -> Exhibit:
    """Return the figure of the first layer's filters."""
    shown, variance = len(filters.values), filters.variance
    if variance is None:
        what = (
            f"{counted(shown, 'kernel')} of the first layer, {filters.name} (n = {filters.total:,} kernels)."
        )
    else:
        what = (
            f"The first {counted(shown, 'principal component')} of the kernels of the first layer, "
            f"{filters.name} (n = {filters.total:,} kernels); they hold {share(float(variance.sum()))} of "
            "the kernels' variance."
        )
    rows = [[*place, float(filters.values[place])] for place in np.ndindex(filters.values.shape)]
    data = Table(("filter", "row", "column", "channel", "weight"), rows)
    return Exhibit("filters", partial(draw_filters, filters), caption(what, source), data)


def lens_exhibit(curves: LensCurves, lens: Lens, *, source: str = "") -> Exhibit:
    """Return the figure of what each layer would predict."""
    rows: list[list[Any]] = []
    for name, values in curves.values.items():
        columns = (curves.layers, values.tolist(), curves.intervals[name].tolist())
        rows += [[name, layer, value, *ends] for layer, value, ends in zip(*columns, strict=True)]
    last = f"{share(float(curves.values['accuracy'][-1]), curves.intervals['accuracy'][-1].tolist())}"
    text = caption(
        f"Logit lens: what the classifier reads after each of {counted(len(curves.layers), 'layer')} "
        f"(n = {curves.n:,} images); after the last the accuracy is {last}.",
        "Bands are 95 % intervals over images: Wilson's of shares, the bootstrap's of mean probabilities.",
        source,
    )
    data = Table(("measure", "layer", "value", "low", "high"), rows)
    return Exhibit("lens", partial(draw_lens, curves, lens), text, data)


def similarity_exhibit(similarity: Similarity, name: str, *, source: str = "") -> Exhibit:
    """Return the figure of how alike layers are."""
    rows: list[list[Any]] = [
        [layer, other, float(similarity.values[row, column]), float(similarity.errors[row, column])]
        for row, layer in enumerate(similarity.layers)
        for column, other in enumerate(similarity.others)
    ]
    first, second = similarity.models
    which = first if first == second else f"{first} (rows) and {second} (columns)"
    text = caption(
        f"Linear CKA, debiased, of the layers of {which} (n = {similarity.images:,} images in "
        f"{counted(similarity.batches, 'minibatch', 'minibatches')}); jackknife standard errors are in the "
        "data.",
        source,
    )
    data = Table(("layer", "other_layer", "cka", "standard_error"), rows)
    return Exhibit(name, partial(draw_similarity, similarity), text, data)
