from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles import calibrating
from tests.oracles.samples import digits, made
from vitscope.analysis.decomposition import brier_decomposition
from vitscope.errors import UsageError


def _sum(result):
    within = result.within_bin_variance - result.within_bin_covariance
    return result.reliability - result.resolution + result.uncertainty + within


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (9, 3), elements=st.floats(-5, 5)),
    hnp.arrays(np.int64, 9, elements=st.integers(0, 2)),
    st.sampled_from([1, 4, 15, 100]),
)
def test_the_parts_sum_to_the_score_and_equal_the_plain_loop(logits, labels, bins):
    result = brier_decomposition(made(logits, labels), bins=bins)
    assert _sum(result) == pytest.approx(result.brier, abs=1e-12)
    c, a = calibrating.pairs(logits.tolist(), labels.tolist())
    assert result.brier == pytest.approx(math.fsum((x - y) ** 2 for x, y in zip(c, a, strict=True)) / 9)
    whole = sum(a) / 9
    reliability = resolution = variance = covariance = 0.0
    for members in calibrating.equal_width(c, a, bins):
        if members:
            mean = math.fsum(x for x, _ in members) / len(members)
            share = sum(y for _, y in members) / len(members)
            reliability += len(members) * (mean - share) ** 2 / 9
            resolution += len(members) * (share - whole) ** 2 / 9
            variance += math.fsum((x - mean) ** 2 for x, _ in members) / 9
            covariance += 2 * math.fsum((y - share) * (x - mean) for x, y in members) / 9
    assert result.reliability == pytest.approx(reliability, abs=1e-12)
    assert result.resolution == pytest.approx(resolution, abs=1e-12)
    assert result.uncertainty == pytest.approx(whole * (1 - whole), abs=1e-12)
    assert result.within_bin_variance == pytest.approx(variance, abs=1e-12)
    assert result.within_bin_covariance == pytest.approx(covariance, abs=1e-12)


def test_murphys_three_terms_are_enough_where_bins_hold_one_forecast():
    p = np.array([[0.7, 0.3], [0.7, 0.3], [0.9, 0.1], [0.9, 0.1]])
    result = brier_decomposition(made(p, [0, 1, 0, 0], kind="probabilities"), bins=10)
    assert result.within_bin_variance == pytest.approx(0, abs=1e-30)
    assert result.within_bin_covariance == pytest.approx(0, abs=1e-16)
    # Bins: 0.7 with accuracy 1/2, 0.9 with accuracy 1; overall 3/4.
    assert result.reliability == pytest.approx((0.04 + 0.01) / 2)
    assert result.resolution == pytest.approx(1 / 16)
    assert result.uncertainty == pytest.approx(3 / 16)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [([[0.0]], [0]), ([[0.0, 800.0]], [1]), ([[0.0, 800.0]], [0]), ([[0.0, 0.0]] * 2, [0, 1])],
    ids=["one class", "right", "wrong", "coin"],
)
def test_degenerate_cases(logits, labels):
    result = brier_decomposition(made(logits, labels))
    assert _sum(result) == pytest.approx(result.brier, abs=1e-15)


def test_saves_its_keys(tmp_path):
    result = brier_decomposition(digits()[0])
    saved = json.loads(result.save(tmp_path).read_text())
    assert saved == {"n": 898, "bins": 15, **result.metrics()}
    assert saved["brier_reliability"] == result.reliability
    assert _sum(result) == pytest.approx(saved["brier_top_label"], abs=1e-12)


def test_refuses_no_bins():
    with pytest.raises(UsageError, match="at least 1 bin"):
        brier_decomposition(digits()[0], bins=0)
