"""The error views of `vitscope explain`: images of one class taken for another, and what spoke for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.cli.console import progress_bar, result_json, table, talk
from vitscope.cli.evaluated import predictions_folder
from vitscope.cli.explained import brief, warn
from vitscope.cli.subjects import data_of, find_class
from vitscope.errors import InputError, UsageError
from vitscope.paths import fresh_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitscope.cli.explained import Model, Place
    from vitscope.cli.options import Split
    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Pool
    from vitscope.records.predictions import Predictions
    from vitscope.report.mistakes import MistakesReport

__all__ = ["Errors", "explain_errors"]


@dataclass(frozen=True)
class Errors:
    """Which mistakes are looked at, and how.

    Attributes:
        evaluation: An evaluation or predictions folder.
        pair: The two classes as a text; None for the most confused pair.
        limit: How many images at most.
        difference: Whether one map less the other is drawn too.
        method: The method; None for one that suits the model.
        data: Where the images are, if not where the model's are.
        pool: What the head reads, where the model does not tell.

    Raises:
        UsageError: The method is unknown, explains no class, or takes no notice of the pool.
    """

    evaluation: Path
    pair: str | None
    limit: int
    difference: bool
    method: str | None
    data: str | None
    pool: Pool | None

    def __post_init__(self) -> None:
        from vitscope.explain.methods import find_method
        from vitscope.report.request import check_request

        if self.method is not None and not find_method(self.method).per_class:
            raise UsageError(
                f"{self.method} explains no class, and --errors tells two apart", hint="relevance does"
            )
        check_request([self.method or "relevance"], ["predicted"], pool=self.pool)


def explain_errors(asked: Errors, model: Model, place: Place) -> None:
    """Draw the mistakes of an evaluation, write the folder and tell of it.

    Args:
        asked: Which mistakes.
        model: The model that made the predictions; without a source the one that they name.
        place: Where the folder goes.

    Raises:
        InputError: The folder holds no predictions, or other ones than the model's, or there is no mistake.
        UsageError: The model has no such class.
    """
    from vitscope.analysis.mistakes import choose_mistakes
    from vitscope.records.predictions import Predictions

    folder = predictions_folder(asked.evaluation)
    if folder is None:
        raise InputError(
            f"{asked.evaluation} is no evaluation and no predictions folder",
            hint="`vitscope evaluate` writes one",
        )
    predictions = Predictions.load(folder)
    pair = None if asked.pair is None else find_pair(asked.pair, predictions.classes)
    mistakes = choose_mistakes(predictions, pair=pair, limit=asked.limit)
    if not model.source:
        model = replace(model, source=_maker(predictions, asked.evaluation, quiet=place.quiet))
    from vitscope.explain.methods import find_method
    from vitscope.report.maps import default_method
    from vitscope.report.mistakes import report_mistakes
    from vitscope.report.origin import check_model

    classifier = model.open()
    check_model(classifier, predictions)
    images = _images_of(predictions, classifier, asked.data)
    method = asked.method or default_method(classifier, pool=asked.pool)
    if asked.method is None:
        talk(f"method: {method} (for {classifier.name}; another with --method)", quiet=place.quiet)
    out = place.out if place.out is not None else fresh_path(asked.evaluation / ".." / f"mistakes-{method}")
    with progress_bar("explaining", len(mistakes.rows), quiet=place.quiet) as progress:
        report = report_mistakes(
            classifier,
            mistakes,
            images,
            out,
            method=method,
            difference=asked.difference,
            pool=asked.pool if find_method(method).attends else None,
            overwrite=place.overwrite,
            progress=progress,
        )
    names = [predictions.classes[index] for index in mistakes.pair]
    if place.json:
        about: dict[str, Any] = {
            "folder": str(report.folder),
            "checkpoint": model.source,
            "method": method,
            "pair": names,
        }
        about |= {"counts": list(mistakes.counts), "images": list(report.rows)}
        result_json(about | {"warnings": list(report.notes)})
    else:
        _tell(report, names, mistakes.counts, quiet=place.quiet)


def find_pair(text: str, classes: Sequence[str]) -> tuple[int, int]:
    """Return the two classes that a text like `cat,dog` names; names may have commas of their own.

    Raises:
        UsageError: It does not name two classes.
    """
    parts = text.split(",")
    ways = [(",".join(parts[:cut]).strip(), ",".join(parts[cut:]).strip()) for cut in range(1, len(parts))]
    if not ways:
        raise UsageError(
            f"expected --pair like cat,dog, got {text[:80]!r}", hint=f"such as {','.join(classes[:2])}"[:160]
        )
    first, second = next((way for way in ways if way[0] in classes and way[1] in classes), ways[0])
    return find_class(classes, first), find_class(classes, second)


def _maker(predictions: Predictions, evaluation: Path, *, quiet: bool) -> str:
    """Return the model that the predictions name, from where it was or from beside the evaluation."""
    from vitscope.inference.sources import is_named

    source = predictions.provenance.checkpoint
    if not source:
        raise InputError("the predictions do not say which model made them", hint="name it with --checkpoint")
    if not is_named(source) and not Path(source).exists():
        beside = evaluation.absolute().parent / Path(source).name
        if not beside.exists():
            raise InputError(
                f"the checkpoint {source}, which made the predictions, is not there",
                hint="where it has moved, name it with --checkpoint",
            )
        source = str(beside)
    talk(f"checkpoint: {source} (made the predictions)", quiet=quiet)
    return source


def _images_of(predictions: Predictions, model: Classifier, data: str | None) -> ImageSet:
    """Return the split that was predicted, from the data given, else from the model's own."""
    from vitscope.data.sources import load_split

    split: Split = "test"
    if predictions.provenance.split in ("train", "validation"):
        split = "train" if predictions.provenance.split == "train" else "validation"
    spec = data_of(model, data, split)
    own = predictions.provenance.data
    if data is None and own and Path(spec.source).name != own and spec.source != own:
        raise InputError(
            f"the predictions are of {own}, not of the model's own data", hint="name it with --data"
        )
    return load_split(spec, split)


def _tell(report: MistakesReport, names: Sequence[str], counts: tuple[int, int], *, quiet: bool) -> None:
    from vitscope.figures.style import current_style

    lines = [("image", "true", "confidence", "predicted", "confidence", "figure")]
    for row in report.rows:
        shares = f"{row['true_confidence']:.1%}", f"{row['confidence']:.1%}"
        true, predicted = brief(row["true"]), brief(row["predicted"])
        lines.append((row["name"], true, shares[0], predicted, shares[1], row["figure"]))
    table(lines)
    for first, second, count in ((*names, counts[0]), (*reversed(names), counts[1])):
        what = "image" if count == 1 else "images"
        talk(f"{brief(str(first))} taken for {brief(str(second))}: {count:,} {what}", quiet=quiet)
    warn(report.notes, quiet=quiet)
    talk(f"written to {report.folder}, {current_style().kinds}, and the maps as heatmaps.npz", quiet=quiet)
