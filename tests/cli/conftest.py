"""The command line as the tests of its commands call it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from vitscope.cli.main import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VITSCOPE_CHECKPOINT", raising=False)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(argument) for argument in arguments])
