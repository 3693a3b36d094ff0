"""The page: one self-contained HTML file that shows one or several evaluated models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitscope.analysis.calibration import reliability
from vitscope.analysis.confidence import confidence_histogram
from vitscope.analysis.confusion import confusion
from vitscope.analysis.selective import risk_coverage
from vitscope.analysis.smoothing import smooth_calibration
from vitscope.errors import EnvironmentFault, OutputError, UsageError
from vitscope.paths import write_text
from vitscope.records.provenance import Provenance
from vitscope.report.page_charts import draw_histogram, draw_reliability, draw_risk
from vitscope.report.page_comparison import compare_runs, overview
from vitscope.report.page_confusion import draw_matrix, gallery
from vitscope.report.page_errors import find_errors
from vitscope.report.page_evidence import find_evidence
from vitscope.report.page_figures import find_embedding, find_inspection
from vitscope.report.page_images import find_album
from vitscope.report.page_numbers import (
    bin_rows,
    calibrated_rows,
    class_rows,
    extra_rows,
    summary_rows,
    tiles,
)
from vitscope.report.page_provenance import commands, missing, origin_rows
from vitscope.report.page_runs import open_run
from vitscope.report.page_template import render
from vitscope.report.page_text import shown
from vitscope.report.page_training import find_training

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vitscope.report.page_runs import Run

__all__ = ["PageReport", "check_page", "report_page"]

_IMAGES = 2400  # small pictures of a page, of all runs together: at most some ten megabytes
_MARK = '<meta name="generator" content="vitscope'


@dataclass(frozen=True)
class PageReport:
    """A written page.

    Attributes:
        path: The file.
        size: Its bytes.
        runs: The runs' names.
        notes: What is to be known of it, in words.
    """

    path: Path
    size: int
    runs: tuple[str, ...]
    notes: tuple[str, ...]


def report_page(
    folders: Mapping[str, Path],
    path: Path,
    *,
    data: str | None = None,
    maps: bool = True,
    title: str = "",
    overwrite: bool = False,
) -> PageReport:
    """Write one HTML page of one or several runs, whole or not at all.

    The numbers are those of the folders. Only maps over the confident errors need torch and the checkpoint;
    pictures come from the data set, where it is found.

    Args:
        folders: Run, evaluation or predictions folders, by what they are to be called.
        path: The file to write.
        data: Where the images are: a data set's name or folder.
        maps: Whether to run the models for maps over their confident errors.
        title: What the page is called.
        overwrite: Replace a page that lies there.

    Raises:
        UsageError: There is no folder.
        InputError: A folder is none of these or damaged, or the data given has other images.
        OutputError: The file exists, and `overwrite` is off or vitscope did not make it.
    """
    if not folders:
        raise UsageError("expected at least one run, got none")
    check_page(path, overwrite=overwrite)
    runs = [open_run(folder, name) for name, folder in folders.items()]
    own = Provenance.collect()
    # What may be damaged is read first: models and images take longer.
    beside = [_beside(run, path) for run in runs]
    parts = [
        _part(run, number, data, maps=maps, share=len(runs)) | beside[number]
        for number, run in enumerate(runs)
    ]
    several = len(runs) > 1
    named = f"{len(runs)} models compared" if several else _headed(runs[0])
    context = {
        "title": shown(title or named),
        "runs": parts,
        "overview": overview(runs) if several else None,
        "comparison": compare_runs(runs) if several else None,
        "commands": commands(runs, own),
        "created": own.created,
        "version": own.versions.get("vitscope", ""),
    }
    write_text(path, render(context))
    notes = tuple(
        f"{run.name}: {part['errors'].note}"
        for run, part in zip(runs, parts, strict=True)
        if part["errors"].note
    )
    return PageReport(path, path.stat().st_size, tuple(folders), notes)


def _headed(run: Run) -> str:
    """Return what a page of one run is called: the run, and what it was evaluated on."""
    made = run.predictions.provenance
    return f"{run.name} on {made.data}, {made.split}" if made.data and made.split else run.name


def check_page(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that exists, before any long work.

    Raises:
        OutputError: It exists, and `overwrite` is off or vitscope did not make it.
        EnvironmentFault: It would lie below a file.
    """
    if not os.path.lexists(path):
        above = next((each for each in path.absolute().parents if os.path.lexists(each)), path)
        if not above.is_dir():
            raise EnvironmentFault(f"cannot write {path}: {above} is no folder", hint="choose another --out")
        return
    if not overwrite:
        raise OutputError(f"the output {path} exists", hint="choose another --out, or add --overwrite")
    ours = False
    if path.is_file():
        with path.open("rb") as stream:
            ours = _MARK.encode() in stream.read(4096)
    if not ours:
        raise OutputError(f"{path} is no page that vitscope made", hint="choose another --out")


def _beside(run: Run, path: Path) -> dict[str, Any]:
    """Return what the folders beside a run hold: of the training, evidence, the inside, the embedding."""
    return {
        "training": find_training(run),
        "evidence": find_evidence(run),
        "inspection": find_inspection(run),
        "embedding": find_embedding(run, path),
    }


def _part(run: Run, number: int, data: str | None, *, maps: bool, share: int) -> dict[str, Any]:
    """Return what the template shows of one run."""
    album = find_album(run, data)
    table, bins = confusion(run.rows), reliability(run.rows, bins=int(run.metrics.get("ece_bins", 15)))
    numbers = summary_rows(run)
    errors = find_errors(run, album, maps=maps)
    rows, left_out = class_rows(run, table)
    made = run.predictions.provenance
    return {
        "key": f"r{number}",
        "name": shown(run.name),
        "about": {
            "data": shown(made.data) if made.data else "",
            "split": made.split,
            "n": run.metrics["n"],
            "n_not_finite": run.metrics["n_not_finite"],
            "classes": len(run.classes),
            "checkpoint": shown(made.checkpoint) if made.checkpoint else "",
        },
        "summary": numbers,
        "tiles": tiles(numbers),
        "extras": extra_rows(run),
        "classes": rows,
        "classes_left_out": left_out,
        "matrix": draw_matrix(table),
        "gallery": gallery(run, album, most=_IMAGES // share),
        "pictures": album is not None,
        "whole": album is not None and album.images is not None,
        "reliability": draw_reliability(bins, smooth_calibration(run.rows)),
        "bins": bin_rows(bins),
        "histogram": draw_histogram(confidence_histogram(run.rows)),
        "risk": draw_risk(risk_coverage(run.rows, replicates=0)),
        "calibrated": calibrated_rows(run),
        "errors": errors,
        "origin": origin_rows(run),
        "missing": missing(
            run, pictures=album is not None and album.images is not None, mapped=errors.mapped
        ),
    }
