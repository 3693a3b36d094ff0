"""What is explained, by which model and where to, and the run that `attention` and `explain` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.cli.console import progress_bar, result, result_json, table, talk
from vitscope.cli.subjects import find_class, find_model
from vitscope.errors import UsageError
from vitscope.paths import fresh_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitscope.cli.wanted import Wanted
    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Pool
    from vitscope.report.explanation import ExplanationReport
    from vitscope.report.request import Target

__all__ = ["Asked", "Model", "Place", "brief", "method_names", "run_explanation", "table_of", "warn"]

_LONG = 40  # letters of a class's name in a table


@dataclass(frozen=True)
class Model:
    """The model, as the options name it."""

    source: str
    weights: Path | None
    classes: Path | None
    device: str

    @classmethod
    def found(
        cls, given: str | None, weights: Path | None, classes: Path | None, device: str, *, quiet: bool
    ) -> Model:
        """Return the model to use, and say which unless it was given."""
        return cls(find_model(given, quiet=quiet), weights, classes, device)

    def open(self) -> Classifier:
        """Open it; see `vitscope.inference.sources.open_classifier`."""
        from vitscope.inference.classifier import load
        from vitscope.records.arrays import read_names

        names = None if self.classes is None else read_names(self.classes)
        return load(self.source, weights=self.weights, classes=names, device=self.device)

    @property
    def beside(self) -> Path:
        """The folder of its file; the one we are in where it has none."""
        return Path(self.source).parent if Path(self.source).is_file() else Path()


@dataclass(frozen=True)
class Place:
    """Where the folder goes, and how to tell of it."""

    out: Path | None
    overwrite: bool
    json: bool
    quiet: bool


@dataclass(frozen=True)
class Asked:
    """Which maps: methods, none for one that suits the model; targets; evidence; pictures; what is read.

    Raises:
        UsageError: They do not go together.
    """

    methods: tuple[str, ...]
    targets: tuple[str, ...]
    evaluate: bool
    overlays: bool
    pool: Pool | None = None

    def __post_init__(self) -> None:
        from vitscope.report.request import check_request

        # The method that stands for none explains a class.
        methods = self.methods or ("relevance",)
        check_request(methods, self.targets, evaluate=self.evaluate, pool=self.pool)

    def check_labels(self, wanted: Wanted) -> None:
        """Refuse true classes of images that have none.

        Raises:
            UsageError: They are asked for.
        """
        if "true" in self.targets and (wanted.files or wanted.index is None):
            raise UsageError(
                "--target true needs labels, and files have none",
                hint="choose images of the data with --index, or name the class",
            )


def run_explanation(model: Model, wanted: Wanted, asked: Asked, place: Place, *, called: str) -> None:
    """Explain the images, write the folder and tell of it; without methods by one that suits the model.

    `called` is what the folder's name begins with where none is given.
    """
    from vitscope.explain.methods import find_method
    from vitscope.report.explanation import report_explanation
    from vitscope.report.maps import default_method

    classifier = model.open()
    chosen = [target_of(classifier, name) for name in asked.targets]
    methods = asked.methods
    if not methods:
        methods = (default_method(classifier, pool=asked.pool),)
        talk(f"method: {methods[0]} (for {classifier.name}; others with --method)", quiet=place.quiet)
    subjects, own = wanted.subjects(classifier, labelled="true" in chosen)
    name = f"{called}-{methods[0]}" if len(methods) == 1 else called
    folder = place.out if place.out is not None else fresh_path(model.beside / name)
    with progress_bar("explaining", len(subjects), quiet=place.quiet) as progress:
        report = report_explanation(
            classifier,
            subjects,
            folder,
            methods=methods,
            targets=chosen,
            evaluate=asked.evaluate,
            overlays=asked.overlays,
            pool=asked.pool if any(find_method(name).attends for name in methods) else None,
            overwrite=place.overwrite,
            images=own,
            progress=progress,
        )
    tell(report, model, place)


def method_names(method: str | None, methods: str | None) -> tuple[str, ...]:
    """Return the methods that --method or --methods names.

    Raises:
        UsageError: Both are given, or a name is empty.
    """
    if method is not None and methods is not None:
        raise UsageError("--method and --methods cannot be given together", hint="name all with --methods")
    if methods is None:
        return () if method is None else (method,)
    names = tuple(name.strip() for name in methods.split(","))
    if not all(names):
        raise UsageError(f"expected --methods like rollout,relevance, got {methods[:80]!r}")
    return names


def target_of(model: Classifier, name: str) -> Target:
    """Return the target that a text names: `predicted`, `true`, or a class of the model.

    Raises:
        UsageError: The model has no such class.
    """
    if name == "predicted":
        return "predicted"
    if name == "true":
        return "true"
    return find_class(model.classes, name)


def tell(report: ExplanationReport, model: Model, place: Place) -> None:
    """Print a table of the images, or everything as JSON."""
    if place.json:
        result_json(_summary(report, model))
        return
    from vitscope.figures.style import current_style

    table_of(report.rows)
    if report.faithfulness:
        result()
        _tell_faithfulness(report.faithfulness)
    files = ", ".join(report.heatmaps.values())
    talk(f"written to {report.folder}, {current_style().kinds}, and the maps as {files}", quiet=place.quiet)
    warn(report.notes, quiet=place.quiet)


def warn(notes: Sequence[str], *, quiet: bool) -> None:
    """Say what is to be known of results, on stderr; JSON has it as `warnings`."""
    for note in notes:
        talk(f"WARNING: {note}", quiet=quiet)


def table_of(rows: Sequence[dict[str, Any]]) -> None:
    """Print a line an image: what is predicted, how sure, what was explained and where it is drawn."""
    explained = any(row.get("explained") for row in rows)
    lines: list[tuple[str, ...]] = [
        ("image", "predicted", "confidence", *(("explained",) if explained else ()), "figure")
    ]
    for row in rows:
        classes = (", ".join(map(brief, row["explained"])),) if explained else ()
        said = brief(row["predicted"]), f"{row['confidence']:.1%}"
        lines.append((row["name"], *said, *classes, row["figure"]))
    table(lines)


def brief(name: str) -> str:
    """Return a class's name as a table has room for it: of a long one its beginning and its end."""
    return name if len(name) <= _LONG else f"{name[: _LONG - 14]}…{name[-13:]}"


def _tell_faithfulness(rows: Sequence[dict[str, Any]]) -> None:
    """Print a line a method and baseline: its scores, and by which it is better than both baselines."""
    metrics = [name for name in rows[0] if f"{name}_interval" in rows[0]]
    lines = [("faithfulness", *metrics, "better than both")]
    for row in rows:
        beaten = [
            name for name in metrics if row.get(f"{name}_beats_random") and row.get(f"{name}_beats_centre")
        ]
        said = "" if row["mean_rank"] is None else ", ".join(beaten) or "in nothing"
        lines.append((row["method"], *(f"{row[name]:.3g}" for name in metrics), said))
    table(lines)


def _summary(report: ExplanationReport, model: Model) -> dict[str, Any]:
    return {
        "folder": str(report.folder),
        "checkpoint": model.source,
        "methods": list(report.methods),
        "heatmaps": report.heatmaps,
        "images": list(report.rows),
        "faithfulness": report.faithfulness,
        "warnings": list(report.notes),
    }
