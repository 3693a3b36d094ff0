"""The runs of a page: evaluations that are there, and the folders beside them that the same model made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.analysis.evaluation import evaluate
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.errors import InputError
from vitscope.paths import MANIFEST, folder_format
from vitscope.records.predictions import Predictions
from vitscope.report.page_files import read_json
from vitscope.report.page_metrics import is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Run", "Training", "open_run"]

_NEEDED = ("n", "n_not_finite", "accuracy", "accuracy_interval", "per_class")

# The folders that count beside an evaluation, and the commands that make them.
_BESIDE = {
    "vitscope.faithfulness": "faithfulness",
    "vitscope.mistakes": "explain",
    "vitscope.explanation": "explain",
    "vitscope.embedding": "embed",
    "vitscope.inspection": "inspect",
}


@dataclass(frozen=True, eq=False)
class Training:
    """The training run that made a checkpoint.

    Attributes:
        folder: Its folder.
        manifest: What its manifest says.
    """

    folder: Path
    manifest: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluated model.

    Attributes:
        name: What it is called.
        folder: The evaluation folder, or that of the predictions.
        predictions: The predictions.
        rows: Their outcomes.
        metrics: The numbers, as `vitscope.analysis.evaluation.Evaluation.metrics` has them.
        beside: Folders that the same model made, by their format, the newest first.
        training: The training run that made the checkpoint; None where it is not there.
    """

    name: str
    folder: Path
    predictions: Predictions
    rows: Outcomes
    metrics: Mapping[str, Any]
    beside: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    training: Training | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names."""
        return self.predictions.classes


def open_run(folder: Path, name: str) -> Run:
    """Open an evaluation, a predictions folder, or the newest evaluation in a training run.

    Faithfulness, mistakes, explanation and embedding folders count where they lie beside the evaluation, in
    the same folder, and their manifest has the digest of the same checkpoint.

    Raises:
        InputError: It is none of these, or damaged.
    """
    found = _evaluation_of(folder)
    within = found / "predictions" if folder_format(found) == "vitscope.evaluation" else found
    predictions = Predictions.load(within)
    rows = outcomes(predictions)
    metrics = (
        evaluate(rows).metrics() if within == found else read_json(found / "metrics.json", maker="evaluate")
    )
    if not is_whole(metrics, predictions.classes):
        raise InputError(
            f"{found / 'metrics.json'} is damaged", hint=f"make it again with: vitscope evaluate {within}"
        )
    if metrics.get("n", 0) + metrics.get("n_not_finite", 0) != len(predictions):
        raise InputError(
            f"{found / 'metrics.json'} is not of the predictions beside it",
            hint=f"make it again with: vitscope evaluate {within}",
        )
    if missing := [key for key in _NEEDED if key not in metrics]:
        raise InputError(
            f"{found / 'metrics.json'} lacks {missing[0]}",
            hint=f"make it again with: vitscope evaluate {within}",
        )
    digest = predictions.provenance.checkpoint_digest
    around = [found.absolute().parent]
    if folder_format(folder) == "vitscope.run":
        around.append(folder.absolute().parent)
    # A run that was copied or moved is found beside its evaluation, else where the checkpoint was.
    trained = [found.absolute().parent, *around[1:], Path(predictions.provenance.checkpoint).parent]
    return Run(
        name=name,
        folder=found,
        predictions=predictions,
        rows=rows,
        metrics=metrics,
        beside=_companions(around, digest) if digest else {},
        training=_training(trained, digest) if digest else None,
    )


def _evaluation_of(folder: Path) -> Path:
    """Return the folder that holds the numbers that an argument names."""
    kind = folder_format(folder)
    if kind == "vitscope.predictions":
        parent = folder.absolute().parent
        return parent if folder_format(parent) == "vitscope.evaluation" else folder
    if kind == "vitscope.evaluation":
        return folder
    if kind == "vitscope.run":
        inside = [item for item in _folders(folder) if folder_format(item) == "vitscope.evaluation"]
        if inside:
            return max(inside, key=_age)
        raise InputError(
            f"{folder} holds no evaluation", hint=f"make one with: vitscope evaluate {folder / 'best.pth'}"
        )
    raise InputError(
        f"{folder} is no run, no evaluation and no predictions folder",
        hint="`vitscope evaluate best.pth` writes one",
    )


def _companions(around: list[Path], digest: str) -> dict[str, tuple[Path, ...]]:
    found: dict[str, list[Path]] = {kind: [] for kind in _BESIDE}
    for item in (inside for folder in around for inside in _folders(folder)):
        kind = folder_format(item)
        if kind in found and _maker(read_json(item / MANIFEST, maker=_BESIDE[kind])) == digest:
            found[kind].append(item)
    return {kind: tuple(sorted(items, key=_age, reverse=True)) for kind, items in found.items() if items}


def _maker(manifest: Mapping[str, Any]) -> str:
    """Return the digest of the checkpoint that made a folder."""
    provenance = manifest.get("provenance")
    digest = provenance.get("checkpoint_digest") if isinstance(provenance, dict) else None
    return digest if isinstance(digest, str) else ""


def _training(folders: list[Path], digest: str) -> Training | None:
    """Return the first of these that is the run whose best weights have this digest."""
    for folder in folders:
        if folder_format(folder) == "vitscope.run":
            manifest = read_json(folder / MANIFEST, maker="train")
            result = manifest.get("result")
            if isinstance(result, dict) and result.get("digest") == digest:
                return Training(folder, manifest)
    return None


def _folders(folder: Path) -> list[Path]:
    try:
        return [item for item in folder.iterdir() if item.is_dir() and not item.name.startswith(".")]
    except OSError:
        return []


def _age(folder: Path) -> tuple[int, str]:
    return (folder / MANIFEST).stat().st_mtime_ns, folder.name
