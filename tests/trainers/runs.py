"""Small runs, and what must be equal between two of them."""

from __future__ import annotations

import csv

import numpy as np
import torch
from PIL import Image

from vitscope.checkpoint.files import load_checkpoint
from vitscope.trainers.observer import Observer
from vitscope.trainers.overrides import merge
from vitscope.trainers.settings import parse_settings

SMALL = {
    "model": {"name": "vit-micro", "width": 12, "depth": 2, "heads": 2, "dropout": 0.1, "drop_path": 0.1},
    "data": {"source": "digits", "limit": 110},
    "augment": {"rotation": 8, "translation": 0.05, "scale": 0.05},
    "optimizer": {"lr": 3e-3},
    "schedule": {"warmup_epochs": 1},
    "epochs": 3,
    "batch_size": 16,
}
STEPS = 7  # 99 images to train on, 11 to validate


def small(**changes):
    return parse_settings(merge(SMALL, changes))


def history(folder):
    with (folder / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return [{key: value for key, value in row.items() if "second" not in key} for row in rows]


def assert_same_run(one, other):
    """Weights, optimizer and history are equal bit for bit."""
    assert history(one) == history(other)
    for name in ("best.pth", "last.pth"):
        first, second = load_checkpoint(one / name), load_checkpoint(other / name)
        assert list(first.state) == list(second.state)
        assert all(torch.equal(tensor, second.state[key]) for key, tensor in first.state.items())
    first, second = (load_checkpoint(folder / "last.pth").resume["optimizer"] for folder in (one, other))
    assert_same_state(first, second)


def assert_same_state(one, other):
    """Two states of optimizers are equal, however they are nested."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same_state(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_same_state(first, second)
    else:
        assert one == other


class Journal(Observer):
    """Notes what it is told, and acts at one step."""

    def __init__(self, at=None, act=None):
        self.told, self.steps, self.at, self.act = [], 0, at, act

    def begin(self, folder, plan):
        self.told.append(("begin", plan.epochs, plan.images, plan.done))

    def prepared(self, prepared, network, device):
        self.told.append(("prepared", len(prepared.train), device.type))

    def advance(self, images):
        self.steps += 1
        if self.steps == self.at:
            self.act()

    def epoch(self, row, *, best):
        self.told.append(("epoch", int(row["epoch"]), best))

    def end(self):
        self.told.append(("end",))


def pictures(folder, sizes, *, mode="RGB", classes=("cat", "dog"), each=8, suffix="png"):
    draw = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(each):
            rows, columns = sizes[index % len(sizes)]
            values = draw.integers(0, 256, (rows, columns, 3) if mode == "RGB" else (rows, columns))
            Image.fromarray(values.astype(np.uint8)).save(folder / name / f"{index}.{suffix}")
    return str(folder)
