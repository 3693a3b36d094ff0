from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.samples import digits
from vitscope.analysis import blocks
from vitscope.analysis.evaluation import evaluate
from vitscope.analysis.outcomes import outcomes
from vitscope.errors import InputError
from vitscope.records.predictions import Predictions
from vitscope.records.shards import Shards


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.data())
def test_reads_like_one_array(lengths, data):
    whole = np.arange(2 * sum(lengths), dtype=np.float32).reshape(-1, 2)
    shards = Shards(np.split(whole, np.cumsum(lengths)[:-1]))
    assert (shards.shape, shards.dtype, len(shards)) == (whole.shape, whole.dtype, len(whole))
    np.testing.assert_array_equal(np.asarray(shards), whole)
    assert np.asarray(shards, dtype=np.float64).dtype == np.float64
    rows = data.draw(st.slices(len(whole)))
    np.testing.assert_array_equal(shards[rows], whole[rows])
    if len(whole):
        chosen = np.array(data.draw(st.lists(st.integers(-len(whole), len(whole) - 1))), dtype=np.int64)
        np.testing.assert_array_equal(shards[chosen], whole[chosen])
        mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))))
        np.testing.assert_array_equal(shards[mask], whole[mask])


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [np.zeros(3)],
        [np.zeros((1, 2)), np.zeros((1, 3))],
        [np.zeros((1, 2)), np.zeros((1, 2), np.float16)],
    ],
    ids=["none", "flat", "widths", "types"],
)
def test_refuses_what_does_not_fit_together(parts):
    with pytest.raises(InputError, match="expected shards"):
        Shards(parts)


def _sharded(record: Predictions, cuts: list[int]) -> Predictions:
    return Predictions(
        Shards(np.split(record.logits, cuts)), record.labels, record.classes, record.names, record.kind
    )


@pytest.mark.slow
def test_predictions_in_shards_are_the_same_predictions(tmp_path, monkeypatch):
    record, _ = digits()
    sharded = _sharded(record, [100, 500])
    folder = sharded.save(tmp_path / "out")
    assert sorted(path.name for path in folder.glob("logits*")) == [
        "logits-00000.npy",
        "logits-00001.npy",
        "logits-00002.npy",
    ]
    loaded = Predictions.load(folder)
    assert isinstance(loaded.logits, Shards)
    assert all(isinstance(part, np.memmap) for part in loaded.logits.parts)
    np.testing.assert_array_equal(loaded.predicted, record.predicted)
    np.testing.assert_array_equal(loaded.probabilities, record.probabilities)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * 10 * 64)  # blocks across the seams
    np.testing.assert_array_equal(outcomes(loaded).log_truth, outcomes(record).log_truth)
    assert evaluate(loaded).accuracy == evaluate(record).accuracy


def test_a_lost_shard_is_missed(tmp_path):
    record, _ = digits()
    folder = _sharded(record, [100, 500]).save(tmp_path / "out")
    (folder / "logits-00001.npy").unlink()
    with pytest.raises(InputError, match="not a whole predictions folder"):
        Predictions.load(folder)


def test_logits_made_in_their_place_stay_there(tmp_path):
    record, _ = digits()
    stage = tmp_path / "out"
    stage.mkdir()
    place = np.lib.format.open_memmap(stage / "logits.npy", "w+", np.float32, record.logits.shape)
    place[:] = record.logits
    inode = (stage / "logits.npy").stat().st_ino
    Predictions(place, record.labels, record.classes, record.names).write(stage)
    assert (stage / "logits.npy").stat().st_ino == inode
    loaded = Predictions.load(stage)
    np.testing.assert_array_equal(loaded.logits, record.logits)
    # A part of the file is not the file.
    Predictions(place[:10], record.labels[:10], record.classes, record.names[:10]).write(stage)
    np.testing.assert_array_equal(Predictions.load(stage).logits, record.logits[:10])
