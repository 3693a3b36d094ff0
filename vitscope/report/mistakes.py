"""The mistakes folder: images of one class taken for another, and what spoke for each of the two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from vitscope.errors import InputError, UsageError
from vitscope.explain.methods import find_method
from vitscope.figures.captions import source_sentence
from vitscope.figures.exhibit import save_exhibit
from vitscope.figures.lettering import shorten, shorten_pair, worded
from vitscope.figures.map_exhibits import page_exhibit
from vitscope.figures.map_grid import MapRow, draw_map_grid, pages
from vitscope.figures.overlay import Scale
from vitscope.figures.style import current_style
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.report.maps import Explained, explain_batch, join_maps
from vitscope.report.origin import check_model, find_rows
from vitscope.report.request import check_request
from vitscope.report.subjects import Subject, batches, provenance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vitscope.analysis.mistakes import Mistakes
    from vitscope.data.imageset import ImageSet
    from vitscope.figures.map_exhibits import MapNote
    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Pool
    from vitscope.report.subjects import Batch

__all__ = ["MistakesReport", "report_mistakes"]

_PAIR = 230.0  # points of both names in a heading


@dataclass(frozen=True)
class MistakesReport:
    """A written mistakes folder.

    Attributes:
        folder: Where it lies.
        rows: One an image: `name`, `true`, `predicted`, the recorded confidence in each (`true_confidence`,
            `confidence`) and the name of its `figure`.
        notes: What is to be known of it, in words.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()


def report_mistakes(
    model: Classifier,
    mistakes: Mistakes,
    images: ImageSet,
    folder: Path,
    *,
    method: str,
    difference: bool = False,
    pool: Pool | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> MistakesReport:
    """Draw what speaks for each of two classes in the images that were taken for the wrong one of them.

    A row an image: the picture, the map of the first class, that of the second, in one scale, and where asked
    for the first less the second. Pages `mistakes-1`… (PDF and PNG), `heatmaps.npz` (the two maps of an image
    after each other) and `manifest.json`, whole or not at all.

    Args:
        model: The classifier that made the predictions.
        mistakes: What `choose_mistakes` returns.
        images: The data set that was predicted, or one that it is a part of.
        folder: The folder to make.
        method: A key of `vitscope.explain.methods.METHODS` that explains a class.
        difference: Whether to draw the difference of the two maps too.
        pool: What the head reads, where the model does not tell: `cls` or `mean`.
        overwrite: Replace a folder that vitscope made there.
        progress: Called with the number of images done since the last call.

    Raises:
        UsageError: The method is unknown, or explains no class.
        InputError: It is another model, or these are other images.
        CaptureError: The method does not apply to this model.
        OutputError: The folder exists and `overwrite` is off.
    """
    if not find_method(method).per_class:
        raise UsageError(f"{method} explains no class", hint="relevance and grad-cam do")
    check_request([method], mistakes.pair, pool=pool)
    check_model(model, mistakes.predictions)
    subjects = _subjects(mistakes, images)
    rows: list[MapRow] = []
    parts: list[Explained] = []
    with staged_folder(folder, overwrite=overwrite) as stage:
        for batch in batches(model, subjects):
            found = explain_batch(model, batch, [method], mistakes.pair, pool=pool)
            parts.append(found)
            for index in range(len(batch.subjects)):
                rows.append(_row(mistakes, batch, found, index, difference))
                if progress is not None:
                    progress(1)
        said = [answer.label for part in parts for answer in part.answers]
        notes = _check_answers(mistakes, said, sure=bool(mistakes.predictions.provenance.checkpoint_digest))
        provenance = provenance_of(model, images)
        figures = _save_pages(mistakes, rows, method, stage, source_sentence(provenance))
        names = tuple(subject.name for subject in subjects)
        joined = join_maps([part.maps[method] for part in parts], names, model.classes)
        replace(joined, provenance=provenance).save(stage / "heatmaps.npz")
        about = _about(mistakes, figures)
        manifest = {"format": "vitscope.mistakes", "version": 1, "method": method, "seed": mistakes.seed}
        manifest |= {
            "pair": [model.classes[index] for index in mistakes.pair],
            "counts": list(mistakes.counts),
        }
        manifest |= {"images": about, "provenance": provenance.to_dict()}
        write_json(stage / MANIFEST, manifest)
    return MistakesReport(folder, tuple(about), notes)


def _subjects(mistakes: Mistakes, images: ImageSet) -> list[Subject]:
    places = find_rows(mistakes.predictions, images)[mistakes.rows].tolist()
    return [
        Subject(name, partial(images.image, place))
        for name, place in zip(mistakes.sample.names, places, strict=True)
    ]


def _check_answers(mistakes: Mistakes, said: list[int], *, sure: bool) -> tuple[str, ...]:
    """Compare what the model says now with what was recorded; without a digest a difference is an error."""
    differ = sum(now != then for now, then in zip(said, mistakes.sample.predicted.tolist(), strict=True))
    if not differ:
        return ()
    text = f"{differ} of {len(said)} images are now predicted otherwise than was recorded"
    if not sure:
        raise InputError(f"{text}: another model made the predictions", hint="name it with --checkpoint")
    return (f"{text}, by rounding: the maps are of the two classes all the same",)


def _row(mistakes: Mistakes, batch: Batch, found: Explained, index: int, difference: bool) -> MapRow:
    sample, number = mistakes.sample, batch.start + index
    true, predicted = int(sample.labels[number]), int(sample.predicted[number])
    sure = sample.probabilities[number]
    (records,) = found.maps.values()
    maps = [record.values[index] for record in records]
    scales = [Scale.fitting(*maps, signed=records[0].signed)] * 2
    if difference:
        maps.append(maps[0] - maps[1])
        scales.append(Scale.fitting(maps[2], signed=True))
    direction = int(true != mistakes.pair[0])
    begins = number == 0 or int(sample.labels[number - 1]) != true
    return MapRow(
        picture=batch.pictures[index],
        maps=tuple(maps),
        scales=tuple(scales),
        lines=(
            (f"is {worded(sample.classes[true], 'class')}", f" ({100 * sure[true]:.0f} %)"),
            (f"taken for {worded(sample.classes[predicted], 'class')}", f" ({100 * sure[predicted]:.0f} %)"),
            worded(batch.subjects[index].name.rpartition("/")[2], "image"),
        ),
        heading=_heading(mistakes, direction) if begins else "",
        box=batch.boxes[index],
    )


def _heading(mistakes: Mistakes, direction: int) -> str:
    first, second = _names(mistakes)
    true, predicted = (first, second) if direction == 0 else (second, first)
    total = int((mistakes.predictions.labels == mistakes.pair[direction]).sum())
    count = mistakes.counts[direction]
    # A name of any length leaves the counts to be read.
    true, predicted = shorten_pair(true, predicted, _PAIR, size=7)
    return f"{true} taken for {predicted}: {count:,} of {total:,} images"


def _names(mistakes: Mistakes) -> list[str]:
    """Return what the two classes are called in figures."""
    return [worded(mistakes.predictions.classes[index], "class") for index in mistakes.pair]


def _save_pages(
    mistakes: Mistakes, rows: Sequence[MapRow], method: str, stage: Path, source: str
) -> list[str]:
    """Draw the pages, and return the name of the one that each image is on."""
    names = _names(mistakes)
    columns = [f"why {name}" for name in names]
    ends, scales = ("against the class", "for it"), "both maps of an image have one scale, written below them"
    if len(rows[0].maps) > 2:
        columns.append(" \N{MINUS SIGN} ".join(shorten(name, 75, size=7) for name in names))
        signed = find_method(method).signed
        short = [shorten(name, 40, size=6.5) for name in names]
        ends = ("below 0", "above 0") if signed else (f"for {short[1]}", f"for {short[0]}")
        scales = "both maps of an image have one scale, the difference its own"
    note = f"{scales}; images drawn at random (seed {mistakes.seed})"
    title = f"{find_method(method).title}: what speaks for each class in images taken for the wrong one"
    files: list[str] = []
    for number, page in enumerate(pages(rows, len(columns)), start=1):
        draw = partial(draw_map_grid, page, columns, title=title, note=note, signed_ends=ends)
        notes = _notes(mistakes, page, len(files), find_method(method).title)
        about = _sentence(mistakes, find_method(method).title)
        save_exhibit(page_exhibit(f"mistakes-{number}", draw, notes, about=about, source=source), stage)
        files += [current_style().file_name(f"mistakes-{number}")] * len(page)
    return files


def _notes(mistakes: Mistakes, page: Sequence[MapRow], start: int, title: str) -> list[MapNote]:
    """Return what is said of each map on a page, whose first image is the `start`-th."""
    names = [mistakes.predictions.classes[place] for place in mistakes.pair]
    explained = (*names, " \N{MINUS SIGN} ".join(names))
    return [
        (mistakes.sample.names[start + place], title, each, values)
        for place, row in enumerate(page)
        for each, values in zip(explained, row.maps, strict=False)
    ]


def _sentence(mistakes: Mistakes, title: str) -> str:
    first, second = (mistakes.predictions.classes[place] for place in mistakes.pair)
    there, back = mistakes.counts
    times = f"{first} is taken for {second} in {there:,} images and {second} for {first} in {back:,}"
    return (
        f"{title}: what speaks for each of two classes in images that were taken for the wrong one; {times}; "
        f"images drawn at random with seed {mistakes.seed}"
    )


def _about(mistakes: Mistakes, figures: Sequence[str]) -> list[dict[str, Any]]:
    sample = mistakes.sample
    about = []
    for row, figure in enumerate(figures):
        true, predicted = int(sample.labels[row]), int(sample.predicted[row])
        about.append(
            {
                "name": sample.names[row],
                "true": sample.classes[true],
                "predicted": sample.classes[predicted],
                "confidence": float(sample.probabilities[row, predicted]),
                "true_confidence": float(sample.probabilities[row, true]),
                "figure": figure,
            }
        )
    return about
