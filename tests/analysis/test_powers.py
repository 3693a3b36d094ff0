from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.oracles.samples import made
from vitscope.analysis import scored as module
from vitscope.analysis.scored import ScoreReader

HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16)


def read(logits, rows=None):
    """Return (row, order, values, shift, moment, top five) of each row that is read, in the rows' order."""
    logits = np.asarray(logits)
    found = []
    whole = slice(0, len(logits)) if rows is None else rows
    for where, scored in ScoreReader(made(logits, np.zeros(len(logits)))).read(whole):
        top, order = scored.top(min(5, logits.shape[1])).tolist(), scored.order().copy()
        for rows, powers in scored.parts():
            parts = (order[rows], powers.values.copy(), powers.shift, powers.moment(), top[rows])
            found += zip(where[rows].tolist(), *parts, strict=True)
    return sorted(found, key=lambda row: row[0])


def test_every_half_has_the_power_of_double_precision():
    found = read(HALVES[:, None])
    wide = HALVES.astype(np.float64)
    assert [row[0] for row in found] == np.flatnonzero(np.isfinite(wide)).tolist()
    for place, _, values, shift, moment, _ in found:
        z = wide[place]
        assert shift == (0.0 if abs(z) <= 300 else z)
        assert values[0] == np.exp(z - shift)
        assert moment == np.exp(z - shift) * (z - shift)


def test_halves_sort_as_whole_numbers_do():
    small = HALVES[np.abs(HALVES) <= 300]
    ((_, order, *_),) = read(small[None])
    index = np.argsort(order, kind="stable")
    numbers, values = order[index].astype(int), small[index].astype(np.float64)
    np.testing.assert_array_equal(np.sign(np.diff(numbers)), np.sign(np.diff(values)))
    assert np.count_nonzero(np.diff(values) == 0) == 1  # −0 and 0


SINGLES = st.one_of(
    st.floats(-31, 31, width=32),
    st.integers(-31 * 2048, 31 * 2048).map(lambda n: n / 2048),  # halfway between two steps
    st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 31.0, -31.0]),
)


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(np.float32, (3, 7), elements=SINGLES))
def test_singles_have_nearly_the_power_of_double_precision(logits):
    for place, _, values, shift, moment, _ in read(logits):
        z = logits[place].astype(np.float64).tolist()
        assert shift == 0
        assert values.tolist() == pytest.approx([math.exp(value) for value in z], rel=4e-15)
        terms = [math.exp(value) * value for value in z]
        assert moment == pytest.approx(math.fsum(terms), abs=1e-14 * math.fsum(map(abs, terms)))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, ">f2", ">f4", ">f8"])
def test_rows_of_any_size_are_read_once(kind):
    """Small, large, huge and not finite, in parts of two rows that mix them."""
    rng = np.random.default_rng(0)
    scale = np.array([1, 1, 20, 400, 3, 1, 1, 1, 60_000])[:, None]
    logits = (rng.uniform(-1, 1, size=(9, 6)) * scale).astype(kind)
    logits[5, 2], logits[6, 0], logits[7, 5] = np.nan, np.inf, -np.inf
    found = read(logits)
    assert [row[0] for row in found] == [0, 1, 2, 3, 4, 8]
    for place, order, values, shift, moment, top in found:
        z = logits[place].astype(np.float64)
        powers = [math.exp(value - shift) for value in z]
        assert values.tolist() == pytest.approx(powers, rel=4e-15, abs=1e-300)
        terms = [power * (value - shift) for power, value in zip(powers, z, strict=True)]
        assert moment == pytest.approx(math.fsum(terms), rel=1e-12, abs=1e-12)
        best = sorted(range(6), key=lambda column: (-z[column], column))
        assert top == best[:5]
        assert np.argsort(-order.astype(np.float64), kind="stable").tolist() == best


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_parts_do_not_show(kind, monkeypatch):
    logits = np.random.default_rng(1).normal(size=(23, 11)).astype(kind)
    logits[[3, 4, 20]] *= np.array(2000, dtype=kind)
    whole = read(logits)
    monkeypatch.setattr(module, "_PART_VALUES", dict.fromkeys((2, 4, 8), 2 * 11))
    parts = read(logits, slice(0, 11)) + read(logits, slice(11, 23))
    for one, other in zip(whole, parts, strict=True):
        for value, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(value, same)


def test_equal_scores_come_in_the_order_of_their_classes():
    for kind in (np.float16, np.float32, np.float64):
        rows = [[0.0, -0.0, 1.0, 1.0, -5.0, 0.0], [-7.0] * 6, [-3.0, -0.0, 0.0, -2.0, -3.0, -1.0]]
        found = [row[-1] for row in read(np.array(rows, dtype=kind))]
        assert found == [[2, 3, 0, 1, 5], [0, 1, 2, 3, 4], [1, 2, 5, 3, 0]]


def test_threads_do_not_share_their_memory():
    logits = np.random.default_rng(2).normal(size=(400, 50)).astype(np.float32)
    reader = ScoreReader(made(logits, np.zeros(400)))

    def total(start):
        ((_, scored),) = reader.read(slice(start, start + 4))
        return [powers.values.sum() for _ in range(3) for _, powers in scored.parts()]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(total, range(0, 400, 4)))
    assert together == [total(start) for start in range(0, 400, 4)]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_logits_that_are_read_only_are_left_alone(kind):
    logits = np.random.default_rng(3).normal(size=(5, 4)).astype(kind)
    before = logits.copy()
    logits.setflags(write=False)
    read(logits)
    np.testing.assert_array_equal(logits, before)


def test_probabilities_are_their_own_powers():
    p = np.array([[0.25, 0.75], [np.nan, 1.0], [1.0, 0.0]])
    ((where, scored),) = ScoreReader(made(p, [0, 0, 0], kind="probabilities")).read(slice(0, 3))
    assert where.tolist() == [0, 2]
    assert [powers.values.tolist() for _, powers in scored.parts()] == [[[0.25, 0.75], [1.0, 0.0]]]
    assert scored.top(2).tolist() == [[1, 0], [0, 1]]
