from __future__ import annotations

import csv
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import clustering
from vitscope.analysis.confusion import Confusion
from vitscope.analysis.ordering import ClassOrder, similarity_order, superclass_order
from vitscope.analysis.superclasses import Superclasses
from vitscope.errors import InputError


def _confusion(counts):
    return Confusion.from_counts([f"class {index}" for index in range(len(counts))], counts)


def _planted(width, group, seed=0):
    """Classes in groups, in a random order; members of a group are confused with each other."""
    rng = np.random.default_rng(seed)
    member = rng.permutation(np.arange(width) // group)
    rate = np.where(member[:, None] == member, 8.0, 0.1) * rng.uniform(0.5, 1.5, (width, width))
    counts = rng.poisson(rate) + np.diag(rng.integers(60, 90, width))
    return counts, member


def _together(order, members):
    places = sorted(np.flatnonzero(np.isin(order, list(members))).tolist())
    return places == list(range(places[0], places[0] + len(members)))


@pytest.mark.parametrize("seed", range(4))
def test_every_cluster_of_the_plain_tree_stands_together(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 10_000, (9, 9))  # no two means are equal
    order = similarity_order(_confusion(counts)).order
    for cluster in clustering.clusters(clustering.similarity(counts.tolist())):
        assert _together(order, cluster)


@pytest.mark.parametrize("width", [60, 400])
def test_planted_groups_are_found(width):
    counts, member = _planted(width, 10)
    order = similarity_order(_confusion(counts)).order
    assert all(_together(order, np.flatnonzero(member == each).tolist()) for each in range(width // 10))


def test_better_than_the_given_order_and_no_worse_than_the_planted():
    counts, member = _planted(60, 10)
    similar = clustering.similarity(counts.tolist())
    found = clustering.spread(similar, similarity_order(_confusion(counts)).order.tolist())
    assert found < 0.5 * clustering.spread(similar, range(60))
    assert found <= clustering.spread(similar, np.argsort(member, kind="stable").tolist())


@pytest.mark.slow
@settings(deadline=None)
@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 6)).map(lambda n: n * 2), elements=st.integers(0, 3)))
def test_always_a_permutation_and_always_the_same(counts):
    if not counts.sum():
        counts[0, 0] = 1
    result = _confusion(counts)
    order = similarity_order(result).order
    assert sorted(order.tolist()) == list(range(len(counts)))
    assert order.tolist() == similarity_order(_confusion(counts)).order.tolist()


def test_without_errors_the_order_stays():
    assert similarity_order(_confusion(np.diag([3, 0, 2, 5]))).order.tolist() == [0, 1, 2, 3]


def test_superclasses_stand_together_and_similar_ones_side_by_side():
    # Four superclasses of three; the first and the last are often confused with each other.
    member = np.arange(12) % 4
    counts = np.where(member[:, None] == member, 5, 0) + np.diag(np.full(12, 40))
    counts[np.ix_(member == 0, member == 3)] = 4
    superclasses = Superclasses(tuple(f"class {i}" for i in range(12)), ("a", "b", "c", "d"), member)
    result = superclass_order(_confusion(counts), superclasses)
    names = [name for name, _, _ in result.blocks()]
    assert sorted(names) == ["a", "b", "c", "d"]
    assert abs(names.index("a") - names.index("d")) == 1
    assert [(end - first) for _, first, end in result.blocks()] == [3] * 4
    assert [result.groups[index] for index in result.order] == [name for name in names for _ in range(3)]


def test_saves_the_order(tmp_path):
    order = ClassOrder(("=a", "b", "c"), np.array([2, 1, 0]), ("x", "y", "y"))
    assert order.blocks() == [("y", 0, 2), ("x", 2, 3)]
    with order.save(tmp_path).open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [["position", "class", "group"], ["0", "c", "y"], ["1", "b", "y"], ["2", "'=a", "x"]]
    plain = ClassOrder(("a",), np.array([0]))
    assert plain.blocks() == []
    assert plain.save(tmp_path).read_text() == "position,class,group\n0,a,\n"


@pytest.mark.parametrize(
    ("order", "groups", "said"),
    [
        ([0, 0, 1], (), "each of 3 classes once"),
        ([0, 1], (), "each of 3 classes once"),
        ([0, 1, 2], ("x",), "a group for each of 3 classes, got 1"),
        ([0, 1, 2], ("x", "y", "x"), "side by side, got 'x' apart"),
    ],
)
def test_refuses(order, groups, said):
    with pytest.raises(InputError, match=said):
        ClassOrder(("a", "b", "c"), np.array(order), groups)


def test_refuses_superclasses_of_other_classes():
    superclasses = Superclasses(("x", "y"), ("all",), np.array([0, 0]))
    with pytest.raises(InputError, match="superclasses of the 2 classes"):
        superclass_order(_confusion(np.eye(2, dtype=int)), superclasses)


@pytest.mark.slow
def test_a_thousand_classes_in_half_a_second():
    counts, _ = _planted(1000, 10)
    result = _confusion(counts)
    start = time.process_time()
    similarity_order(result)
    assert time.process_time() - start < 1.5  # 0.1 s on an idle core, SciPy's import included
