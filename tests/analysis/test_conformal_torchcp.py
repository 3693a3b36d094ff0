"""Parity with torchcp, whose own answers are written down here: it cannot be installed beside vitscope.

torchcp 1.2.1 requires torchsort, which does not build everywhere, and its wheel installs a package called
`tests`. So `LAC()`, `APS(randomized=False)` and `RAPS(randomized=False, penalty=0.05, kreg=3)` of its
`classification.score`, and `calculate_conformal_value` of its `utils.common`, were loaded from the unpacked
wheel (`pip install --no-deps --target`), given `_logits()` and `_scores(n)` as float64 tensors of torch 2.15,
and their answers rounded to fifteen digits.

Known differences: torchcp takes the mass up to and with the class less u p where ours is the mass ahead of it
and u p, so that without its random numbers (u = 0) its scores are ours of u = 1; it adds the penalty of RAPS
in float32; and it computes (n + 1)(1 − α) in binary, so that of 29 scores at α = 0.7 it takes the 10th, where
the 9th is asked for, and covers too much.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.oracles.samples import made
from vitscope.analysis.blocks import softmax
from vitscope.analysis.conformal import fit_conformal
from vitscope.analysis.conformity import ClassScore

SCORES = {
    "lac": [
        [
            0.477865321387918,
            0.995680649173755,
            0.699792950578091,
            0.991821986501588,
            0.852472630327896,
            0.982366462030751,
        ],
        [
            0.643923438472147,
            0.999088715003375,
            0.642586599861221,
            0.998976857725873,
            0.71686982321681,
            0.998554565720575,
        ],
        [
            0.810810707409283,
            0.997173828974079,
            0.669088338165993,
            0.99822260385139,
            0.526092418623344,
            0.998612102975912,
        ],
        [
            0.894531163111394,
            0.927185566208504,
            0.755873430774775,
            0.967771327190732,
            0.470349417634646,
            0.98428909507995,
        ],
    ],
    "aps": [
        [0.522134678612082, 1.0, 0.822341728033991, 0.995680649173755, 0.969869097706094, 0.987502635675343],
        [0.713489961666633, 1.0, 0.357413400138779, 0.999088715003375, 0.996620138449823, 0.998065572729247],
        [0.994008535801381, 0.996834706827302, 0.804819243210663, 0.998612102975912, 0.473907581376656, 1.0],
        [0.879245988479185, 0.952060422270682, 0.773777151590579, 0.98428909507995, 0.529650582365354, 1.0],
    ],
    "raps": [
        [
            0.522134678612082,
            1.15000000596046,
            0.822341728033991,
            1.09568065066387,
            0.969869097706094,
            1.0375026364204,
        ],
        [
            0.713489961666633,
            1.15000000596046,
            0.357413400138779,
            1.09908871649349,
            0.996620138449823,
            1.04806557347431,
        ],
        [
            0.994008535801381,
            1.04683470757236,
            0.804819243210663,
            1.09861210446603,
            0.473907581376656,
            1.15000000596046,
        ],
        [
            0.879245988479185,
            1.00206042301574,
            0.773777151590579,
            1.08428909657007,
            0.529650582365354,
            1.15000000596046,
        ],
    ],
}
THRESHOLDS = {
    9: {0.05: math.inf, 0.1: 0.9901699435, 0.25: 0.9},
    10: {0.05: math.inf, 0.1: 0.9442719096, 0.25: 0.8541019661},
    29: {0.05: 0.990169943500001, 0.1: 0.934441853100001, 0.25: 0.788543819200001, 0.7: 0.350849717500001},
    100: {0.05: 0.949296903900006, 0.1: 0.901699434999998, 0.25: 0.742645785299999},
    250: {0.05: 0.949296903900006, 0.1: 0.898593807800012, 0.25: 0.752695773900001},
}


def _logits():
    image, label = np.indices((4, 6))
    return 3 * np.sin(7 * image + 3 * label + 1.0)


def _scores(n):
    return np.sort((0.1 * n + 0.6180339887 * np.arange(n)) % 1)


def _threshold(n, alpha):
    p = 1 - _scores(n)
    record = made(np.column_stack([p, 1 - p]), np.zeros(n), kind="probabilities")
    return fit_conformal(record, alpha=alpha).threshold


@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
def test_scores_equal_those_of_torchcp(method):
    p = softmax(_logits())
    order = np.argsort(-p, axis=1, kind="stable")
    ours = ClassScore(method, 0.05, 3).by_rank(np.sort(p, axis=1)[:, ::-1], np.ones(4))
    theirs = np.take_along_axis(np.array(SCORES[method]), order, axis=1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8 if method == "raps" else 1e-13)


@pytest.mark.parametrize("n", [9, 10, 29, 100, 250])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.25])
def test_thresholds_equal_those_of_torchcp(n, alpha):
    assert _threshold(n, alpha) == pytest.approx(THRESHOLDS[n][alpha], abs=1e-13)


def test_torchcp_takes_alpha_in_binary():
    """(29 + 1)(1 − 0.7) is a hair above 9 in binary."""
    ordered = _scores(29)
    assert _threshold(29, 0.7) == pytest.approx(ordered[8], abs=1e-13)
    assert THRESHOLDS[29][0.7] == pytest.approx(ordered[9], abs=1e-13)
