"""A small checkpoint, and what takes its file apart and puts it together again."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import torch

from vitscope.checkpoint.files import save_checkpoint
from vitscope.checkpoint.record import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def small_checkpoint(**changes: Any) -> Checkpoint:
    generator = torch.Generator().manual_seed(0)
    fields: dict[str, Any] = {
        "model": "vit-micro",
        "options": {"depth": 2, "patch": 4},
        "state": {
            "stem.weight": torch.randn(4, 3, generator=generator),
            "stem.half": torch.randn(5, generator=generator).half(),
            "norm.scale": torch.randn(2, 2, generator=generator).bfloat16(),
            "norm.steps": torch.tensor(7),
            "head.weight": torch.randn(2, 4, generator=generator),
        },
        "classes": ("cat", "dog"),
        "preprocessing": {"mean": [0.5], "size": 8},
        "data": {"name": "digits"},
        "training": {"epoch": 3, "accuracy": 0.97, "note": None},
        "provenance": {"seed": 1},
    }
    return Checkpoint(**(fields | changes))


def same(one: Checkpoint, two: Checkpoint) -> bool:
    """Compare two checkpoints value by value, without their digests."""
    left, right = one.to_dict(), two.to_dict()
    states = left.pop("state"), right.pop("state")
    if set(states[0]) != set(states[1]) or left.pop("resume") is not None or right.pop("resume") is not None:
        return False
    equal = all(
        tensor.dtype == states[1][name].dtype
        and tensor.shape == states[1][name].shape
        and tensor.numpy(force=True).tobytes() == states[1][name].numpy(force=True).tobytes()
        if tensor.dtype is not torch.bfloat16
        else torch.equal(tensor.view(torch.int16), states[1][name].view(torch.int16))
        for name, tensor in states[0].items()
    )
    return equal and left == right


def saved(folder: Path) -> Path:
    path = folder / "good.pth"
    save_checkpoint(small_checkpoint(), path)
    return path


def rezip(path: Path, pickled: bytes, *, storages: tuple[bytes, ...] = (), compress: bool = False) -> None:
    """Write what torch.save would, around any pickle and any storages."""
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        for key, storage in enumerate(storages):
            archive.writestr(f"archive/data/{key}", storage)
        archive.writestr("archive/version", "3\n")


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
