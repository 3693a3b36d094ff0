from __future__ import annotations

import csv
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitscope.analysis.tables import cell, number, write_table


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_formulas_get_an_apostrophe(text):
    assert cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=1", "'=1", "cat", " =1"])
def test_other_text_is_kept(text):
    assert cell(text) == text


def test_numbers_that_are_not_finite_are_none():
    assert number(0.25) == 0.25
    assert number(math.nan) is None
    assert number(math.inf) is None


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), min_size=1)


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_text_comes_back(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("table") / "names.csv"
    write_table(path, ("name", "value"), [(name, 0.1) for name in names])
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows == [["name", "value"], *([cell(name), "0.1"] for name in names)]


def test_missing_values_are_empty_cells(tmp_path):
    write_table(tmp_path / "t.csv", ("a", "b", "c"), [(None, math.nan, 3), (1, 2.5, "NA")])
    assert (tmp_path / "t.csv").read_text() == "a,b,c\n,,3\n1,2.5,NA\n"
