"""State dicts of other programs: what is read, and that they are suspected like checkpoints."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.checkpoint.impostors import HOSTILE
from tests.checkpoint.payloads import payloads, tensor_pickle
from tests.checkpoint.specimens import rezip, saved
from vitscope.checkpoint.files import load_state
from vitscope.errors import CheckpointError, NotFiniteError


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))


def refusal(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load_state(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert (str(caught.value) + caught.value.hint).isprintable()
    return caught.value


def tied() -> dict[str, torch.Tensor]:
    weight = torch.randn(4, 6)
    return {"in": weight, "out": weight, "part": weight[1:3], "turned": weight.T}


STATES: dict[str, Any] = {
    "bare": network().state_dict(),
    "plain dictionary": dict(network().state_dict()),
    "parameters": dict(network().named_parameters()),
    "under model": {"model": network().state_dict(), "epoch": 3, "name": "x"},
    "under state_dict": {"state_dict": network().state_dict(), "optimizer": {"lr": 0.1, "state": []}},
    "with versions of layers": network().double().state_dict(),
    "half": network().half().state_dict(),
    "tied and viewed": tied(),
    "empty tensor": {"w": torch.zeros(0, 3), "v": torch.ones(1)},
    "scalar": {"w": torch.tensor(3.0)},
    "gradient": {"w": torch.zeros(2, requires_grad=True).clone().detach().requires_grad_()},
}


@pytest.mark.parametrize("name", sorted(set(STATES) - {"gradient"}))
def test_weights_come_back_bit_for_bit(name: str, tmp_path: Path):
    path = tmp_path / "w.pth"
    torch.save(STATES[name], path)
    expected = STATES[name].get("model", STATES[name].get("state_dict", STATES[name]))
    found = load_state(path)
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype
        assert torch.equal(found[key], tensor)
        assert not found[key].requires_grad
        assert type(found[key]) is torch.Tensor


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "expected a state dict"),
        ([1, 2], "got a list"),
        (torch.zeros(2), "got a TensorOutline"),
        ({"weights": network().state_dict()}, "keys weights"),
        ({"model": {"w": 3}}, "keys model"),
        ({"w": torch.zeros(2), "epoch": 3}, "keys w, epoch"),
        ({"model": {"w": torch.zeros(1)}, "state_dict": {"v": torch.zeros(1)}}, "both model and state_dict"),
        ({"model": {3: torch.zeros(1)}}, "expected a state dict"),
        ({"w": torch.eye(3).to_sparse()}, "sparse"),
        ({"w": torch.zeros(2).to(torch.float8_e4m3fn)}, "float8"),
        ({"model": {"w": torch.zeros(1)}, "args": argparse.Namespace(lr=3)}, "names argparse.Namespace"),
        (network(), "whole pickled module"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_without_plain_weights(content: Any, message: str, tmp_path: Path):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    assert message in str(refusal(path))


# What of the impostors of checkpoints is a state dict indeed.
_HONEST = {"bare state dict", "parameters", "training of others"}


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - _HONEST))
def test_impostors_are_refused(name: str, tmp_path: Path):
    path = tmp_path / "w.pth"
    HOSTILE[name][0](path)
    refusal(path)


@pytest.mark.parametrize("name", payloads(Path("x")))
def test_runs_no_payload(name: str, tmp_path: Path):
    canary, path = tmp_path / "canary", tmp_path / "w.pth"
    rezip(path, payloads(canary)[name])
    refusal(path)
    assert not canary.exists()


def test_a_whole_checkpoint_is_no_state(tmp_path: Path):
    error = refusal(saved(tmp_path))
    assert "whole vitscope checkpoint" in str(error)
    assert "itself" in error.hint


def state_pickle(shape: tuple[int, ...], stride: tuple[int, ...], *, count: int, offset: int = 0) -> bytes:
    """The state alone, of the checkpoint-like pickle: `{"w": tensor}`."""
    whole = tensor_pickle(shape, stride, count=count, offset=offset)
    return (
        b"\x80\x02}(X\x01\x00\x00\x00w"
        + whole[whole.index(b"ctorch._utils\n") :].removesuffix(b"su.")
        + b"u."
    )


@pytest.mark.parametrize(
    ("shape", "stride", "count", "offset", "fits"),
    [
        ((2,), (1,), 2, 0, True),
        ((1,), (1,), 2, 1, True),
        ((2,), (1,), 2, 1, False),
        ((10**12,), (0,), 2, 0, False),
        ((2, 2), (0, 1), 2, 0, False),
        ((2,), (2,), 2, 0, False),
        ((3,), (1,), 3, 0, False),
        ((1 << 61, 8), (8, 1), 2, 0, False),
        ((2,), (1, 1), 2, 0, False),
        ((0, 10**12), (1, 1), 2, 0, True),
        ((2,), (1,), 2, 1 << 61, False),
    ],
)
def test_tensors_stay_within_their_bytes(shape, stride, count, offset, fits, tmp_path: Path):
    path = tmp_path / "w.pth"
    rezip(path, state_pickle(shape, stride, count=count, offset=offset), storages=(bytes(8),))
    if fits:
        assert tuple(load_state(path)["w"].shape) == shape
    else:
        assert "damaged" in str(refusal(path))


def test_tensors_that_hang_on_attributes_count_too(tmp_path: Path):
    """`_metadata` of an ordered dictionary is set by torch: a tensor in it is held to its bytes as well."""
    inner = state_pickle((10**12,), (0,), count=2)[len(b"\x80\x02}(X\x01\x00\x00\x00w") : -2]
    attributes = b"}X\x01\x00\x00\x00m" + inner + b"s"
    good = state_pickle((2,), (1,), count=2).removeprefix(b"\x80\x02}(").removesuffix(b"u.")
    path = tmp_path / "w.pth"
    ordered = b"\x80\x02ccollections\nOrderedDict\n)R(" + good + b"u" + attributes + b"b."
    rezip(path, ordered, storages=(bytes(8),))
    assert "larger than its storage" in str(refusal(path))


def test_the_state_of_a_tensor_is_not_set(tmp_path: Path):
    tensor = state_pickle((2,), (1,), count=2).removesuffix(b"u.")
    path = tmp_path / "w.pth"
    rezip(path, tensor + b"}bu.", storages=(bytes(8),))
    assert "state of an object" in str(refusal(path))


def test_one_storage_under_many_names(tmp_path: Path):
    weight = torch.zeros(1000)
    torch.save({str(index): weight for index in range(4)}, tmp_path / "four.pth")
    assert len(load_state(tmp_path / "four.pth")) == 4
    torch.save({str(index): weight for index in range(200)}, tmp_path / "many.pth")
    assert "fill the memory" in str(refusal(tmp_path / "many.pth"))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(bad: float, tmp_path: Path):
    torch.save({"a": torch.ones(2), "b": torch.tensor([1.0, bad])}, tmp_path / "w.pth")
    with pytest.raises(NotFiniteError, match="1 of 2 weights hold NaN or infinity, first `b`"):
        load_state(tmp_path / "w.pth")


LOAD = """
import resource, sys
from vitscope.checkpoint.files import load_state
from vitscope.errors import CheckpointError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        load_state(name)
    except CheckpointError as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.slow
def test_bombs_stay_small(tmp_path: Path):
    names = []
    for name in ("deflated", "stride 0", "overflowing", "huge memo", "billion laughs", "many instructions"):
        HOSTILE[name][0](tmp_path / name)
        names.append(str(tmp_path / name))
    rezip(tmp_path / "zeros", b"\x80\x02}.", storages=(bytes(512 << 20),), compress=True)
    answer = subprocess.run(
        [sys.executable, "-c", LOAD, *names, str(tmp_path / "zeros")],
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, grown = answer.stdout.splitlines()
    assert len(lines) == len(names) + 1
    assert int(grown) < 300, f"{grown} MiB"
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0
