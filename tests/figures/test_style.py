from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from vitscope.errors import UsageError
from vitscope.figures import style
from vitscope.figures.files import save_figure


def _luminance(colour):
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_the_style_ends_with_the_block():
    before = dict(mpl.rcParams)
    with style.drawing():
        assert mpl.rcParams["pdf.fonttype"] == 42
        assert mpl.rcParams["text.parse_math"] is False
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pdf", "svg", "png", "pgf"])
def test_the_session_s_own_style_changes_nothing(tmp_path, kind):
    @style.styled
    def draw():
        figure = style.new_figure(1.5)
        ax = figure.subplots()
        ax.plot([0, 1, 2], [1, 0, 2], marker="o", label="line")
        ax.bar([0], [1], hatch="//")
        ax.grid(visible=True)
        ax.set_title("a title")
        ax.legend()
        return figure

    with style.paper_style("icml", formats=[kind]):
        (plain,) = save_figure(draw(), tmp_path / "plain" / "figure")
        session = {"lines.markersize": 11, "hatch.linewidth": 3, "savefig.dpi": 40, "figure.dpi": 50}
        with mpl.rc_context(), mpl.style.context("dark_background"):
            mpl.rcParams.update(session | {"savefig.transparent": True, "path.simplify_threshold": 0.9})
            before = dict(mpl.rcParams)
            (dark,) = save_figure(draw(), tmp_path / "dark" / "figure")
            assert dict(mpl.rcParams) == before
    assert dark.read_bytes() == plain.read_bytes()


def test_the_style_ends_with_an_error():
    before = dict(mpl.rcParams)

    @style.styled
    def fail():
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert dict(mpl.rcParams) == before


def test_the_map_has_equal_steps_from_white():
    colours = style.sequential_map()(np.arange(256))[:, :3]
    np.testing.assert_allclose(colours[0], 1, atol=1e-6)
    np.testing.assert_allclose(colours[-1], to_rgb("#00418A"), atol=1e-6)
    lab = np.array([style._oklab(tuple(colour)) for colour in colours])
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.001
    assert (np.diff([_luminance(colour) for colour in colours]) < 0).all()


def test_oklab_of_known_colours():
    """The values of Ottosson's own page for white, and for the CSS colour red."""
    assert style._oklab((1, 1, 1)) == pytest.approx((1, 0, 0), abs=1e-4)
    assert style._oklab((1, 0, 0)) == pytest.approx((0.62796, 0.22486, 0.12585), abs=1e-4)


@pytest.mark.parametrize("value", np.linspace(0, 1, 21))
def test_text_has_the_better_contrast(value):
    colour = style.sequential_map()(value)
    chosen = _luminance(style.contrasting(colour))
    light, dark = max(chosen, _luminance(colour)), min(chosen, _luminance(colour))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.slow
def test_a_new_figure_is_unknown_to_pyplot():
    code = (
        "import sys, vitscope.figures.evaluation; from vitscope.figures.style import new_figure; "
        "f = new_figure(2); assert tuple(f.get_size_inches()) == (5.5, 2); "
        "assert not {'matplotlib.pyplot', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_owner_of_axes():
    figure = Figure()
    assert style.owner(figure.subplots()) is figure
    assert style.owner(figure.subfigures(1, 2)[0].subplots()) is figure
    ax = figure.add_subplot()
    ax.remove()
    with pytest.raises(UsageError, match="expected axes in a figure"):
        style.owner(ax)
