from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from vitscope.analysis.consistency import consistency_band
from vitscope.errors import UsageError


def test_equals_resampling_images_and_labels():
    """Bröcker and Smith's own procedure: draw images, then each image's outcome from its confidence."""
    rng = np.random.default_rng(0)
    low, high = 0.6 + 0.1 * rng.random(40), 0.9 + 0.1 * rng.random(160)
    everything, bins = np.concatenate([low, high]), np.repeat([0, 1], [40, 160])
    shares = []
    for _ in range(3000):
        chosen = rng.integers(200, size=200)
        right = rng.random(200) < everything[chosen]
        shares.append([right[bins[chosen] == k].mean() for k in (0, 1)])
    expected = np.quantile(shares, [0.025, 0.975], axis=0).T
    band = consistency_band(np.array([40, 160]), np.array([low.mean(), high.mean()]), replicates=4000)
    np.testing.assert_allclose(band, expected, atol=0.02)


def test_a_bin_with_all_images_is_binomial():
    band = consistency_band(np.array([0, 100]), np.array([np.nan, 0.7]), replicates=20_000)
    assert np.isnan(band[0]).all()
    np.testing.assert_allclose(band[1], binom.ppf([0.025, 0.975], 100, 0.7) / 100, atol=0.011)


def test_a_narrower_coverage_lies_inside_and_draws_repeat():
    arguments = np.array([30, 70]), np.array([0.5, 0.8])
    wide, narrow = consistency_band(*arguments), consistency_band(*arguments, coverage=0.5)
    assert (narrow[:, 0] >= wide[:, 0]).all()
    assert (narrow[:, 1] <= wide[:, 1]).all()
    np.testing.assert_array_equal(wide, consistency_band(*arguments))
    assert (consistency_band(*arguments, seed=1) != wide).any()


@pytest.mark.parametrize("confidence", [0.0, 1.0, 1 + 1e-15])
def test_certain_bins_have_no_width(confidence):
    band = consistency_band(np.array([1]), np.array([confidence]))
    assert band.tolist() == [[round(confidence)] * 2]


def test_a_bin_of_one_image_spans_both_outcomes():
    assert consistency_band(np.array([1, 50]), np.array([0.5, 0.9]))[0].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("count", "arguments"),
    [([0], {}), ([1], {"replicates": 0}), ([1], {"coverage": 1.0})],
    ids=["no image", "no draw", "all"],
)
def test_refuses(count, arguments):
    with pytest.raises(UsageError, match="at least one image, one replicate"):
        consistency_band(np.array(count), np.array([0.5]), **arguments)
