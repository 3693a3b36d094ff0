from __future__ import annotations

from functools import partial

import pytest
import typer
from typer.testing import CliRunner

from vitscope.cli.figure_options import for_a_paper
from vitscope.cli.main import app
from vitscope.figures.exhibit import Exhibit, save_exhibit
from vitscope.figures.gallery import draw_notice

COMMANDS = [
    *("evaluate", "compare", "attention", "explain", "faithfulness", "inspect", "embed", "train", "figures")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_there_is_not_is_said_before_anything_is_opened(command):
    for option, value in (("--venue", "chi"), ("--width", "half"), ("--format", "pdf,gif")):
        answer = CliRunner().invoke(app, [command, option, value, "nothing.pth"])
        code = getattr(answer.exception, "exit_code", answer.exit_code)
        said = f"{answer.output} {answer.exception}"
        assert (code, value.split(",")[-1] in said) == (2, True)


def test_the_command_runs_in_the_style_that_was_asked_for():
    found = {}

    def look(name: str, often: int = 1) -> None:
        from vitscope.figures.style import current_style

        found[name, often] = current_style()

    small = typer.Typer()
    small.command()(for_a_paper(look))
    CliRunner().invoke(small, ["plain"], catch_exceptions=False)
    given = ["asked", "--often", "2", "--venue", "icml", "--width", "page", "--format", "svg, pdf"]
    CliRunner().invoke(small, given, catch_exceptions=False)
    assert found["plain", 1].venue.name == "neurips"
    assert found["plain", 1].formats == ("pdf", "png")
    assert found["asked", 2].width == 6.75
    assert found["asked", 2].formats == ("svg", "pdf")


def test_figures_into_a_folder_that_exists_are_asked_for_twice(tmp_path):
    save_exhibit(Exhibit("notice", partial(draw_notice, "text"), "A notice."), tmp_path / "run" / "figures")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notice.tex").write_text("mine", encoding="utf-8")
    words = ["figures", str(tmp_path / "run"), "--quiet", "--out", str(mine)]
    answer = CliRunner().invoke(app, words)
    assert getattr(answer.exception, "exit_code", answer.exit_code) == 5
    assert (mine / "notice.tex").read_text(encoding="utf-8") == "mine"
    CliRunner().invoke(app, [*words, "--overwrite"], catch_exceptions=False)
    assert "A notice." in (mine / "notice.tex").read_text(encoding="utf-8")
