"""The examples run as they stand."""

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vitscope

EXAMPLES = Path(__file__).parents[1] / "examples"
PLOTS = sorted(EXAMPLES.glob("plot_*.py"))
SCRIPTS = sorted(set(EXAMPLES.glob("*.py")) - set(PLOTS))


@pytest.fixture(scope="module")
def demo(tiny_run, tmp_path_factory):
    """A folder with what `make demo` leaves in `runs/demo`, of a smaller model."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "runs").mkdir()
    (folder / "runs" / "demo").symlink_to(tiny_run, target_is_directory=True)
    predictions = vitscope.predict(vitscope.load(tiny_run / "best.pth"), "digits")
    predictions.save(tiny_run / "evaluation" / "predictions")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example(script, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", PLOTS, ids=lambda path: path.stem)
def test_plot(script, demo, monkeypatch):
    monkeypatch.chdir(demo)
    before = set(demo.rglob("*.p[dn][fg]"))
    runpy.run_path(str(script), run_name="__main__")
    pdf, png = sorted(set(demo.rglob("*.p[dn][fg]")) - before)
    assert (pdf.suffix, png.suffix) == (".pdf", ".png")
    with Image.open(png) as picture:
        levels = np.asarray(picture.convert("L"))
    assert (levels[0] == 255).all(), "something is cut at the upper edge"
    assert 0.001 < (levels < 200).mean() < 0.9


@pytest.mark.parametrize("script", PLOTS, ids=lambda path: path.stem)
def test_plot_is_short_and_listed(script):
    text = script.read_text(encoding="utf-8")
    assert 8 <= len(text.splitlines()) <= 40
    said = ast.get_docstring(ast.parse(text)).splitlines()[0].removesuffix(".")
    assert f"| [{script.name}]({script.name}) | {said} |" in (EXAMPLES / "README.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
def test_notebook(demo):
    from nbclient import NotebookClient
    from nbformat import read

    notebook = read(EXAMPLES / "analysis.ipynb", as_version=4)
    shown = [_pictures(cell) for cell in notebook.cells]
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(demo)}})
    client.execute()
    assert sum(shown) >= 10
    assert [_pictures(cell) for cell in notebook.cells] == shown


def _pictures(cell):
    return sum("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
