"""Writing and reading checkpoints: bit for bit, whole or not at all."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checkpoint.specimens import same, saved, small_checkpoint
from tests.oracles.faults import failing_calls
from vitscope.checkpoint.files import load_checkpoint, save_checkpoint
from vitscope.checkpoint.outline import outline_pickle
from vitscope.checkpoint.record import DTYPES
from vitscope.errors import CheckpointError, EnvironmentFault, NotFiniteError


def listed(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


RESUME: dict[str, Any] = {
    "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "groups": [{"betas": (0.9, 0.999), "lr": 1e-3}]},
    "history": [{"epoch": 1, "loss": math.inf}],
    "generator": torch.arange(16, dtype=torch.uint8),
    "state": 2**127,
    "flag": True,
    "none": None,
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_round_trip_is_bit_exact(dtype: torch.dtype, tmp_path: Path):
    generator = torch.Generator().manual_seed(1)
    width = torch.empty(0, dtype=dtype).element_size()
    raw = torch.randint(
        0, 2 if dtype is torch.bool else 256, (6, 5 * width), generator=generator, dtype=torch.uint8
    )
    weight = raw.view(dtype) if dtype is not torch.bool else raw.bool()
    checkpoint = small_checkpoint(state={"w": weight, "empty": weight[:0], "scalar": weight[0, 0]})
    digest = save_checkpoint(checkpoint, tmp_path / "c.pth")
    loaded = load_checkpoint(tmp_path / "c.pth", allow_not_finite=True)
    assert loaded.digest == digest == checkpoint.digest
    for name, tensor in checkpoint.state.items():
        found = loaded.state[name]
        assert found.dtype == dtype
        assert found.shape == tensor.shape
        assert torch.equal(found.reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))


def test_every_field_comes_back(tmp_path: Path):
    checkpoint = small_checkpoint(resume=RESUME)
    save_checkpoint(checkpoint, tmp_path / "deep" / "er" / "c.pth")
    loaded = load_checkpoint(tmp_path / "deep" / "er" / "c.pth")
    assert loaded.classes == ("cat", "dog")
    assert loaded.resume is not None
    assert loaded.resume["optimizer"]["groups"] == RESUME["optimizer"]["groups"]
    assert loaded.resume["optimizer"]["state"][0]["step"] == 3
    assert loaded.resume["state"] == 2**127
    assert loaded.resume["history"] == RESUME["history"]
    assert same(small_checkpoint(), load_checkpoint(saved(tmp_path)))


def test_views_shared_weights_and_gradients_are_written_as_they_are(tmp_path: Path):
    base = torch.randn(100, 100)
    state = {"view": base[::7, 3], "turned": base.T, "a": base, "b": base, "p": torch.nn.Parameter(base[:2])}
    save_checkpoint(small_checkpoint(state=state), tmp_path / "c.pth")
    loaded = load_checkpoint(tmp_path / "c.pth").state
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())
    assert type(loaded["p"]) is torch.Tensor
    assert not loaded["p"].requires_grad


def test_a_slice_does_not_carry_the_whole(tmp_path: Path):
    save_checkpoint(small_checkpoint(state={"w": torch.zeros(1 << 20)[:2]}), tmp_path / "c.pth")
    assert (tmp_path / "c.pth").stat().st_size < 10_000


@pytest.mark.slow
def test_torch_alone_reads_it_with_an_empty_allow_list(tmp_path: Path):
    path = tmp_path / "c.pth"
    digest = save_checkpoint(small_checkpoint(resume=RESUME), path)
    program = (
        "import sys, torch\n"
        "torch.serialization.clear_safe_globals()\n"
        "content = torch.load(sys.argv[1], weights_only=True)\n"
        "print(content['digest'], content['format'], content['version'], len(content['state']))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == [digest, "vitscope.checkpoint", "1", "5"]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(-9, 9), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(value=plain)
def test_any_plain_value_survives_and_its_outline_equals_it(value: Any):
    """The machine that reads pickles without unpickling them agrees with torch."""
    import zipfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.pth"
        save_checkpoint(small_checkpoint(resume={"value": value}), path)
        loaded = load_checkpoint(path)
        with zipfile.ZipFile(path) as archive:
            outline = outline_pickle(archive.read("archive/data.pkl"))
    assert loaded.resume == {"value": value} == outline.value["resume"]
    assert repr(loaded.resume) == repr({"value": value})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_need_leave(bad: float, tmp_path: Path):
    path = tmp_path / "c.pth"
    state = {"fine": torch.ones(2), "broken": torch.tensor([1.0, bad]), "count": torch.tensor(1)}
    save_checkpoint(small_checkpoint(state=state), path)
    with pytest.raises(NotFiniteError, match="1 of 3 weights hold NaN or infinity, first `broken`") as caught:
        load_checkpoint(path)
    assert caught.value.exit_code == 6
    assert load_checkpoint(path, allow_not_finite=True).state["broken"].isfinite().tolist() == [True, False]


def test_unknown_devices(tmp_path: Path):
    path = saved(tmp_path)
    assert load_checkpoint(path, map_location=torch.device("meta")).state["head.weight"].is_meta
    if not torch.cuda.is_available():
        with pytest.raises(EnvironmentFault, match="cannot put the weights on cuda"):
            load_checkpoint(path, map_location="cuda")


def test_default_dtype_and_device_do_not_matter(tmp_path: Path):
    path = saved(tmp_path)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            loaded = load_checkpoint(path)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(loaded, small_checkpoint())


# faults of writing


def test_whichever_call_fails_the_old_file_stays_whole(tmp_path: Path):
    path = saved(tmp_path)
    other = small_checkpoint(model="other")
    counted = failing_calls(None)
    with counted:
        save_checkpoint(other, path)
    assert counted.count >= 5
    old, new = small_checkpoint().digest, other.digest
    seen = set()
    assert counted.passed[0] == "mkdir", "which pathlib forgives where the folder exists"
    for fatal in range(1, counted.count):
        save_checkpoint(small_checkpoint(), path)
        with failing_calls(fatal) as calls, pytest.raises(EnvironmentFault, match="cannot write") as caught:
            save_checkpoint(other, path)
        assert caught.value.exit_code == 4
        assert "\n" not in str(caught.value)
        digest = load_checkpoint(path).digest
        assert digest == (new if "replace" in calls.passed else old)
        seen.add(calls.failed)
        assert listed(tmp_path) == [path.name]
    assert {"open", "write", "fsync", "replace"} <= seen


def test_full_disk(tmp_path: Path):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs privileges that this process lacks")
    try:
        path = mount / "c.pth"
        digest = save_checkpoint(small_checkpoint(), path)
        for size in (65_536, 100_000, 1_000_000):
            with pytest.raises(EnvironmentFault, match=r"cannot write .*c\.pth"):
                save_checkpoint(small_checkpoint(state={"w": torch.randn(size)}), path)
            assert load_checkpoint(path).digest == digest
            assert listed(mount) == ["c.pth"]
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_below_a_file_and_onto_a_folder(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "c.pth", tmp_path / "file" / "a" / "c.pth", tmp_path / "folder"):
        with pytest.raises(EnvironmentFault, match="cannot write"):
            save_checkpoint(small_checkpoint(), path)
    assert listed(tmp_path) == ["file", "folder"]


def test_a_refused_record_writes_nothing(tmp_path: Path):
    with pytest.raises(CheckpointError):
        save_checkpoint(small_checkpoint(training={"path": Path("x")}), tmp_path / "c.pth")
    assert not listed(tmp_path)


def kill_while_saving(path: Path, delay: float) -> None:
    child = os.fork()
    if child == 0:
        try:
            for epoch in range(10_000):
                save_checkpoint(small_checkpoint(training={"epoch": epoch}), path)
        finally:
            os._exit(1)
    signal.sigtimedwait([], delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def kill_often(folder: Path, count: int) -> None:
    path = saved(folder)
    for index in range(count):
        kill_while_saving(path, 0.005 + 0.0007 * (index % 29))
        loaded = load_checkpoint(path)
        assert same(small_checkpoint(training=loaded.training), loaded)
        assert len(listed(folder)) <= 2
    save_checkpoint(small_checkpoint(), path)
    assert listed(folder) == [path.name], "what the last kill left is cleared by the next save"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_any_moment_the_file_is_whole(tmp_path: Path):
    kill_often(tmp_path, 7 * 29)  # every delay seven times
