from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import calibrating
from tests.oracles.samples import made
from vitscope.analysis import binsums
from vitscope.analysis.binsums import BinSums
from vitscope.analysis.outcomes import outcomes
from vitscope.errors import UsageError

PAIRS = st.lists(
    st.tuples(st.sampled_from([0.5, 0.6, 0.65, 0.7, 0.99, 1.0]), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=20,
)


def _rows(confidence, right):
    p = np.stack([confidence, 1 - np.asarray(confidence)], axis=1)
    return outcomes(made(p, 1 - np.asarray(right, dtype=np.int64), kind="probabilities")).scored


@settings(deadline=None)
@given(PAIRS, st.sampled_from([1, 2, 5, 30]), st.sampled_from([1, 3, 256]))
def test_sums_equal_those_of_repeated_pairs(pairs, bins, run):
    confidence, right, weights = (np.array(column) for column in zip(*pairs, strict=True))
    weights[0] += 1
    rows = _rows(confidence, right)
    pairs = [np.repeat(values, weights).tolist() for values in (rows.confidence, rows.correct.astype(int))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binsums, "_RUN", run)
        sums = BinSums(rows, bins=bins)
        weight, hits, residual = sums.equal_width(weights.astype(float))
        mass = sums.equal_mass(weights.astype(float))
    for index, members in enumerate(calibrating.equal_width(*pairs, bins)):
        assert weight[index] == len(members)
        assert hits[index] == sum(a for _, a in members)
        assert residual[index] == pytest.approx(sum(a - c for c, a in members), abs=1e-12)
    expected = [sum(a - c for c, a in members) for members in calibrating.equal_mass(*pairs, bins)]
    assert mass == pytest.approx(np.array(expected), abs=1e-12)


def test_read_only_weights_are_summed_once():
    sums = BinSums(_rows([0.6, 0.9], [1, 0]), bins=3)
    weights = np.ones(2)
    assert sums._runs(weights) is not sums._runs(weights)
    weights.flags.writeable = False
    assert sums._runs(weights) is sums._runs(weights)


def test_refuses_no_bins():
    with pytest.raises(UsageError, match="at least 1 bin, got 0"):
        BinSums(_rows([0.6], [1]), bins=0)
