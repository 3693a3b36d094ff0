from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitscope.analysis.latex import escape, tabular
from vitscope.analysis.tables import write_table


def test_a_table_by_hand():
    text = tabular(
        ("class", "n", "accuracy", "low", "high", "p_holm"),
        [("cat_1", 1234, 0.86712, 0.8498, 0.8844, 0.0432), ("dog", 0, None, None, None, math.nan)],
        percent=("accuracy",),
    )
    assert text.splitlines() == [
        r"% Needs \usepackage{booktabs}; other scripts than Latin, and emoji, need LuaLaTeX or XeLaTeX.",
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r"Class & N & Accuracy (\%) [95\,\% interval] & P holm \\",
        r"\midrule",
        r"cat\_1 & 1{,}234 & 86.7 [85.0, 88.4] & 0.043 \\",
        r"dog & 0 & -- & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_edges_of_bins_are_no_interval():
    text = tabular(("bin_low", "bin_high", "n", "accuracy", "low", "high"), [(0.0, 0.1, 3, 0.5, 0.2, 0.8)])
    assert text.splitlines()[5] == r"0 & 0.100 & 3 & 0.50 [0.20, 0.80] \\"


def test_named_intervals_find_their_column():
    text = tabular(
        ("model", "nll", "ece", "nll_low", "nll_high"), [("a", 0.5, 0.25, 0.4, 0.6)], percent=("ece",)
    )
    assert text.splitlines()[5] == r"a & 0.50 [0.40, 0.60] & 25.0 \\"


def test_a_difference_has_a_minus_sign():
    text = tabular(("a", "b", "b_low", "b_high"), [(-1e-9, -0.5, -0.6, -0.4)])
    assert text.splitlines()[5] == r"$-$1.00e$-$09 & $-$0.50 [$-$0.60, $-$0.40] \\"


def test_whole_numbers_of_numpy_are_whole():
    assert tabular(("n",), [(np.int64(1234567),)]).splitlines()[5] == r"1{,}234{,}567 \\"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("a & b % c", r"a \& b \% c"),
        ("$x_1^2$", r"\$x\_1\textasciicircum{}2\$"),
        ("line\nbreak", "line break"),
        ("日本", "日本"),
        ('a "b" | `c`', r"a \char34{}b\char34{} \textbar{} \textasciigrave{}c\textasciigrave{}"),
        ("well-known -- a --- b", r"well-known -\/- a -\/-\/- b"),
        ("dog's ''tail'' ,,x", r"dog's '\/'tail'\/' ,\/,x"),
        ("a\u202eb\u200bc\u00add\ufeff", "abcd"),
        ("-\u200b-", r"-\/-"),
        ("a\u00a0b\u3000c", "a b c"),
        ("cafe\u0301", "café"),
        ("x\0y", "x y"),
    ],
)
def test_escaping(text, escaped):
    assert escape(text) == escaped


@given(st.text())
def test_nothing_of_a_name_is_obeyed(text):
    shown = escape(text)
    assert not [pair for pair in ("--", "''", ",,") if pair in shown]
    for known in (
        r"\textbackslash{}",
        r"\textasciitilde{}",
        r"\textasciicircum{}",
        r"\textless{}",
        r"\textgreater{}",
        r"\textbar{}",
        r"\textasciigrave{}",
        r"\char34{}",
        r"\/",
        r"\{",
        r"\}",
        r"\$",
        r"\&",
        r"\#",
        r"\%",
        r"\_",
        r"$\infty$",
    ):
        shown = shown.replace(known, "")
    assert not set(shown) & set('\\{}$&#%_~^|`"\n\r\u202e\u200b')


@given(st.text("-,'`?!", max_size=8))
def test_signs_that_join_are_all_there(text):
    assert escape(text).replace(r"\/", "").replace(r"\textasciigrave{}", "`") == text


@pytest.mark.parametrize("name", ["[2pt]", "*", " [x", "\u200b[x", "*[2pt]"])
def test_a_name_is_no_argument_of_the_line_before(name):
    lines = tabular((name, "n"), [(name, 1), ("dog", 2), (name, 3)]).splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    assert [row.startswith("{}") for row in rows] == [True, True, False, True]
    assert rows[1] == "{}" + escape(name) + r" & 1 \\"


def test_no_number_is_a_negative_zero_or_too_long():
    text = tabular(
        ("a", "low", "high", "b", "n"), [(0.02, -0.0004, 0.2, -0.0, -3), (1e300, 0.0, 1e300, 1e300, 0)]
    )
    assert text.splitlines()[5:7] == [
        r"0.02 [0.00, 0.20] & 0 & $-$3 \\",
        r"1.00e+300 [0, 1.00e+300] & 1.00e+300 & 0 \\",
    ]


def test_long_and_wide_tables(tmp_path):
    write_table(tmp_path / "long.csv", ("name", "n"), [(f"c{index}", index) for index in range(150)])
    lines = (tmp_path / "long.tex").read_text().splitlines()
    assert lines[1] == "% The first 100 rows; all are in long.csv."
    assert len([line for line in lines if line.startswith("c")]) == 100
    write_table(tmp_path / "wide.csv", [f"c{index}" for index in range(13)], [range(13)])
    assert not (tmp_path / "wide.tex").exists()
