from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tests.oracles.samples import digits, made
from vitscope.analysis.comparison import compare
from vitscope.errors import UsageError
from vitscope.figures.agreement import draw_agreement, draw_overlap
from vitscope.figures.class_differences import draw_class_differences
from vitscope.figures.comparison import draw_comparison
from vitscope.figures.disagreements import draw_disagreements
from vitscope.figures.model_accuracy import draw_model_accuracy, draw_model_differences, letter

BLUE, VERMILLION = "#0072b2", "#d55e00"


def compared(width=10, models=3, count=900, names=None):
    rng = np.random.default_rng(width)
    labels = rng.integers(width, size=count)
    common, bonus = rng.normal(size=(count, width)), rng.normal(size=(models, width))
    found = {}
    for place in range(models):
        logits = common + rng.normal(size=(count, width))
        logits[np.arange(count), labels] += 1.5 + 0.2 * place + 0.5 * bonus[place][labels]
        found[names[place] if names else f"model {place}"] = made(logits, labels)
    return compare(found, replicates=40)


def weaker():
    """The digits, a second model that errs more often, and their images."""
    predictions, images = digits()
    noise = np.random.default_rng(0).normal(size=predictions.logits.shape)
    other = made(predictions.logits + 0.8 * noise, predictions.labels, classes=predictions.classes)
    first = made(predictions.logits, predictions.labels, classes=predictions.classes)
    return compare({"ridge": first, "noisy": other}, replicates=20), images


def points(ax):
    return [line for line in ax.lines if line.get_marker() not in ("None", None, "")]


def written(ax):
    """The texts that are seen: ticks beyond the axes are not drawn."""
    yield from (text for text in ax.texts if text.get_text())
    if not ax.axison:
        return
    yield from (text for text in (ax.title, ax.xaxis.label) if text.get_text())
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        yield from (
            tick.label1
            for tick in axis.get_major_ticks()
            if low <= tick.get_loc() <= high and tick.label1.get_text()
        )


def assert_nothing_is_cut(figure):
    figure.set_dpi(150)
    figure.draw_without_rendering()
    whole = figure.bbox.padded(1)
    for ax in figure.findobj(mpl.axes.Axes):
        for text in written(ax):
            box = text.get_window_extent()
            assert whole.contains(box.x0, box.y0), text.get_text()
            assert whole.contains(box.x1, box.y1), text.get_text()
            assert text.get_size() >= 6


def test_accuracies_and_differences_are_where_they_belong():
    result = compared(models=4)
    ax = draw_model_accuracy(result).axes[0]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in points(ax)]
    np.testing.assert_allclose(
        places, [(value, row) for row, value in enumerate(result.estimates.values[:, 0])]
    )
    assert ax.get_yticklabels()[1].get_text() == "model 1  B"
    assert "n = 900" in ax.get_xlabel()
    ax = draw_model_differences(result).axes[0]
    drawn = points(ax)
    for row, (line, name) in enumerate(zip(drawn, result.models[1:], strict=True), start=1):
        each = result.difference(name, result.models[0])
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (each.values[0], row)
        assert to_hex(line.get_color()) == (VERMILLION if each.values[0] < 0 else BLUE)
        hollow = to_hex(line.get_markerfacecolor()) == "#ffffff"
        assert hollow == (each.p_holm >= 0.05)
    ends = [
        line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2 and line.get_marker() == "None"
    ]
    np.testing.assert_allclose(ends[1:], [each.intervals[0] for each in result.differences[:3]])
    said = [text.get_text() for text in ax.texts]
    assert said[0] == "reference"
    assert sum(text.startswith("p ") for text in said) == 3


def test_classes_stand_in_order_and_are_cut_to_both_ends():
    difference = compared(width=30, count=3000).differences[0]
    figure = draw_class_differences(difference)
    ax = figure.axes[0]
    shown = [line.get_xdata()[0] for line in points(ax)]
    ordered = np.sort(difference.classes.value)[::-1]
    np.testing.assert_allclose(shown, [*ordered[:8], *ordered[-8:]])
    assert "8 highest and 8 lowest of 30" in ax.get_title()
    for line, label in zip(points(ax), ax.get_yticklabels(), strict=True):
        index = difference.classes.classes.index(label.get_text())
        assert difference.classes.value[index] == line.get_xdata()[0]
        hollow = to_hex(line.get_markerfacecolor()) == "#ffffff"
        assert hollow == (difference.classes.p_holm[index] >= 0.05)
        assert (line.get_marker() == "s") == (line.get_xdata()[0] < 0)


@pytest.mark.slow
def test_a_class_without_images_is_not_drawn():
    difference = compare(
        {"a": made(np.eye(3)[[0, 1]], [0, 1]), "b": made(np.eye(3)[[0, 0]], [0, 1])}
    ).differences[0]
    ax = draw_class_differences(difference).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["class 0", "class 1"]
    assert ax.get_xlabel().startswith("b \N{MINUS SIGN} a")


def test_agreement_and_overlap_have_their_numbers():
    result = compared(models=3)
    ax = draw_agreement(result.agreement).axes[0]
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert len(written) == 6
    assert written[(2, 0)] == written[(0, 2)] == f"{100 * result.agreement.same[0, 2]:.0f}"
    overlap = result.differences[0].overlap
    ax = draw_overlap(overlap, names=("B", "A")).axes[0]
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written[(0, 0)].endswith(f"\n{overlap.both_right}")
    assert written[(0, 1)].endswith(f"\n{overlap.only_model}")
    assert written[(1, 0)].endswith(f"\n{overlap.only_reference}")
    assert written[(1, 1)].endswith(f"\n({overlap.wrong_alike} alike)")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["B right", "B wrong"]


def test_drawing_on_given_axes():
    result = compared()
    for draw, what in (
        (draw_model_accuracy, result),
        (draw_model_differences, result),
        (draw_class_differences, result.differences[0]),
        (draw_agreement, result.agreement),
        (draw_overlap, result.differences[0].overlap),
    ):
        figure = Figure()
        ax = figure.subplots()
        assert draw(what, ax=ax) is figure
        assert figure.axes == [ax]


LONG = tuple(
    f"a model of a very long name $x_{{1}}$ that no place has room for, {index}" for index in range(8)
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "models", "names"), [(2, 2, None), (10, 2, LONG), (10, 3, None), (100, 8, LONG)]
)
def test_the_whole_figure_is_whole(width, models, names):
    before = dict(mpl.rcParams)
    figure = draw_comparison(compared(width, models, names=names))
    assert_nothing_is_cut(figure)
    assert figure.get_figwidth() == 5.5
    assert figure.get_figheight() < 8
    assert dict(mpl.rcParams) == before


def test_the_figure_shows_the_best_or_the_one_asked_for():
    result = compared(models=3)
    best = 1 + int(np.argmax(result.estimates.values[1:, 0]))
    labels = [ax.get_xlabel() for ax in draw_comparison(result).findobj(mpl.axes.Axes)]
    assert any(label.startswith(f"{letter(best)} ") for label in labels)
    labels = [ax.get_xlabel() for ax in draw_comparison(result, model="model 1").findobj(mpl.axes.Axes)]
    assert any(label.startswith("B ") for label in labels)
    with pytest.raises(UsageError, match="itself"):
        draw_comparison(result, model="model 0")
    with pytest.raises(UsageError, match="expected one of"):
        draw_comparison(result, model="none")


def test_identical_models_have_a_figure():
    model = made(np.eye(3), [0, 1, 2])
    assert_nothing_is_cut(draw_comparison(compare({"a": model, "b": model}, replicates=3)))


def test_letters():
    assert [letter(index) for index in (0, 25, 26)] == ["A", "Z", "M27"]


def test_disagreements_say_what_both_models_say():
    result, images = weaker()
    found = result.disagreement("ridge", "noisy")
    asked = []

    def picture(index):
        asked.append(index)
        return images[index]

    figure = draw_disagreements(picture, result, "ridge", "noisy", count=3)
    groups = (found.only_model, found.only_reference, found.wrong_apart)
    assert len(asked) == sum(min(3, len(rows)) for rows in groups)
    assert all(any(index in rows for rows in groups) for index in asked)
    lines = [text.get_text() for text in figure.axes[0].texts]
    assert lines[0] == "A: ridge"
    assert any(
        line.startswith(f"A right, B wrong: {len(found.only_model)} of {result.n} images") for line in lines
    )
    first, second = result.outcomes
    for index in asked:
        for rows, name in ((first, "A"), (second, "B")):
            mark = "✓" if rows.correct[index] else "✗"
            said = f"{name} {mark} {rows.classes[rows.predicted[index]]} {100 * rows.confidence[index]:.0f} %"
            assert said in lines
    assert_nothing_is_cut(figure)


def test_disagreements_are_the_same_for_the_same_seed():
    result, images = weaker()

    def texts(**choice):
        figure = draw_disagreements(images, result, "noisy", "ridge", **choice)
        return [text.get_text() for text in figure.axes[0].texts]

    assert texts() == texts(seed=42) != texts(seed=1)
    assert len(texts(count=7)) > len(texts())


def test_no_disagreement_is_said():
    model = made(np.eye(3), [0, 1, 2])
    result = compare({"a": model, "b": model}, replicates=2)
    figure = draw_disagreements([], result, "a", "b")
    assert [text.get_text() for text in figure.axes[0].texts].count("none") == 3
