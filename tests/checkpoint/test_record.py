"""The checkpoint record: what it takes and what it refuses."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.checkpoint.specimens import small_checkpoint
from vitscope.errors import CheckpointError


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "`model`"),
    ({"classes": ["cat"]}, "`classes` to be names, got list"),
    ({"classes": ()}, "`classes`"),
    ({"classes": ("cat", 3)}, "class name to be text"),
    ({"state": {}}, "`state`"),
    ({"state": {3: torch.zeros(1)}}, "names to be text"),
    ({"state": {"w": 3.0}}, "`w` to be a tensor, got float"),
    ({"state": {"w": torch.eye(2).to_sparse()}}, "`w` as a plain tensor"),
    ({"state": {"w": torch.zeros(2, dtype=torch.complex64)}}, "complex64"),
    ({"state": {"w": torch.zeros(2, device="meta")}}, "`w` as a plain tensor"),
    ({"options": [1]}, "`options` to be a dictionary, got list"),
    ({"training": {3: 1}}, "keys of `training` to be text, got 3"),
    ({"training": {"a": {"b": [1, math.nan]}}}, r"`training.a.b\[1\]` to be a finite number"),
    ({"training": {"lr": np.float64(1)}}, "`training.lr` to be a plain value, got numpy.float64"),
    ({"provenance": {"path": Path("x")}}, "`provenance.path`"),
    ({"data": {"w": torch.zeros(1)}}, "`data.w`"),
    ({"options": {"seed": 1 << 1025}}, "at most 1024 bits"),
    ({"options": {"deep": nested(80)}}, "at most 64 levels"),
    ({"resume": [1]}, "`resume` to be a dictionary"),
    ({"resume": {(1, 2): 1}}, "keys of `resume` to be text or integers"),
    ({"resume": {"set": {1}}}, "`resume.set` to be a plain value, got builtins.set"),
    ({"resume": {"w": [torch.eye(2).to_sparse()]}}, r"`resume.w\[0\]` as a plain tensor"),
    ({"resume": {"deep": nested(80)}}, "at most 64 levels"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_names_what_it_refuses(changes: dict[str, Any], message: str):
    with pytest.raises(CheckpointError, match=message):
        small_checkpoint(**changes)


def test_takes_what_torch_gives():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(3, 2)).sum().backward()
    optimizer.step()
    checkpoint = small_checkpoint(
        state=model.state_dict(),
        resume={
            "optimizer": optimizer.state_dict(),
            "ema": OrderedDict(model.state_dict()),
            "best": -math.inf,
        },
    )
    assert checkpoint.digest.startswith("sha256:")


def test_a_list_that_holds_itself_is_refused():
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(CheckpointError, match="at most 64 levels"):
        small_checkpoint(resume={"loop": loop})
