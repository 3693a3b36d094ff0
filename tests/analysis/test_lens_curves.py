"""The lens by layer: shares and means by hand, intervals that hold them."""

from __future__ import annotations

import numpy as np
import pytest

from vitscope.analysis.intervals import wilson
from vitscope.analysis.lens import LENS_MEASURES, lens_by_layer
from vitscope.errors import InputError
from vitscope.records.lens import Lens

CLASSES = ("a", "b", "c")


def lens(images=4):
    return Lens(
        truth=np.array([[0.2, 0.4, 0.1, 0.3], [0.9, 0.7, 0.2, 0.6]])[:, :images],
        final=np.array([[0.2, 0.4, 0.5, 0.3], [0.9, 0.7, 0.8, 0.6]])[:, :images],
        predicted=np.array([[1, 1, 0, 2], [0, 1, 0, 2]])[:, :images],
        labels=np.array([0, 1, 2, 2])[:images],
        layers=("one", "two"),
        classes=CLASSES,
        names=("w", "x", "y", "z")[:images],
    )


def test_by_hand():
    curves = lens_by_layer(lens())
    assert list(curves.values) == list(curves.intervals) == list(LENS_MEASURES)
    np.testing.assert_allclose(curves.values["accuracy"], [0.5, 0.75])
    np.testing.assert_allclose(curves.values["agreement"], [0.75, 1])
    np.testing.assert_allclose(curves.values["true_class"], [0.25, 0.6])
    np.testing.assert_allclose(curves.values["final_class"], [0.35, 0.75])
    np.testing.assert_allclose(curves.intervals["accuracy"], wilson([2, 3], [4, 4]))


def test_intervals_hold_their_values_and_draws_are_seeded():
    curves, again = lens_by_layer(lens()), lens_by_layer(lens())
    for name, values in curves.values.items():
        low, high = curves.intervals[name].T
        assert ((low <= values) & (values <= high)).all()
        np.testing.assert_array_equal(curves.intervals[name], again.intervals[name])
    assert (np.ptp(curves.intervals["true_class"], axis=1) > 0).all()


def test_the_bootstrap_is_near_the_normal_interval():
    random = np.random.default_rng(0)
    truth = random.uniform(size=(1, 400))
    made = Lens(
        truth=truth, final=truth, predicted=np.zeros((1, 400), int), labels=np.zeros(400, int),
        layers=("one",), classes=("a",),
    )  # fmt: skip
    half = 1.96 * truth.std() / 20
    expected = [[truth.mean() - half, truth.mean() + half]]
    np.testing.assert_allclose(lens_by_layer(made).intervals["true_class"], expected, atol=0.006)


def test_the_record_comes_back_and_refuses_what_does_not_fit(tmp_path):
    made = lens()
    back = Lens.load(made.save(tmp_path / "lens.npz"))
    np.testing.assert_array_equal(back.correct, [[False, True, False, True], [True, True, False, True]])
    assert (back.names, back.layers, back.classes) == (made.names, made.layers, CLASSES)
    with pytest.raises(InputError, match=r"expected \[2, 3\]"):
        Lens(made.truth, made.final, made.predicted, made.labels[:3], layers=made.layers, classes=CLASSES)
    with pytest.raises(InputError, match="4 names"):
        Lens(
            made.truth, made.final, made.predicted, made.labels, layers=made.layers, classes=CLASSES,
            names=("w",),
        )  # fmt: skip
