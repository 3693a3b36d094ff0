from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitscope.analysis.agreement import Overlap
from vitscope.analysis.coverage import SizeStratum
from vitscope.analysis.ordering import ClassOrder
from vitscope.errors import InputError
from vitscope.figures.classes import draw_class_accuracy
from vitscope.records.trees import find_named, named, pack, unpack

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers(), st.integers()), inner)
    ),
    max_leaves=12,
)


def through(value):
    tree, arrays = pack(value)
    return unpack(json.loads(json.dumps(tree)), arrays)


@pytest.mark.slow
@given(PLAIN)
def test_what_is_packed_comes_back(value):
    found = through(value)
    assert found == value
    assert type(found) is type(value)


def test_records_come_back_with_their_arrays():
    order = ClassOrder(("a", "\udcff", "{}"), np.array([2, 0, 1]), ("x", "x", "y"))
    with pytest.raises(InputError, match="apart"):
        ClassOrder(("a", "b", "c"), np.array([0, 2, 1]), ("x", "x", "y"))
    found = through({"order": ClassOrder(order.classes, order.order), "overlap": Overlap(1, 2, 3, 4, 5)})
    assert found["order"].classes == order.classes
    assert found["order"].order.dtype == order.order.dtype
    assert found["order"].order.tolist() == [2, 0, 1]
    assert found["overlap"] == Overlap(1, 2, 3, 4, 5)
    assert through(SizeStratum(1, 2, 3, 4)) == SizeStratum(1, 2, 3, 4)
    assert type(through(np.float32(0.1))) is np.float32


def test_an_array_is_kept_once():
    array = np.arange(5)
    tree, arrays = pack([array, (array, {"again": array})])
    assert len(arrays) == 1
    found = unpack(tree, arrays)
    assert found[0] is found[1][0] is found[1][1]["again"]


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 0, np.array([None]), b"bytes", [1, 2j]])
def test_what_is_no_record_is_refused(value):
    with pytest.raises(InputError, match="cannot keep"):
        pack(value)


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "vitscope.paths:write_text",
        "vitscope.figures.files:Path",
        "vitscope.figures.files:_write_pgf",
        "vitscope.figures.files:save_figure.__globals__",
        "vitscope.figures.nothing:draw_nothing",
        "vitscope.figures.classes:draw_nothing",
        "vitscope.figures.",
        "",
    ],
)
def test_a_file_names_nothing_but_records_and_drawings(name):
    with pytest.raises(InputError):
        find_named(name)
    with pytest.raises(InputError):
        unpack({"record": name, "fields": {}}, {})


def test_a_function_is_no_record():
    name = named(draw_class_accuracy)
    assert find_named(name) is draw_class_accuracy
    with pytest.raises(InputError, match="expected a record"):
        unpack({"record": name, "fields": {}}, {})


def test_a_record_of_another_version_is_refused():
    tree, arrays = pack(ClassOrder(("a",), np.array([0])))
    tree["fields"]["novel"] = 1
    with pytest.raises(InputError, match="other fields"):
        unpack(tree, arrays)
