"""The run folder: one owner, files that are whole, the manifest last."""

from __future__ import annotations

import csv
import io
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from vitscope.errors import OutputError
from vitscope.paths import MANIFEST, check_output, explained, fresh_path, utc_stamp, write_json, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RunFolder"]

_OWN_FILES = (MANIFEST, "config.yaml", "metrics.csv", "best.pth", "last.pth")


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
            self._lock = FileLock(path / ".lock")
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise OutputError(
                    f"another process is writing {path}", hint="wait for it, or choose another --out"
                ) from None
        for stale in path.glob(".*.partial"):
            stale.unlink(missing_ok=True)

    @classmethod
    def create(cls, out: Path | None, *, preset: str, data: str, overwrite: bool) -> RunFolder:
        """Make the folder of a new run: `out`, or `runs/<UTC time>_<preset>_<data>`, linked as `runs/latest`.

        Raises:
            OutputError: `out` exists and `overwrite` is off, or was not made by vitscope.
        """
        if out is not None:
            if not _unfinished(out):
                check_output(out, overwrite=overwrite)
            elif not overwrite:
                raise OutputError(f"the output {out} exists", hint=f"add --overwrite, or --resume {out}")
            folder = cls(out)
            folder.clear()
            return folder
        name = "_".join(filter(None, (utc_stamp(), _word(preset), _word(Path(data).name))))
        folder = cls(fresh_path(Path("runs") / name))
        folder.point_latest()
        return folder

    def clear(self) -> None:
        """Remove what an earlier run left, and nothing else."""
        for name in _OWN_FILES:
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / "figures", ignore_errors=True)

    def point_latest(self) -> None:
        """Let `latest`, beside the folder, point to it."""
        link = self.path.parent / "latest"
        if link.is_symlink() or not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(self.path.name)

    def release(self) -> None:
        """Give the folder up; other processes may write it now."""
        (self.path / ".lock").unlink(missing_ok=True)
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


def _unfinished(path: Path) -> bool:
    """Whether a folder holds a run that has no manifest yet."""
    return (path / "config.yaml").is_file() and not (path / MANIFEST).exists()


def _word(text: str) -> str:
    """Return `text` as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:60]
