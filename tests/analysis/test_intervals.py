from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.scoring import wilson_by_search
from vitscope.analysis.intervals import wilson
from vitscope.errors import UsageError


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (1, 1), (1, 2), (7, 10), (90, 100), (9_231, 10_000)])
def test_inverts_the_score_test(hits, count):
    assert wilson(hits, count) == pytest.approx(wilson_by_search(hits, count), abs=1e-9)


def test_equals_scipy():
    from scipy.stats import binomtest

    for hits, count, level in [(3, 17, 0.95), (17, 17, 0.9), (0, 17, 0.99), (400, 1000, 0.95)]:
        expected = binomtest(hits, count).proportion_ci(confidence_level=level, method="wilson")
        assert wilson(hits, count, confidence=level) == pytest.approx(
            (expected.low, expected.high), abs=1e-12
        )


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_properties(case):
    hits, count = case
    low, high = wilson(hits, count)
    assert 0 <= low <= hits / count <= high <= 1
    assert high - low <= 1
    # Right and wrong exchanged mirrors the interval.
    assert wilson(count - hits, count) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    assert np.diff(wilson(4 * hits, 4 * count))[0] < high - low


def test_ends_are_exact():
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0


def test_nothing_tried_is_not_applicable():
    bounds = wilson([0, 1], [0, 2])
    assert bounds.shape == (2, 2)
    assert np.isnan(bounds[0]).all()
    assert np.isfinite(bounds[1]).all()


@pytest.mark.parametrize(("hits", "count", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 0.0), (1, 2, 1.0)])
def test_refuses_nonsense(hits, count, level):
    with pytest.raises(UsageError, match="expected"):
        wilson(hits, count, confidence=level)
