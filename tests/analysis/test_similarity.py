"""Linear CKA: against plain loops, and what it must not see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.inspecting import biased_cka, minibatch_cka, unbiased_hsic
from vitscope.analysis.similarity import cka, hsic, linear_cka
from vitscope.errors import InputError
from vitscope.records.similarity import Grams

RANDOM = np.random.default_rng(5)


def grams(*layers, batches=1):
    """Features `[image, feature]` a layer as Gram matrices in minibatches."""
    parts = [np.array_split(layer, batches) for layer in layers]
    made = [np.stack([part[batch] @ part[batch].T for part in parts]) for batch in range(batches)]
    return Grams(made, tuple(f"layer {number}" for number in range(len(layers))))


@settings(deadline=None, max_examples=25)
@given(st.integers(4, 8), st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6))
def test_hsic_is_the_definition(images, width, other_width, seed):
    random = np.random.default_rng(seed)
    one, two = random.normal(size=(images, width)) + 3, random.normal(size=(images, other_width))
    got = hsic((one @ one.T)[None], (two @ two.T)[None])[0, 0]
    assert got == pytest.approx(unbiased_hsic(one.tolist(), two.tolist()), abs=1e-9)


def test_four_images_by_hand():
    """Features 0, 0, 1, 1 of four images: K̃ has 1 at (2, 3) and (3, 2) alone.

    tr(K̃K̃) = 2, 1ᵀK̃1 = 2, 1ᵀK̃K̃1 = 2: [2 + 4/6 − 2/2·2]/(4·1) = 1/6.
    """
    features = np.array([[0.0], [0.0], [1.0], [1.0]])
    assert hsic((features @ features.T)[None], (features @ features.T)[None])[0, 0] == pytest.approx(1 / 6)
    assert linear_cka(features, 1 - features) == pytest.approx(1)


def test_minibatches_are_averaged_before_the_ratio():
    one, two = RANDOM.normal(size=(13, 3)), RANDOM.normal(size=(13, 4))
    two[:, :3] += one
    got = cka(grams(one, batches=3), grams(two, batches=3))
    split = [[part.tolist() for part in np.array_split(each, 3)] for each in (one, two)]
    assert got.values[0, 0] == pytest.approx(minibatch_cka(*split), abs=1e-12)
    assert (got.images, got.batches, got.layers) == (13, 3, ("layer 0",))


def test_within_a_model_it_is_symmetric_with_ones():
    layers = [RANDOM.normal(size=(12, width)) for width in (3, 5, 4)]
    got = cka(grams(*layers, batches=2)).values
    np.testing.assert_allclose(np.diagonal(got), 1, atol=1e-12)
    np.testing.assert_allclose(got, got.T, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 7.0])
def test_rotation_scale_and_shift_change_nothing(scale):
    features, others = RANDOM.normal(size=(20, 6)), RANDOM.normal(size=(20, 4))
    others[:, 0] += features[:, 0]
    turned = features @ np.linalg.qr(RANDOM.normal(size=(6, 6)))[0] * scale + RANDOM.normal(size=6)
    assert linear_cka(turned, others) == pytest.approx(linear_cka(features, others), abs=1e-10)
    assert linear_cka(features, turned) == pytest.approx(1)


def test_features_wider_than_images_that_have_nothing_in_common():
    """The biased form calls them alike; averaged over draws, this one is 0."""
    draws = [(RANDOM.normal(size=(16, 400)), RANDOM.normal(size=(16, 400))) for _ in range(30)]
    fair = [linear_cka(one, two) for one, two in draws]
    assert abs(np.mean(fair)) < 3 * np.std(fair) / np.sqrt(len(fair)) < 0.1
    assert biased_cka(draws[0][0].tolist(), draws[0][1].tolist()) > 0.9


def test_minibatches_come_near_the_whole():
    common = RANDOM.normal(size=(240, 8))
    one, two = common + 0.5 * RANDOM.normal(size=(240, 8)), common + 0.5 * RANDOM.normal(size=(240, 8))
    parts = cka(grams(one, batches=8), grams(two, batches=8))
    assert parts.values[0, 0] == pytest.approx(linear_cka(one, two), abs=0.03)
    assert 0 < parts.errors[0, 0] < 0.05


def test_the_standard_error_covers():
    """Over many draws the jackknife's error is near the spread of the estimates."""
    found = []
    for _ in range(60):
        common = RANDOM.normal(size=(48, 6))
        one, two = (common + RANDOM.normal(size=(48, 6)) for _ in range(2))
        result = cka(grams(one, batches=8), grams(two, batches=8))
        found.append((result.values[0, 0], result.errors[0, 0]))
    values, errors = np.array(found).T
    assert 0.6 < errors.mean() / values.std() < 1.6


def test_images_all_alike_have_no_similarity():
    still, moving = np.full((6, 3), 1e3) / 3, RANDOM.normal(size=(6, 3))
    assert np.isnan(linear_cka(still, moving))
    assert np.isnan(cka(grams(still, moving)).values[0]).all()
    assert cka(grams(still, moving)).values[1, 1] == pytest.approx(1)


def test_what_cannot_be_compared():
    three, four, five = (RANDOM.normal(size=(images, 2)) for images in (3, 4, 5))
    with pytest.raises(InputError, match="at least 4 images"):
        linear_cka(three, three)
    with pytest.raises(InputError, match="the same images, got 4 and 5"):
        linear_cka(four, five)
    with pytest.raises(InputError, match="the same minibatches"):
        cka(grams(np.vstack([four, four]), batches=2), grams(np.vstack([four, four])))
    with pytest.raises(InputError, match=r"\[image, feature\]"):
        linear_cka(four[0], four)


def test_the_record_comes_back(tmp_path):
    made = cka(grams(RANDOM.normal(size=(8, 2)), RANDOM.normal(size=(8, 3))))
    back = type(made).load(made.save(tmp_path / "similarity.npz"))
    np.testing.assert_array_equal(back.values, made.values)
    assert np.isnan(back.errors).all()
    assert (back.layers, back.models, back.images) == (made.layers, made.models, 8)
    (tmp_path / "other.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="does not hold"):
        type(made).load(tmp_path / "other.npz")
