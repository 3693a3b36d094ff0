"""The command line as the tests of its commands call it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from vitscope.cli.main import app


@pytest.fixture(scope="session")
def evaluated(once, tiny_run):
    """What `vitscope evaluate` writes of the tiny run's test images; a session's tests read it only."""

    def fill(folder):
        answer = CliRunner().invoke(
            app, ["evaluate", str(tiny_run / "best.pth"), "--out", str(folder), "--quiet"]
        )
        assert answer.exit_code == 0, answer.stderr

    return once("evaluated", fill)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITSCOPE_CHECKPOINT", raising=False)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(argument) for argument in arguments])
