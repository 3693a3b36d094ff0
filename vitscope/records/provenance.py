"""Where a result comes from."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["Provenance"]

_PACKAGES = ("vitscope", "torch", "torchvision", "timm", "numpy", "scikit-learn", "matplotlib", "pillow")


@dataclass(frozen=True)
class Provenance:
    """What made a result, so that it can be made again.

    Attributes:
        command: The command line, or the program's name in a Python session.
        created: UTC time, ISO 8601.
        checkpoint: Path or name of the model; empty where there is none.
        checkpoint_digest: The checkpoint's own digest.
        data: Name of the data set, or of its folder.
        split: `train`, `validation`, `test` or empty.
        data_digest: The digest of the images' names and labels.
        seed: The seed, where one was used.
        config: The whole configuration, where there is one.
        versions: Versions of Python, the platform and the packages that bear on numbers.
        git_commit: Commit of the working folder, where it is a git checkout.
    """

    command: tuple[str, ...] = ()
    created: str = ""
    checkpoint: str = ""
    checkpoint_digest: str = ""
    data: str = ""
    split: str = ""
    data_digest: str = ""
    seed: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    git_commit: str = ""

    @classmethod
    def collect(cls, **known: Any) -> Provenance:  # noqa: ANN401 - the fields above
        """Fill in the command, time, versions and commit; `known` gives the other fields."""
        return cls(
            command=(Path(sys.argv[0]).name, *sys.argv[1:]),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=_versions(),
            git_commit=_git_commit(),
            **known,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self) | {"command": list(self.command)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Provenance:
        """Make the record from `to_dict`'s result; keys of newer versions are left out."""
        known = {item.name for item in fields(cls)}
        chosen = {key: item for key, item in value.items() if key in known}
        return cls(**chosen | {"command": tuple(chosen.get("command", ()))})


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git_commit() -> str:
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
