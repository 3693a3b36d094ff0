"""The faithfulness folder: how far the maps of several methods can be believed, in numbers and figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from vitscope.analysis.faithfulness import rank_methods
from vitscope.analysis.perturbation_curves import mean_curves, save_curves
from vitscope.figures.captions import source_sentence
from vitscope.figures.exhibit import save_exhibit
from vitscope.figures.faithfulness_exhibits import curves_exhibit, ranking_exhibit
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.records.faithfulness import METRICS
from vitscope.records.provenance import Provenance
from vitscope.report.evidence import few_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Pool
    from vitscope.records.faithfulness import Faithfulness

__all__ = ["FaithfulnessReport", "Question", "report_faithfulness", "summary", "write_faithfulness"]


@dataclass(frozen=True)
class Question:
    """What is asked of the methods.

    Attributes:
        methods: Keys of `vitscope.explain.methods.METHODS`.
        metrics: Keys of `vitscope.records.faithfulness.METRICS`.
        target: The class that is explained: the model's, or the image's own.
        seed: Of noise, perturbations and redrawn parameters.
        pool: What the head reads, where the model does not tell: `cls` or `mean`.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...] = tuple(METRICS)
    target: Literal["predicted", "true"] = "predicted"
    seed: int = 0
    pool: Pool | None = None


@dataclass(frozen=True, eq=False)
class FaithfulnessReport:
    """A written faithfulness folder.

    Attributes:
        folder: Where it lies.
        record: The scores.
        rows: A dictionary a method, the best first.
    """

    folder: Path
    record: Faithfulness
    rows: list[dict[str, Any]]

    def metrics(self) -> dict[str, Any]:
        """Return what `faithfulness.json` holds."""
        return summary(self.record, self.rows)


def report_faithfulness(
    model: Classifier,
    images: ImageSet,
    folder: Path,
    *,
    question: Question,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> FaithfulnessReport:
    """Score methods on the images of a data set, and write the folder whole or not at all.

    It holds what `write_faithfulness` writes, and `manifest.json`.

    Args:
        model: The classifier, in evaluation mode.
        images: The images, all of which are used.
        folder: The folder to make.
        question: Methods, metrics and the class that is explained.
        overwrite: Replace a faithfulness folder that lies there.
        progress: Called with the number of maps finished since the last call; see `faithfulness`.

    Raises:
        CaptureError: A method does not apply to the model.
        DataError: The model does not know a class of the images.
        ImageError: A picture cannot be read.
        NotFiniteError: The model's output is not finite.
        OutputError: The folder exists and `overwrite` is off.
    """
    import torch

    from vitscope.explain.faithfulness import faithfulness
    from vitscope.explain.methods import pool_options
    from vitscope.inference.alignment import align

    labels = align(images, model).labels
    provenance = Provenance.collect(
        checkpoint=model.source,
        checkpoint_digest=model.digest,
        data=images.name,
        split=images.split,
        data_digest=images.digest,
        seed=question.seed,
    )
    with staged_folder(folder, overwrite=overwrite) as stage:
        record = faithfulness(
            model,
            model.prepare(images.pixels(model.preprocessing)),
            methods=question.methods,
            metrics=question.metrics,
            targets=torch.from_numpy(labels) if question.target == "true" else None,
            seed=question.seed,
            options=pool_options(question.methods, question.pool),
            progress=progress,
        )
        options = record.options | {"target": question.target}
        record = replace(record, names=images.names, options=options, provenance=provenance)
        rows = write_faithfulness(record, stage)
        manifest = {"format": "vitscope.faithfulness", "version": 1, "n": len(record)}
        write_json(stage / MANIFEST, manifest | {"provenance": provenance.to_dict()})
    return FaithfulnessReport(folder, record, rows)


def write_faithfulness(record: Faithfulness, stage: Path) -> list[dict[str, Any]]:
    """Write a record, its tables and its figures into a folder that is being made.

    `faithfulness.npz` (the record), `faithfulness.json`, `tables/ranking`, `scores`, `advantages` and
    `curves` as `.csv` and `.tex`, `figures/ranking` and `figures/curves` (see `save_exhibit`).

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
    about: dict[str, Any] = {
        "target": str(record.options.get("target", "predicted")),
        "seed": record.options.get("seed", 0),
        "source": source_sentence(record.provenance),
    }
    save_exhibit(ranking_exhibit(ranking, **about), stage / "figures")
    if record.curves:
        curves = mean_curves(record)
        save_curves(curves, stage / "tables" / "curves.csv")
        save_exhibit(curves_exhibit(curves, n=len(record), **about), stage / "figures")
    write_json(stage / "faithfulness.json", summary(record, rows))
    return rows


def summary(record: Faithfulness, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what `faithfulness.json` holds, of the rows of a ranking.

    `n`, `n_measured` of each metric, `better` of each, the record's options (`seed`, `target`, …),
    `warnings`, texts, and `methods`, the rows.
    """
    counts = record.measured.sum(axis=1).tolist()
    return {
        "n": len(record),
        "n_measured": dict(zip(record.metrics, counts, strict=True)),
        "better": {metric: METRICS[metric].better for metric in record.metrics},
        **record.options,
        "warnings": list(few_images(len(record))),
        "methods": rows,
    }
