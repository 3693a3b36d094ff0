from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis.calibration import bin_index, reliability
from vitscope.analysis.intervals import wilson
from vitscope.errors import UsageError


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (12, 3), elements=st.floats(-4, 4)),
    hnp.arrays(np.int64, 12, elements=st.integers(0, 2)),
    st.sampled_from([1, 2, 10, 15]),
)
def test_ece_equals_the_plain_loop(logits, labels, bins):
    result = reliability(made(logits, labels), bins=bins)
    assert result.ece == pytest.approx(scoring.ece(logits.tolist(), labels.tolist(), bins), abs=1e-12)
    assert 0 <= result.ece <= 1
    assert result.count.sum() == result.n == 12


@given(st.lists(st.floats(0, 1), min_size=1), st.integers(1, 40))
def test_bins_equal_the_search_among_edges(confidences, bins):
    assert bin_index(np.array(confidences), bins).tolist() == scoring.bins_of(confidences, bins)


@pytest.mark.parametrize("bins", [10, 15, 20])
def test_an_edge_belongs_to_the_bin_below_it(bins):
    edges = np.arange(bins + 1) / bins
    assert bin_index(edges, bins).tolist() == [0, *range(bins)]
    # What rounding puts a hair above an edge stays there too.
    assert bin_index(np.array([0.1 + 0.2, 0.7 - 0.1]), 10).tolist() == [2, 5]


def test_a_case_by_hand():
    # Confidences 0.6 right, 0.6 wrong, 0.9 right, 1.0 right; ten bins.
    p = [[0.6, 0.4], [0.6, 0.4], [0.1, 0.9], [0.0, 1.0]]
    result = reliability(made(p, [0, 1, 1, 1], kind="probabilities"), bins=10)
    assert result.count.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 1, 1]
    assert result.accuracy[[5, 8, 9]].tolist() == [0.5, 1.0, 1.0]
    assert result.confidence[[5, 8, 9]].tolist() == pytest.approx([0.6, 0.9, 1.0])
    assert result.interval[5].tolist() == wilson(1, 2).tolist()
    assert np.isnan(result.accuracy[0])
    assert result.ece == pytest.approx((2 * 0.1 + 0.1 + 0.0) / 4)


def test_ece_equals_torchmetrics_form_inside_bins():
    """With no confidence on an edge every convention agrees: |accuracy − confidence| weighted by bin."""
    predictions, _ = digits()
    result = reliability(predictions)
    full = result.count > 0
    gaps = np.abs(result.accuracy[full] - result.confidence[full])
    assert result.ece == pytest.approx(np.average(gaps, weights=result.count[full]), abs=1e-12)


def test_a_calibrated_model_has_little_error():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 5)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert reliability(made(logits, labels)).ece < 0.015
    assert reliability(made(3 * logits, labels)).ece > 0.1


def test_one_bin_is_the_difference_of_means():
    predictions, _ = digits()
    result = reliability(predictions, bins=1)
    assert result.ece == pytest.approx(abs(result.accuracy[0] - result.confidence[0]))


def test_not_finite_rows_are_left_out():
    assert reliability(made([[np.nan, 0.0], [0.0, 1.0]], [0, 1])).n == 1


BAND = ["band_low", "band_high"]


def test_the_band_holds_a_calibrated_model_and_not_another():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5000, 4)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > rng.random((5000, 1))).argmax(axis=1)
    calm, sharp = reliability(made(logits, labels)), reliability(made(3 * logits, labels))
    for result, least, most in ((calm, 0.8, 1.0), (sharp, 0.0, 0.2)):
        full = result.count > 50
        inside = (result.band[full, 0] <= result.accuracy[full]) & (
            result.accuracy[full] <= result.band[full, 1]
        )
        assert least <= inside.mean() <= most
        empty = result.count == 0
        assert np.isnan(result.band[empty]).all()


def test_saves_the_bins(tmp_path):
    result = reliability(made([[0.0, 5.0]], [1]), bins=3)
    table = pd.read_csv(result.save(tmp_path))
    assert list(table) == ["bin_low", "bin_high", "n", "confidence", "accuracy", "low", "high", *BAND]
    assert table["n"].tolist() == [0, 0, 1]
    assert table["confidence"].isna().tolist() == [True, True, False]
    assert table["confidence"][2] == result.confidence[2]


def test_refuses_no_bins():
    with pytest.raises(UsageError, match="at least 1 bin, got 0"):
        reliability(made([[0.0]], [0]), bins=0)
