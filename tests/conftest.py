"""What many tests share: one thread, and small runs made by the real trainer."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from filelock import FileLock

from vitscope.checkpoint.files import save_checkpoint
from vitscope.checkpoint.record import Checkpoint
from vitscope.models.registry import build_model
from vitscope.trainers.preparation import prepare
from vitscope.trainers.settings import parse_settings
from vitscope.trainers.training import train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Two threads collapse where several test processes share a machine.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a folder of that name, which one of the test processes fills and all of them read."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def made(name: str, fill: Callable[[Path], object]) -> Path:
        done = root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                fill(root / name)
                done.touch()
        return root / name

    return made


@pytest.fixture(scope="session")
def tiny_run(
    once: Callable[[str, Callable[[Path], object]], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The finished run of a small vision transformer on the digits; tests may write beside its files."""
    settings = parse_settings(
        {
            "preset": "digits",
            "model": {"name": "vit-micro", "width": 24, "depth": 2, "heads": 2},
            "data": {"source": "digits"},
            "optimizer": {"lr": 3e-3},
            "epochs": 2,
            "batch_size": 32,
        }
    )
    trained = once("tiny-run", lambda folder: train(settings, out=folder, device="cpu"))
    return shutil.copytree(trained, tmp_path_factory.mktemp("tiny") / "run", symlinks=True)


@pytest.fixture(scope="session")
def tiny_resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `best.pth` of a resnet18 on the digits, with the weights it begins with."""
    settings = parse_settings({"model": {"name": "resnet18"}, "data": {"source": "digits"}})
    prepared = prepare(settings)
    torch.manual_seed(0)
    network = build_model("resnet18", prepared.options)
    checkpoint = Checkpoint(
        model="resnet18",
        options=prepared.options,
        state=network.state_dict(),
        classes=prepared.train.classes,
        preprocessing=prepared.preprocessing.to_dict(),
        data=prepared.spec.to_dict(),
        training={"settings": settings.model_dump()},
        provenance={},
    )
    path: Path = tmp_path_factory.mktemp("resnet") / "best.pth"
    save_checkpoint(checkpoint, path)
    return path
