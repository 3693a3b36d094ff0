"""Figures of maps, models and methods in the narrowest column: whole, apart, large enough, on one page."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.figures.test_attention_figure import heads, heatmap
from tests.figures.test_corruption_figures import KINDS, MAIN, pictures, result_of
from tests.figures.test_inspection_figures import class_maps, lens, similarity, statistics
from tests.oracles import faithful
from tests.oracles.embedded import made as embedded
from tests.oracles.lettered import faults
from vitscope.analysis.corruption_means import ALEXNET_ERRORS
from vitscope.analysis.faithfulness import rank_methods
from vitscope.analysis.lens import lens_by_layer
from vitscope.analysis.perturbation_curves import mean_curves
from vitscope.figures.arrangement import page_height
from vitscope.figures.attention import draw_attention_maps, draw_heads
from vitscope.figures.class_maps import draw_class_maps
from vitscope.figures.corruptions import draw_corruption_examples, draw_corruptions
from vitscope.figures.embedding import draw_embedding
from vitscope.figures.faithfulness import draw_method_ranking, draw_perturbation_curves
from vitscope.figures.filters import draw_filters
from vitscope.figures.heads import draw_head_statistics
from vitscope.figures.history import draw_history
from vitscope.figures.layers import draw_layers
from vitscope.figures.lens import draw_lens
from vitscope.figures.map_grid import MapRow, draw_map_grid
from vitscope.figures.overlay import Scale
from vitscope.figures.positions import draw_position_similarity
from vitscope.figures.readout import draw_readout
from vitscope.figures.similarity import draw_similarity
from vitscope.figures.style import paper_style
from vitscope.records.embedding import LayerReadout
from vitscope.records.faithfulness import METRICS
from vitscope.records.filters import Filters
from vitscope.records.heatmap import Heatmap
from vitscope.records.positions import PositionSimilarity

RANDOM = np.random.default_rng(0)
PICTURE = RANDOM.integers(0, 256, (24, 32, 3), dtype=np.uint8)
WIDE, ARABIC = "W_M_" * 63 + "end", "عربي_" * 50 + "8"
NAMES = (WIDE, ARABIC, "Ж_Щ_" * 60, "$\\frac_{" * 30, "日本語_" * 60, "cat", "a b " * 60, "n02123045_tabby")
MODULES = tuple(f"stages.{number // 2}.blocks.{number % 2}.attention.self" for number in range(8))


def named_statistics():
    record = statistics(layers=8, heads=4)
    return draw_head_statistics(type(record)(**{**vars(record), "layers": MODULES}))


def layers(count, across):
    head = partial(Heatmap, RANDOM.random((1, 4, 4), dtype=np.float32), method="raw attention")
    rows = [
        [head(options={"layer": row, "head": column}) for column in range(across)] for row in range(count)
    ]
    return draw_layers(rows, PICTURE, prediction=(WIDE, 0.5))


def ranked(methods):
    """As many methods as given, and the baselines, by every metric."""
    every = (
        *(f"integrated gradients {number}" for number in range(methods)),
        "random",
        "random 8x8",
        "centre",
    )
    curves = {name: RANDOM.random((len(every), 20, 11)) for name in ("deletion", "insertion", "road_morf")}
    scores = faithful.noisy(RANDOM.uniform(0.1, 0.7, (len(every), len(METRICS))), images=20)
    return faithful.made(scores, methods=every, metrics=tuple(METRICS), curves=curves)


def grid(columns):
    values = [RANDOM.random((4, 4), dtype=np.float32) - 0.3 for _ in range(columns)]
    scales = tuple(Scale.of(each, signed=number % 2 == 1) for number, each in enumerate(values))
    lines = (f"{WIDE}.png", (ARABIC, " (98.1 %)"), f"true: {NAMES[2]}")
    row = MapRow(PICTURE, tuple(values), scales, lines=lines, heading=f"{WIDE} taken for {ARABIC}")
    return draw_map_grid([row] * 3, NAMES[:columns], title=(WIDE, " (98.1 %), three images"))


def epochs(count):
    names = ("learning_rate", "train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
    return [{"epoch": 1 + number, **dict.fromkeys(names, 0.9 / (1 + number))} for number in range(count)]


def readout(names):
    hits = {kind: np.linspace(300, 900, len(names)).astype(int) for kind in ("knn", "probe")}
    ends = {kind: np.stack([each - 30, each + 30], axis=1) / 1000 for kind, each in hits.items()}
    return draw_readout(LayerReadout(names, hits, ends, 1000, 4000, 20))


def lens_figure():
    record = lens(layers=24, images=40)
    return draw_lens(lens_by_layer(record, replicates=10), record)


def positions(side):
    values = RANDOM.uniform(-1, 1, (side, side, side, side))
    return draw_position_similarity(PositionSimilarity(values, name=WIDE, prefix=1))


def filters(count, kind):
    variance = np.full(count, 1 / count) if kind == "components" else None
    values = RANDOM.normal(size=(count, 4, 4, 3))
    return draw_filters(Filters(values, kind=kind, name=WIDE, total=192, variance=variance))


CASES = {
    "attention": lambda: draw_attention_maps(heatmap(), PICTURE, prediction=(ARABIC, 1.0), explained=WIDE),
    "layers of few heads": lambda: layers(12, 3),
    "map grid of eight": lambda: grid(8),
    "head statistics by name": named_statistics,
    "positions": lambda: positions(24),
    "principal filters": lambda: filters(28, "components"),
    "layers alike, wide": lambda: draw_similarity(similarity(6, 16, (WIDE, ARABIC))),
    "layers alike, tall": lambda: draw_similarity(similarity(16, 6, (WIDE, ARABIC))),
    "class maps": lambda: draw_class_maps(class_maps(10, names=(*NAMES, "ten", "eleven"))),
    "ranking": lambda: draw_method_ranking(rank_methods(ranked(7), replicates=5)),
    "examples": lambda: draw_corruption_examples(pictures(KINDS, (8, 8)), clean=pictures(("fog",))["fog"][0]),
    "readout": lambda: readout(MODULES),
    "embedding": lambda: draw_embedding(embedded(160, NAMES)),
}
SLOW = {
    "heads": lambda: draw_heads(heads(12), PICTURE, prediction=(WIDE, 0.5)),
    "layers": lambda: layers(24, 16),
    "map grid of one": lambda: grid(1),
    "head statistics": lambda: draw_head_statistics(statistics(layers=24, heads=16)),
    "filters": lambda: filters(128, "kernels"),
    "lens": lens_figure,
    "two layers alike": lambda: draw_similarity(similarity(2, 2)),
    "curves": lambda: draw_perturbation_curves(mean_curves(ranked(7), replicates=5)),
    "corruptions": lambda: draw_corruptions(result_of(KINDS, reference=ALEXNET_ERRORS)),
    "history": lambda: draw_history(epochs(12), best_epoch=11),
    "class maps of many": lambda: draw_class_maps(class_maps(100, names=(NAMES * 13)[:100])),
    "ranking of many": lambda: draw_method_ranking(rank_methods(ranked(16), replicates=5)),
    "curves of many": lambda: draw_perturbation_curves(mean_curves(ranked(16), replicates=5)),
    "heads of many": lambda: draw_heads(heads(16), PICTURE, prediction=(WIDE, 0.5)),
    "corruptions but extra": lambda: draw_corruptions(result_of(MAIN)),
    "history of one": lambda: draw_history(epochs(1), best_epoch=1),
    "history of many": lambda: draw_history(epochs(300), best_epoch=299),
    "embedding of many": lambda: draw_embedding(embedded(400, [f"{WIDE}{number}" for number in range(100)])),
}


def assert_fits(figure: Figure) -> None:
    assert faults(figure) == []
    assert figure.get_figheight() <= page_height() + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_cut_covered_or_too_small(name):
    with paper_style("acl"):
        assert_fits(CASES[name]())


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_nor_where_there_is_more(name):
    with paper_style("acl"):
        assert_fits(SLOW[name]())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["principal filters", "class maps", "map grid of eight", "layers of few heads"]
)
def test_nor_on_a_slide(name):
    with paper_style("slides"):
        assert faults(CASES[name](), smallest=6 * 1.75) == []


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (((0.5, 0.5, "a"), (0.9, 0.2, "cut off, since it is long")), "cut off"),
        (((0.5, 0.5, "first"), (0.5, 0.5, "second")), "over each other"),
        (((0.5, 0.5, "small", 5),), "5.00 points"),
    ],
)
def test_the_oracle_finds_faults(drawn, said):
    figure = Figure(figsize=(2, 2))
    for x, y, line, *size in drawn:
        figure.text(x, y, line, size=size[0] if size else 6)
    assert [fault.partition(":")[0] for fault in faults(figure)] == [said]
