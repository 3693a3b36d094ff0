from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from tests.oracles import comparing
from vitscope.analysis.significance import holm, mcnemar_exact, mcnemar_mid, tango
from vitscope.errors import UsageError

counts = st.integers(0, 300)
Z = 1.959963984540054


@settings(deadline=None)
@given(counts, counts)
def test_mcnemar_is_the_binomial_sum(b, c):
    assert float(mcnemar_exact(b, c)) == pytest.approx(comparing.mcnemar(b, c), rel=1e-11)
    assert float(mcnemar_mid(b, c)) == pytest.approx(comparing.mid_p(b, c), rel=1e-11)
    assert float(mcnemar_exact(b, c)) == float(mcnemar_exact(c, b))
    assert float(mcnemar_mid(b, c)) <= float(mcnemar_exact(b, c))


def test_mcnemar_equals_scipys_binomial_test():
    for b, c in ((0, 6), (3, 11), (40, 65), (500, 612)):
        assert float(mcnemar_exact(b, c)) == pytest.approx(binomtest(b, b + c).pvalue, rel=1e-10)


def test_mcnemar_by_hand():
    # 1 + 5 of 32 outcomes on each side; mid: both sides, with the outcome seen by half: 2 (1 + 2.5)/32.
    assert float(mcnemar_exact(1, 4)) == 12 / 32
    assert float(mcnemar_mid(1, 4)) == 7 / 32
    # b = c: every other outcome is less even; 20 of 64 are as even.
    assert float(mcnemar_mid(3, 3)) == pytest.approx(1 - 10 / 64)
    assert float(mcnemar_exact(0, 0)) == float(mcnemar_mid(0, 0)) == 1


@pytest.mark.parametrize(("b", "c"), [(499_000, 501_000), (495_000, 505_000), (485_000, 515_000), (7, 999)])
def test_mcnemar_of_a_million(b, c):
    # The oracle's own logarithms are of size 10⁷ there, and lose as many digits.
    assert float(mcnemar_exact(b, c)) == pytest.approx(comparing.mcnemar_by_logarithms(b, c), rel=1e-8)


def test_mcnemar_beyond_the_smallest_float_is_zero():
    assert float(mcnemar_exact(0, 2000)) == 0
    assert float(mcnemar_exact(500_000, 500_000)) == 1


def test_mcnemar_of_arrays():
    b, c = np.array([[1, 0], [3, 10]]), np.array([[4, 0], [3, 25]])
    expected = [
        [comparing.mcnemar(*pair) for pair in zip(*rows, strict=True)] for rows in zip(b, c, strict=True)
    ]
    np.testing.assert_allclose(mcnemar_exact(b, c), np.array(expected, dtype=float), rtol=1e-12)


@pytest.mark.parametrize("bad", [-1, 0.5, np.array([1, -2])])
def test_counts_are_whole(bad):
    for test in (mcnemar_exact, mcnemar_mid):
        with pytest.raises(UsageError, match="whole"):
            test(bad, 1)
    with pytest.raises(UsageError, match="whole"):
        tango(1, bad, 10)


def test_holm_by_hand():
    # 4 × 0.005; 3 × 0.01; 2 × 0.03, and 0.04 once, which may not be less than the one before.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.9]), [1, 1])
    assert holm([]).size == 0
    np.testing.assert_array_equal(holm([0.02, np.nan]), [0.02, np.nan])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_steps_down(values):
    adjusted = holm(values)
    np.testing.assert_allclose(adjusted, comparing.holm(values), rtol=1e-12)
    assert np.all(adjusted >= values)
    assert np.all(adjusted <= 1)
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(adjusted[order]) >= 0)


@pytest.mark.parametrize("bad", [[-0.1], [1.1], [[0.1]], 0.5])
def test_holm_takes_a_list_of_probabilities(bad):
    with pytest.raises(UsageError, match="p-values"):
        holm(bad)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 25), st.integers(0, 25), st.integers(0, 60))
def test_tango_ends_where_the_score_test_rejects(b, c, same):
    n = b + c + same
    if not n:
        return
    low, high = tango(b, c, n)
    assert -1 <= low <= (b - c) / n <= high <= 1
    for end, outward in ((low, -1), (high, 1)):
        if abs(end) < 1 - 1e-9:
            inside = comparing.score_statistic(b, c, n, end - outward * 1e-6)
            outside = comparing.score_statistic(b, c, n, end + outward * 1e-6)
            assert abs(inside) <= Z + 1e-3
            assert abs(outside) >= Z - 1e-3
    np.testing.assert_allclose(tango(c, b, n), [-high, -low], atol=1e-12)


def test_tango_by_hand():
    # No discordant image: Δ² n² = z² n |Δ|(1 − |Δ|).
    edge = Z**2 / (10 + Z**2)
    np.testing.assert_allclose(tango(0, 0, 10), [-edge, edge], rtol=1e-9)
    assert tango(10, 0, 10)[1] == 1
    assert tango(0, 10, 10)[0] == -1
    assert np.isnan(tango(0, 0, 0)).all()
    assert tango(np.zeros((3, 2)), np.ones((3, 2)), 4).shape == (3, 2, 2)


def test_tango_excludes_zero_where_mcnemars_statistic_is_beyond_z():
    for b, c in ((30, 12), (20, 12), (100, 70), (100, 79)):
        significant = (b - c) / math.sqrt(b + c) > Z
        assert (tango(b, c, 400)[0] > 0) == significant


def test_tango_covers():
    rng = np.random.default_rng(0)
    p = np.array([0.12, 0.05, 0.83])
    for n in (20, 60, 500):
        drawn = rng.multinomial(n, p, size=4000)
        low, high = tango(drawn[:, 0], drawn[:, 1], n).T
        assert 0.93 < np.mean((low <= 0.07) & (high >= 0.07)) < 0.985


def test_tango_refuses():
    with pytest.raises(UsageError, match="discordant"):
        tango(3, 3, 5)
    with pytest.raises(UsageError, match="confidence"):
        tango(1, 1, 5, confidence=1)
