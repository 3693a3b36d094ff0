"""Provenance of a page: what made the numbers, the commands to repeat it, and those for what is missing."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from vitscope.paths import MANIFEST
from vitscope.report.page_text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitscope.records.provenance import Provenance
    from vitscope.report.page_runs import Run

__all__ = ["commands", "missing", "origin_rows"]


def origin_rows(run: Run) -> list[tuple[str, str]]:
    """Return names and values of what made a run's numbers."""
    made = run.predictions.provenance
    versions = dict(made.versions)
    platform = versions.pop("platform", "")
    rows = [
        ("folder", str(run.folder)),
        ("checkpoint", made.checkpoint),
        ("digest of the checkpoint", made.checkpoint_digest),
        ("data", made.data),
        ("split", made.split),
        ("digest of the data", made.data_digest),
        ("images", f"{len(run.predictions):,}"),
        ("classes", f"{len(run.classes):,}"),
        ("predicted", made.created),
        ("seed", "" if made.seed is None else str(made.seed)),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("platform", platform),
        ("git commit", made.git_commit),
    ]
    return [(name, shown(value)) for name, value in rows if value]


def commands(runs: Sequence[Run], own: Provenance) -> list[dict[str, Any]]:
    """Return the commands that made what is on the page, in the order in which they were run."""
    found: dict[tuple[str, ...], str] = {}
    for run in runs:
        trained = run.training.manifest.get("provenance") if run.training is not None else None
        for made in (trained, run.predictions.provenance.to_dict(), *_beside(run)):
            if words := _words(made):
                found.setdefault(words, str(made["created"]))
    found[_words(own.to_dict())] = own.created
    lines = sorted(found.items(), key=lambda line: line[1])
    return [{"words": words, "created": shown(created)} for words, created in lines if words]


def _beside(run: Run) -> list[Any]:
    folders = [folder for kind in run.beside.values() for folder in kind[:1]]
    manifests = (json.loads((folder / MANIFEST).read_text(encoding="utf-8")) for folder in folders)
    return [manifest.get("provenance") for manifest in manifests]


def _words(made: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever a manifest holds
    """Return the words of a command line as a shell takes them; none where it is not one of vitscope."""
    command = made.get("command") if isinstance(made, dict) else None
    if not command or not all(isinstance(word, str) for word in command) or command[0] != "vitscope":
        return ()
    return tuple(_quoted(word) for word in command)


def _quoted(word: str) -> str:
    return shlex.quote(shown(word) if word else word)


def missing(run: Run, *, pictures: bool, mapped: bool) -> list[dict[str, Any]]:
    """Return what the page could have of a run and has not, each with the command that makes it.

    Args:
        run: The run.
        pictures: Whether its images were found.
        mapped: Whether there are maps over its confident errors.
    """
    source = run.predictions.provenance.checkpoint or "best.pth"
    beside, folder = run.folder.absolute().parent, str(run.folder)
    found: list[tuple[str, tuple[str, ...]]] = []
    if not pictures:
        found.append(("images", ("report", folder, "--data", "FOLDER")))
    elif not mapped:
        found.append(("attention maps over the errors", ("report", folder)))
    if "temperature" not in run.metrics:
        found.append(("calibration after temperature scaling", ("evaluate", source, "--calibrate")))
    if "conformal_coverage" not in run.metrics:
        found.append(("prediction sets", ("evaluate", source, "--conformal", "0.1")))
    for kind, what in (("faithfulness", "evidence for explanations"), ("embed", "an embedding")):
        name = "embedding" if kind == "embed" else kind
        if f"vitscope.{name}" not in run.beside:
            found.append((what, (kind, source, "--out", str(beside / name))))
    return [{"what": what, "words": ("vitscope", *map(_quoted, words))} for what, words in found]
