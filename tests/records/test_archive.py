"""Archives: every record in one file comes back whole, and what lacks a part is the file's error."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from vitscope.errors import InputError
from vitscope.records import archive
from vitscope.records.archive import read_archive, write_archive
from vitscope.records.filters import Filters
from vitscope.records.heads import HeadStatistics
from vitscope.records.heatmap import Heatmap
from vitscope.records.lens import Lens
from vitscope.records.positions import PositionSimilarity
from vitscope.records.similarity import Similarity

LAYERS = ("blocks.0", "blocks.1")


@cache
def records():
    rng = np.random.default_rng(0)
    table = {"entropy": rng.random((2, 3))}
    return {
        Filters: Filters(rng.random((2, 3, 3, 3)), "components", "conv", 9, np.array([0.6, 0.4])),
        Heatmap: Heatmap(rng.random((2, 3, 3), dtype=np.float32), "relevance", targets=np.array([1, 0])),
        HeadStatistics: HeadStatistics(table, table, LAYERS, (4, 4), (8.0, 8.0), 17, 5),
        Lens: Lens(*rng.random((2, 2, 4)), np.zeros((2, 4), int), np.arange(4), LAYERS, ("a", "b", "c", "d")),
        PositionSimilarity: PositionSimilarity(rng.random((2, 3, 2, 3)), "pos_embed", 1),
        Similarity: Similarity(*rng.random((2, 2, 2)), LAYERS, LAYERS, ("m", "m"), 9, 1),
    }


KINDS = [Filters, Heatmap, HeadStatistics, Lens, PositionSimilarity, Similarity]


def parts(path):
    with np.load(path) as archive:
        arrays = dict(archive)
    return arrays, json.loads(str(arrays.pop("about")))


def rewritten(path, arrays, about):
    with path.open("wb") as stream:
        np.savez(stream, about=np.array(json.dumps(about)), **arrays)


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_comes_back_whole(kind, tmp_path):
    made = records()[kind]
    opened = kind.load(made.save(tmp_path / "record.npz"))
    first, second = (parts(each.save(tmp_path / f"{at}.npz")) for at, each in enumerate((made, opened)))
    assert first[1] == second[1]
    assert first[0].keys() == second[0].keys()
    assert all(np.array_equal(first[0][name], second[0][name]) for name in first[0])


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_lacking_or_of_another_form_is_the_files_error(kind, tmp_path):
    path = records()[kind].save(tmp_path / "record.npz")
    arrays, about = parts(path)
    optional = {Heatmap: ["targets"]}.get(kind, [])
    for name in set(arrays) - set(optional):
        rewritten(path, {key: value for key, value in arrays.items() if key != name}, about)
        with pytest.raises(InputError, match=r"record\.npz does not hold vitscope\."):
            kind.load(path)
        rewritten(path, arrays | {name: np.zeros((1, 1))}, about)
        with pytest.raises(InputError, match=r"record\.npz does not hold vitscope\."):
            kind.load(path)
    for name in set(about) - {"format", "version"}:
        rewritten(path, arrays, {key: value for key, value in about.items() if key != name})
        with pytest.raises(InputError, match=f"lacks '{name}'"):
            kind.load(path)


def test_the_file_is_blamed_for_what_is_made_of_it(tmp_path):
    path = write_archive(tmp_path / "a.npz", "vitscope.a", {"values": np.arange(3)}, {"names": 1})

    def made(what):
        with read_archive(path, "vitscope.a") as (arrays, about):
            assert arrays["values"].tolist() == [0, 1, 2]
            return what(about)

    assert made(lambda about: about["names"]) == 1
    for wrong in (
        lambda about: tuple(about["names"]),
        lambda about: about["names"].x,
        lambda about: about["b"],
    ):
        with pytest.raises(InputError, match=r"a\.npz does not hold vitscope\.a"):
            made(wrong)
    with pytest.raises(InputError, match="says otherwise"), read_archive(path, "vitscope.b"):
        raise AssertionError


def test_what_unpacks_to_far_more_than_it_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_UNPACKED", 2**20)
    zeros, noise = np.zeros(2**20), np.random.default_rng(0).normal(size=2**20)
    bomb = write_archive(tmp_path / "bomb.npz", "kind", {"a": zeros}, {})
    with pytest.raises(InputError, match=r"would unpack to 8,388,\d{3}"), read_archive(bomb, "kind"):
        pass
    large = write_archive(tmp_path / "large.npz", "kind", {"a": noise}, {})
    with read_archive(large, "kind") as (arrays, _):
        assert np.array_equal(arrays["a"], noise)
    monkeypatch.setattr(archive, "_UNPACKED", 2**24)
    with read_archive(bomb, "kind") as (arrays, _):
        assert not arrays["a"].any()
