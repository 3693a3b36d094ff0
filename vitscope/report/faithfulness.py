"""The faithfulness folder: how far the maps of several methods can be believed, in numbers and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitscope.analysis.faithfulness import rank_methods
from vitscope.analysis.perturbation_curves import mean_curves, save_curves
from vitscope.figures.faithfulness import draw_method_ranking, draw_perturbation_curves
from vitscope.figures.files import save_figure
from vitscope.paths import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from vitscope.records.faithfulness import Faithfulness

__all__ = ["write_faithfulness"]


def write_faithfulness(record: Faithfulness, stage: Path) -> list[dict[str, Any]]:
    """Write a record, its tables and its figures into a folder that is being made.

    `faithfulness.npz` (the record), `faithfulness.json`, `tables/ranking`, `scores`, `advantages` and
    `curves` as `.csv` and `.tex`, `figures/ranking` and `figures/curves` as `.pdf` and `.png`.

    Args:
        record: The scores.
        stage: A folder within `vitscope.paths.staged_folder`.

    Returns:
        A dictionary a method, the best first, as `MethodRanking.rows` has them.
    """
    ranking = rank_methods(record)
    rows = ranking.rows()
    record.save(stage / "faithfulness.npz")
    ranking.save(stage / "tables")
    save_figure(draw_method_ranking(ranking), stage / "figures" / "ranking")
    if record.curves:
        curves = mean_curves(record)
        save_curves(curves, stage / "tables" / "curves.csv")
        save_figure(draw_perturbation_curves(curves), stage / "figures" / "curves")
    write_json(stage / "faithfulness.json", summary(record, rows))
    return rows


def summary(record: Faithfulness, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what `faithfulness.json` holds: `n`, the `options` and a dictionary a method."""
    return {"n": len(record), "metrics": list(record.metrics), **record.options, "methods": rows}
