from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from vitscope.errors import InputError
from vitscope.figures.history import draw_history

EPOCHS = [
    {
        "epoch": epoch,
        "learning_rate": 1e-3 / epoch,
        "train_loss": 2 / epoch,
        "train_accuracy": 1 - 0.5 / epoch,
        "validation_loss": 2.2 / epoch,
        "validation_accuracy": 0.9 - 0.1 * abs(epoch - 3) if epoch != 2 else float("nan"),
    }
    for epoch in range(1, 6)
]


def _curves(ax):
    return {
        line.get_label(): line.get_xydata()
        for line in ax.lines
        if line.get_label() in ("train", "validation")
    }


def test_draws_every_column():
    before = dict(mpl.rcParams)
    figure = draw_history(EPOCHS, best_epoch=3)
    loss, accuracy, rate = figure.axes
    np.testing.assert_allclose(_curves(loss)["train"], [(e, 2 / e) for e in range(1, 6)])
    np.testing.assert_allclose(_curves(loss)["validation"], [(e, 2.2 / e) for e in range(1, 6)])
    np.testing.assert_allclose(_curves(accuracy)["train"], [(e, 100 - 50 / e) for e in range(1, 6)])
    np.testing.assert_allclose(_curves(accuracy)["validation"], [(1, 70), (3, 90), (4, 80), (5, 70)])
    np.testing.assert_allclose(rate.lines[0].get_xydata(), [(e, 1e-3 / e) for e in range(1, 6)])
    assert [ax.get_ylabel() for ax in figure.axes] == ["Loss", "Accuracy (%)", "Learning rate"]
    assert dict(mpl.rcParams) == before


def test_the_best_epoch_is_marked():
    figure = draw_history(EPOCHS, best_epoch=3)
    for ax in figure.axes:
        assert any(list(line.get_xdata()) == [3, 3] for line in ax.lines)
    stars = [line.get_xydata().tolist() for line in figure.axes[1].lines if line.get_marker() == "*"]
    assert stars == [[[3.0, pytest.approx(90.0)]]]
    assert figure.axes[1].get_title() == "★ best: epoch 3, validation 90.00 %"


@pytest.mark.parametrize("best", [None, 2, 99])
def test_no_best_epoch_to_name(best):
    figure = draw_history(EPOCHS, best_epoch=best)
    assert figure.axes[1].get_title() == ""
    figure.draw_without_rendering()


@pytest.mark.slow
def test_a_frame_and_a_list_are_drawn_alike():
    left, right = draw_history(EPOCHS), draw_history(pd.DataFrame(EPOCHS))
    for a, b in zip(left.axes, right.axes, strict=True):
        assert [line.get_xydata().tolist() for line in a.lines] == [
            line.get_xydata().tolist() for line in b.lines
        ]


def test_one_epoch_is_a_point():
    figure = draw_history(EPOCHS[:1], best_epoch=1)
    figure.draw_without_rendering()
    assert figure.axes[0].lines[0].get_markersize() > 0
    assert [tick for tick in figure.axes[2].get_xticks() if 0.5 <= tick <= 1.5] == [1.0]


def test_a_run_without_validation():
    rows = [row | {"validation_loss": np.nan, "validation_accuracy": None} for row in EPOCHS]
    figure = draw_history(rows)
    figure.draw_without_rendering()
    assert len(_curves(figure.axes[1])["validation"]) == 0


def test_refuses():
    with pytest.raises(InputError, match="at least one epoch"):
        draw_history([])
    with pytest.raises(InputError, match="learning_rate"):
        draw_history([{"epoch": 1}])


def test_a_run_without_accuracies_has_no_panel_of_them():
    rows = [{name: value for name, value in row.items() if not name.endswith("_accuracy")} for row in EPOCHS]
    figure = draw_history(rows, best_epoch=3)
    assert [ax.get_ylabel() for ax in figure.axes] == ["Loss", "Learning rate"]
    drawn = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(drawn, [row["train_loss"] for row in rows])
    with pytest.raises(InputError, match="validation_accuracy"):
        draw_history([row | {"train_accuracy": 0.5} for row in rows])
