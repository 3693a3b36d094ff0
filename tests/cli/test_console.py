from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitscope.cli.console import plain, result, table


def test_a_table_by_hand(capsys):
    table([("class", "n"), ("cat", "1,000"), ("a\nb", "7\n")])
    assert capsys.readouterr().out == "class      n\ncat    1,000\na?b       7?\n"


def test_a_result_may_have_several_lines(capsys):
    result("\nweakest\n\x1b[31m")
    assert capsys.readouterr().out == "\nweakest\n?[31m\n"


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), min_size=1, max_size=4))
def test_a_row_is_a_line_whatever_it_holds(rows):
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vitscope.cli.console.typer.echo", lines.append)
        table(rows)
    assert len(lines) == len(rows)
    assert all(line == plain(line) and "\n" not in line for line in lines)
