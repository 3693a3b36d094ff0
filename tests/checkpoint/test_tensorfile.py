"""Safetensors files: what is read, what is refused, and that damage is told in one line."""

from __future__ import annotations

import json
import random
import struct
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from tests.checkpoint.impostors import HOSTILE
from tests.checkpoint.test_mutations import mutate
from vitscope.checkpoint.record import DTYPES
from vitscope.checkpoint.tensorfile import read_tensors
from vitscope.errors import CheckpointError, NotFiniteError

if TYPE_CHECKING:
    from pathlib import Path

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3), "c": torch.zeros(0, 4)}


def saved(folder: Path, state=None, metadata=None) -> Path:
    path = folder / "w.safetensors"
    save_file(STATE if state is None else state, path, metadata=metadata)
    return path


def refusal(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_tensors(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert (str(caught.value) + caught.value.hint).isprintable()
    return caught.value


def raw(header: bytes, body: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def one(**changes) -> bytes:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes
    return json.dumps({"w": entry}).encode()


@pytest.mark.parametrize("kind", DTYPES, ids=str)
def test_it_comes_back_bit_for_bit(kind: torch.dtype, tmp_path: Path):
    state = {"w": torch.arange(6).reshape(2, 3).to(kind), "s": torch.ones((), dtype=kind)}
    held = read_tensors(saved(tmp_path, state, {"format": "pt", "x": "y"}))
    assert held.metadata == {"format": "pt", "x": "y"}
    for name, tensor in state.items():
        assert held.state[name].dtype == kind
        assert torch.equal(held.state[name], tensor)


def test_without_metadata(tmp_path: Path):
    held = read_tensors(saved(tmp_path))
    assert held.metadata == {}
    assert {name: tuple(tensor.shape) for name, tensor in held.state.items()} == {
        "a": (2, 3),
        "b": (),
        "c": (0, 4),
    }


NOT_TENSORS = sorted(set(HOSTILE) - {"safetensors", "run folder"})


@pytest.mark.parametrize("name", NOT_TENSORS)
def test_what_is_no_safetensors_file(name: str, tmp_path: Path):
    path = tmp_path / "w.safetensors"
    HOSTILE[name][0](path)
    refusal(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (raw(b"{}"), "no weights"),
        (raw(one(), bytes(4)), "damaged"),
        (raw(one(), bytes(12)), "damaged"),
        (raw(one(shape=[10**12]), bytes(8)), "damaged"),
        (raw(one(shape=[2**62, 8]), bytes(8)), "damaged"),
        (raw(one(shape=[-2]), bytes(8)), "damaged"),
        (raw(one(data_offsets=[8, 0]), bytes(8)), "damaged"),
        (raw(one(data_offsets=[0, 10**15]), bytes(8)), "damaged"),
        (raw(one(dtype="F33"), bytes(8)), "damaged"),
        (raw(b'{"w": 3}', bytes(8)), "damaged"),
        (raw(b'{"w": {' * 50_000, bytes(8)), "damaged"),
        (raw(b"{" + b" " * 100, bytes(8)), "damaged"),
        (raw(one(), bytes(8), length=2**63), "looks like"),
        (raw(one(dtype="F8_E4M3", data_offsets=[0, 2]), bytes(2)), "float8"),
    ],
)
def test_headers_that_lie(data: bytes, message: str, tmp_path: Path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)
    assert message in str(refusal(path))


def test_tensors_that_overlap(tmp_path: Path):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    path = tmp_path / "w.safetensors"
    path.write_bytes(raw(json.dumps({"a": entry, "b": entry}).encode(), bytes(8)))
    refusal(path)


def test_weights_that_are_not_finite(tmp_path: Path):
    path = saved(tmp_path, {"a": torch.ones(2), "b": torch.tensor([1.0, torch.nan])})
    with pytest.raises(NotFiniteError, match="1 of 2 weights hold NaN or infinity, first `b`"):
        read_tensors(path)


def outcome(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    try:
        read_tensors(path)
    except (CheckpointError, NotFiniteError) as error:
        return "refused" if str(error).isprintable() else "more than one line"
    return "read"


def test_cut_anywhere_and_bytes_changed(tmp_path: Path):
    """The format has no checksum: changed weights may pass, but nothing else may happen than a refusal."""
    path = saved(tmp_path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        refusal(path)
    chance = random.Random(0)
    outcomes = Counter(outcome(path, mutate(whole, chance)) for _ in range(600))
    assert outcomes["refused"] > 300
    assert not outcomes["more than one line"]
