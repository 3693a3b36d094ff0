from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.analysis.test_corruption import predicted
from vitscope.analysis.corruption import corruption
from vitscope.analysis.corruption_means import ALEXNET_ERRORS
from vitscope.data.corruptions.kinds import CORRUPTIONS, MAIN, SEVERITIES
from vitscope.errors import InputError
from vitscope.figures.corruptions import draw_corruption_examples, draw_corruptions

KINDS = tuple(CORRUPTIONS)


def result_of(kinds, severities=SEVERITIES, **options):
    """Errors that grow with the severity, faster for later kinds."""
    n = 200
    cells = {
        (kind, severity): predicted(np.arange(n) < 10 + severity * (2 + KINDS.index(kind)))
        for kind in kinds
        for severity in severities
    }
    return corruption(predicted(np.arange(n) < 10), cells, replicates=20, **options)


def panel_lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_a_panel_a_family_and_a_curve_a_kind():
    result = result_of(KINDS, reference=ALEXNET_ERRORS)
    before = dict(mpl.rcParams)
    figure = draw_corruptions(result)
    titles = [ax.get_legend().get_title().get_text() for ax in figure.axes]
    assert titles == ["Noise", "Blur", "Weather", "Digital", "Extra", "Family means"]
    for ax, family in zip(figure.axes, result.families, strict=False):
        lines = panel_lines(ax)
        assert list(lines) == [CORRUPTIONS[kind].title for kind in result.family_kinds(family)]
        for kind in result.family_kinds(family):
            line, row = lines[CORRUPTIONS[kind].title], result.kinds.index(kind)
            np.testing.assert_allclose(line.get_ydata(), 100 * result.error[row])
            np.testing.assert_allclose(line.get_xdata(), SEVERITIES, atol=0.2)
        assert len({line.get_marker() for line in lines.values()}) == len(lines)
        assert len({line.get_color() for line in lines.values()}) == len(lines)
        spans = [segment[:, 1] for whiskers in ax.collections for segment in whiskers.get_segments()]
        rows = [result.kinds.index(kind) for kind in result.family_kinds(family)]
        np.testing.assert_allclose(spans, 100 * result.interval[rows].reshape(-1, 2))
    means = panel_lines(figure.axes[-1])
    for family, line in means.items():
        np.testing.assert_allclose(line.get_ydata(), 100 * result.family_error(family))
    title = figure.get_suptitle()
    assert f"clean {100 * result.clean_error:.1f} %" in title
    assert f"mean of 15 kinds {100 * result.corruption_error:.1f} %" in title
    assert f"mCE {100 * result.mce:.1f} %" in title
    assert result.generator in title
    assert dict(mpl.rcParams) == before


def test_all_panels_have_the_same_axes():
    figure = draw_corruptions(result_of(MAIN))
    assert len(figure.axes) == 4
    assert len({(*ax.get_xlim(), *ax.get_ylim()) for ax in figure.axes}) == 1
    assert figure.axes[0].get_ylim()[0] == 0


@pytest.mark.parametrize(
    ("kinds", "panels"), [(("fog",), 1), (("fog", "contrast"), 2), (("fog", "contrast", "shot_noise"), 4)]
)
@pytest.mark.parametrize("severities", [(3,), (1, 5)])
def test_few_kinds_and_severities(kinds, panels, severities):
    figure = draw_corruptions(result_of(kinds, severities))
    figure.draw_without_rendering()
    assert len(figure.axes) == panels
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == [
        "clean",
        *map(str, severities),
    ]


@pytest.mark.parametrize("wrong", [0, 7])
def test_all_right_or_all_wrong_or_not_finite(wrong):
    clean, copy = predicted(np.arange(7) < wrong), predicted(np.arange(7) < wrong)
    lost = predicted(np.zeros(7), lost=range(7))
    figure = draw_corruptions(corruption(clean, {("fog", 1): copy, ("fog", 2): lost}, replicates=5))
    figure.draw_without_rendering()
    assert "n/a" in figure.get_suptitle()


def test_draws_family_means_on_given_axes():
    figure = Figure()
    ax = figure.subplots()
    result = result_of(MAIN)
    assert draw_corruptions(result, ax=ax) is figure
    assert list(panel_lines(ax)) == ["noise", "blur", "weather", "digital"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Severity", "Error (%)")
    assert len(figure.axes) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [KINDS, MAIN, ("fog",)])
def test_nothing_is_cut_off_or_covered(kinds):
    figure = draw_corruptions(result_of(kinds))
    figure.set_dpi(300)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * 300
    legends = [ax.get_legend().get_window_extent() for ax in figure.axes]
    for box in [*legends, *(ax.get_tightbbox() for ax in figure.axes)]:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    frames = [ax.get_window_extent() for ax in figure.axes]
    for legend in legends:
        assert not any(legend.shrunk(0.99, 0.99).overlaps(frame.shrunk(0.99, 0.99)) for frame in frames)


def pictures(kinds, shape=(8, 8, 3), count=5):
    random = np.random.default_rng(0)
    return {kind: [random.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)] for kind in kinds}


def drawn_pixels(image, shape):
    """The picture's own pixels: small ones are drawn as squares of several, grey ones in three channels."""
    values = np.asarray(image.get_array())
    values = values[:: values.shape[0] // shape[0], :: values.shape[1] // shape[1]]
    return values[..., 0] if len(shape) == 2 and values.ndim == 3 else values


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("kinds", [KINDS, MAIN, ("fog", "jpeg_compression")])
@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8), (40, 20, 3)])
def test_examples_stand_in_rows_and_columns(kinds, shape):
    examples = pictures(kinds, shape)
    clean = examples["fog"][0]
    figure = draw_corruption_examples(examples, clean=clean)
    shown = [drawn_pixels(image, shape) for image in figure.axes[0].images]
    assert len(shown) == 1 + 5 * len(kinds)
    np.testing.assert_array_equal(shown[0], clean)
    for place, kind in enumerate(kinds):
        for column in range(5):
            np.testing.assert_array_equal(shown[1 + 5 * place + column], examples[kind][column])
    assert all(CORRUPTIONS[kind].title in words(figure) for kind in kinds)  # whole, not shortened
    assert words(figure).count("5") == (1 if len(kinds) <= 6 else 2)
    boxes = [image.get_extent() for image in figure.axes[0].images]
    for left, right, bottom, top in boxes:
        assert 0 <= left < right <= figure.get_figwidth()
        assert 0 <= top < bottom <= figure.get_figheight()
        assert (right - left) / (bottom - top) == pytest.approx(shape[1] / shape[0])
    for number, (left, right, bottom, top) in enumerate(boxes):
        for left2, right2, bottom2, top2 in boxes[:number]:
            assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top


def test_examples_without_the_clean_picture_and_with_few_severities():
    figure = draw_corruption_examples(pictures(("fog",), count=2), severities=(2, 4))
    assert words(figure) == ["fog", "severity", "2", "4"]


@pytest.mark.parametrize("examples", [{}, {"fog": []}, {"fog": [np.zeros((4, 4), np.uint8)]}])
def test_examples_that_do_not_fit_are_refused(examples):
    with pytest.raises(InputError, match="expected 5 pictures a kind"):
        draw_corruption_examples(examples)
