from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.errors import EnvironmentFault, InputError, OutputError
from vitscope.records.predictions import Predictions
from vitscope.records.provenance import Provenance


def _same(left: Predictions, right: Predictions) -> bool:
    arrays = ((left.logits, right.logits), (left.labels, right.labels))
    return all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in arrays
    ) and (left.classes, left.names, left.kind, left.provenance) == (
        right.classes,
        right.names,
        right.kind,
        right.provenance,
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_comes_back_exactly_and_memory_mapped(tmp_path, dtype, kind):
    digit, _ = digits()
    logits = digit.logits.astype(dtype)
    logits[3, 4], logits[5, 6] = np.nan, np.inf
    record = Predictions(
        logits,
        digit.labels,
        digit.classes,
        digit.names,
        kind=kind,
        features=np.arange(2 * len(digit), dtype=np.float32).reshape(-1, 2),
        provenance=Provenance.collect(data="digits", split="test", seed=3, config={"a": {"b": [1]}}),
    )
    assert record.save(tmp_path / "out") == tmp_path / "out"
    loaded = Predictions.load(tmp_path / "out")
    assert _same(record, loaded)
    np.testing.assert_array_equal(loaded.features, record.features)
    assert isinstance(loaded.logits, np.memmap)
    assert isinstance(loaded.features, np.memmap)
    assert not loaded.logits.flags.writeable
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "samples.parquet",
        "logits.npy",
        "features.npy",
        "manifest.json",
    }


def test_names_of_every_kind_come_back(tmp_path):
    names = ["cat/1.png", os.fsdecode(b"caf\xe9/\xff.png"), "🐱", "", "a\nb", "\\udcff", "=1", "x" * 300]
    classes = (r"$\frac$", os.fsdecode(b"\xff"))
    record = Predictions(np.zeros((8, 2)), np.zeros(8, np.int64), classes, tuple(names))
    record.save(tmp_path / "out")
    assert _same(record, Predictions.load(tmp_path / "out"))


def test_no_images_come_back(tmp_path):
    record = made(np.empty((0, 3), np.float32), [])
    record.save(tmp_path / "out")
    assert _same(record, Predictions.load(tmp_path / "out"))


def test_samples_are_readable_without_vitscope(tmp_path):
    import pandas as pd

    made([[0.0, 1.0], [np.nan, 1.0]], [1, 0]).save(tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "samples.parquet")
    assert table.to_dict("list") == {"name": ["0", "1"], "label": [1, 0], "predicted": [1, -1]}


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(-1e3, 1e3)))
@settings(deadline=None)
def test_probabilities_equal_the_plain_loop(logits):
    record = made(logits, [0] * 4)
    np.testing.assert_allclose(
        record.probabilities, [scoring.softmax(row) for row in logits.tolist()], atol=1e-15
    )
    np.testing.assert_allclose(record.probabilities.sum(axis=1), 1)
    assert record.predicted.tolist() == [scoring.arg_max(row) for row in logits.tolist()]


def test_rows_that_are_not_finite():
    record = made([[0.0, np.nan], [np.inf, 0.0], [0.0, 1.0]], [0, 0, 1])
    assert record.finite.tolist() == [False, False, True]
    assert record.predicted.tolist() == [-1, -1, 1]
    assert np.isnan(record.probabilities[:2]).all()
    assert len(record) == 3


def test_given_probabilities_are_kept_and_copied():
    record = made([[0.25, 0.75]], [1], kind="probabilities")
    assert record.probabilities.tolist() == [[0.25, 0.75]]
    assert not np.shares_memory(record.probabilities, record.logits)


def test_an_existing_folder_is_refused_and_kept(tmp_path):
    first, second = made([[0.0, 1.0]], [0]), made([[2.0, 3.0]], [1])
    first.save(tmp_path / "out")
    with pytest.raises(OutputError, match="exists"):
        second.save(tmp_path / "out")
    assert _same(first, Predictions.load(tmp_path / "out"))
    second.save(tmp_path / "out", overwrite=True)
    assert _same(second, Predictions.load(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_can_overwrite_the_folder_it_reads(tmp_path):
    made([[0.0, 1.0]], [0]).save(tmp_path / "out")
    loaded = Predictions.load(tmp_path / "out")
    loaded.save(tmp_path / "out", overwrite=True)
    assert _same(loaded, Predictions.load(tmp_path / "out"))


def test_a_foreign_folder_is_never_overwritten(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(OutputError, match="not made by vitscope"):
        made([[0.0]], [0]).save(tmp_path, overwrite=True)
    assert (tmp_path / "holiday.jpg").exists()


def test_a_folder_below_a_file_is_the_environments_fault(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="cannot write"):
        made([[0.0]], [0]).save(tmp_path / "file" / "out")


def test_a_full_disk_says_so(tmp_path, monkeypatch):
    """A file that may not grow beyond 64 kB, as on a disk with that much room."""
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
        with pytest.raises(EnvironmentFault, match="file too large"):
            made(np.zeros((10_000, 10)), np.zeros(10_000)).save(tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(EnvironmentFault, match="no space left"):
        made([[0.0]], [0]).save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def folder(tmp_path):
    record = made(np.arange(12.0).reshape(4, 3), [0, 1, 2, 0])
    return Predictions(
        record.logits, record.labels, record.classes, record.names, features=np.ones((4, 2))
    ).save(tmp_path / "out")


@pytest.mark.parametrize("name", ["samples.parquet", "logits.npy", "features.npy", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "one byte less", "text", "a folder"])
def test_a_damaged_folder_is_one_clear_error(folder, name, damage):
    path = folder / name
    whole = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        cut = {
            "empty": b"",
            "half": whole[: len(whole) // 2],
            "one byte less": whole[:-1],
            "text": b"cat\n" * 99,
        }
        path.write_bytes(cut[damage])
    if (name, damage) == ("manifest.json", "one byte less"):
        Predictions.load(folder)  # the last line break is no loss
        return
    with pytest.raises(InputError) as caught:
        Predictions.load(folder)
    assert str(folder) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"format": "vitscope.heatmap"},
        {"version": 99},
        {"n": 5},
        {"classes": ["a", "b"]},
        {"classes": [1, 2, 3]},
        {"classes": 3},
        {"classes": "abcd"},
        {"kind": "scores"},
        {"provenance": []},
        {"provenance": None},
    ],
)
def test_a_manifest_that_does_not_fit(folder, change):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(InputError, match=str(folder)):
        Predictions.load(folder)


@pytest.mark.parametrize("text", ["[]", "null", "3", "[" * 10_000, "{}"])
def test_a_manifest_of_another_shape(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="not a predictions folder"):
        Predictions.load(folder)


def test_arrays_of_another_shape(folder):
    np.save(folder / "logits.npy", np.zeros((3, 3)))
    with pytest.raises(InputError, match="expected 3 integer labels"):
        Predictions.load(folder)
    np.save(folder / "logits.npy", np.zeros((4, 3), np.int64))
    with pytest.raises(InputError, match="as floats"):
        Predictions.load(folder)
    np.save(folder / "logits.npy", np.array([[object()]]), allow_pickle=True)
    with pytest.raises(InputError, match="not a whole predictions folder"):
        Predictions.load(folder)


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="no readable manifest"):
        Predictions.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": np.zeros(3)}, "as floats"),
        ({"logits": np.zeros((2, 3), int)}, "as floats"),
        ({"logits": np.zeros((2, 0))}, "at least one class"),
        ({"labels": np.array([0])}, "2 integer labels"),
        ({"labels": np.array([0.0, 1.0])}, "2 integer labels"),
        ({"labels": np.array([0, 3])}, r"labels in 0 … 2, got 0 … 3"),
        ({"labels": np.array([-100, 0])}, r"got -100 … 0"),
        ({"classes": ("a", "b")}, "3 class names"),
        ({"classes": (0, 1, 2)}, "as text"),
        ({"names": ("a",)}, "2 image names"),
        ({"kind": "scores"}, "`logits` or `probabilities`"),
        ({"features": np.zeros((3, 2))}, "features"),
        ({"features": np.zeros(2)}, "features"),
    ],
)
def test_refuses_what_does_not_fit(change, message):
    fitting = {
        "logits": np.zeros((2, 3)),
        "labels": np.array([0, 2]),
        "classes": ("a", "b", "c"),
        "names": ("x", "y"),
    }
    Predictions(**fitting)
    with pytest.raises(InputError, match=message):
        Predictions(**fitting | change)


@pytest.mark.slow
def test_random_damage_never_escapes_as_another_error(folder):
    """Flip, cut and insert bytes in every file: it loads, or it is an InputError."""
    rng = np.random.default_rng(0)
    for _ in range(1000):
        path = folder / rng.choice(["samples.parquet", "logits.npy", "manifest.json"])
        whole = path.read_bytes()
        changed = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            changed[rng.integers(len(changed))] = rng.integers(256)
        path.write_bytes(bytes(changed[: rng.integers(1, len(changed) + 1)]))
        try:
            Predictions.load(folder)
        except InputError:
            pass
        finally:
            path.write_bytes(whole)
