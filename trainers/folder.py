"""The run folder: one owner, files that are whole, the manifest last."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from vitscope.errors import EnvironmentFault, OutputError, UsageError
from vitscope.paths import (
    MANIFEST,
    check_output,
    explained,
    fresh_path,
    is_ours,
    utc_stamp,
    write_json,
    write_text,
)
from vitscope.trainers.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RunFolder", "check_run_output"]

_LOCK = ".lock"
_SINCE_FIRST = ("preset", "model", "data", "augment", "optimizer", "schedule", "epochs", "batch_size", "seed")
_OWN_FILES = (MANIFEST, "config.yaml", "metrics.csv", "best.pth", "last.pth", "wandb.json")
_OWN_FOLDERS = ("figures", "tensorboard", "wandb")


class RunFolder:
    """A folder that one run writes, held by a lock while it does.

    Args:
        path: The folder; made where it is missing.

    Raises:
        OutputError: Another process is writing it.
        EnvironmentFault: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / _LOCK)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise OutputError(
                    f"another process is writing {path}", hint="wait for it, or choose another --out"
                ) from None
        for stale in path.glob(".*.partial"):
            if not stale.is_dir():  # a folder is another command's, which clears it itself
                stale.unlink(missing_ok=True)

    @classmethod
    def create(cls, out: Path | None, *, preset: str, data: str, overwrite: bool) -> RunFolder:
        """Make the folder of a new run: `out`, or `runs/<UTC time>_<preset>_<data>`, linked as `runs/latest`.

        Raises:
            OutputError: `out` exists and `overwrite` is off, or was not made by vitscope.
        """
        if out is None:
            name = "_".join(filter(None, (utc_stamp(), _word(preset), _word(Path(data).name))))
            folder = cls(_claim(Path("runs") / name))
            folder.point_latest()
            return folder
        check_run_output(out, overwrite=overwrite)
        folder = cls(out)
        try:
            check_run_output(out, overwrite=overwrite)  # another process may just have made and left it
        except OutputError:
            folder.release()
            raise
        folder.clear()
        return folder

    def clear(self) -> None:
        """Remove what an earlier run left, its evaluations and maps with it, and nothing else."""
        for name in _OWN_FILES:
            (self.path / name).unlink(missing_ok=True)
        for name in _OWN_FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        for item in list(self.path.iterdir()):
            if item.is_dir() and not item.is_symlink() and is_ours(item):
                shutil.rmtree(item, ignore_errors=True)

    def point_latest(self) -> None:
        """Let `latest`, beside the folder, point to it."""
        link = self.path.parent / "latest"
        if link.exists() and not link.is_symlink():
            return
        # Renamed into place, since other runs may begin at the same moment; not every disk has links.
        with suppress(OSError):
            fresh = link.with_name(f".latest.{self.path.name}")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self.path.name)
            fresh.replace(link)

    def release(self) -> None:
        """Give the folder up; other processes may write it now."""
        (self.path / _LOCK).unlink(missing_ok=True)
        self._lock.release()

    def write_config(self, text: str) -> None:
        """Write the settings."""
        write_text(self.path / "config.yaml", text)

    def write_history(self, history: Sequence[dict[str, float]]) -> None:
        """Write one CSV row an epoch."""
        stream = io.StringIO()
        if history:
            writer = csv.DictWriter(stream, fieldnames=list(history[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(history)
        write_text(self.path / "metrics.csv", stream.getvalue())

    def write_manifest(self, content: dict[str, Any]) -> None:
        """Write the manifest; it says that the run is whole."""
        write_json(self.path / MANIFEST, {"format": "vitscope.run", "version": 1} | content)


def _claim(path: Path) -> Path:
    """Make the folder `path`, or `path-2`, `path-3`…: the first that nobody else made."""
    while True:
        candidate = fresh_path(path)
        try:
            with explained(candidate):
                candidate.parent.mkdir(parents=True, exist_ok=True)
                candidate.mkdir()
        except EnvironmentFault as fault:
            if not isinstance(fault.__cause__, FileExistsError) or not candidate.is_dir():
                raise
        else:
            return candidate


def check_run_output(path: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds something, but not an unfinished run of ours where it may be replaced."""
    if os.path.isdir(path) and {item.name for item in path.iterdir()} <= {_LOCK}:
        return
    if not _unfinished(path):
        check_output(path, overwrite=overwrite)
    elif not overwrite:
        go_on = f", or --resume {path}" if (path / "last.pth").is_file() else ""
        raise OutputError(f"the output {path} exists", hint=f"add --overwrite{go_on}")


def _unfinished(path: Path) -> bool:
    """Whether a folder holds a run without manifest: its `config.yaml` has what the settings of runs have."""
    if not os.path.isfile(path / "config.yaml") or os.path.exists(path / MANIFEST):
        return False
    try:
        found = set(read_settings(path / "config.yaml"))
        return set(_SINCE_FIRST) <= found <= set(Settings.model_fields)
    except UsageError:
        return False


def _word(text: str) -> str:
    """Return `text` as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:60]
