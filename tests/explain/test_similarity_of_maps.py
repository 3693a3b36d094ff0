"""Spearman's correlation and structural similarity against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.perturbing import spearman as plain_spearman
from tests.oracles.perturbing import ssim as plain_ssim
from vitscope.explain.similarity import spearman, structural_similarity


def pair(seed, shape, ties=False):
    random = np.random.default_rng(seed)
    one, other = random.normal(size=(2, 2, *shape))
    other = other + one
    return (np.round(one), np.round(other)) if ties else (one, other)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), shape=st.tuples(st.integers(3, 5), st.integers(3, 5)), ties=st.booleans())
def test_spearman_equals_the_plain_loops(seed, shape, ties):
    one, other = pair(seed, shape, ties)
    for image in range(2):
        if np.ptp(one[image]) and np.ptp(other[image]):
            expected = plain_spearman(one[image], other[image])
            assert spearman(one, other)[image] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("shape", "side"), [((3, 3), 3), ((4, 4), 3), ((5, 8), 5), ((8, 6), 5), ((7, 9), 7), ((10, 9), 7)]
)
def test_structural_similarity_equals_the_plain_loops(shape, side):
    one, other = pair(1, shape)
    found = structural_similarity(one, other)
    for image in range(2):
        assert found[image] == pytest.approx(plain_ssim(one[image], other[image], side), abs=1e-12)


@pytest.mark.parametrize("similarity", [spearman, structural_similarity])
def test_identity_symmetry_and_scale(similarity):
    one, other = pair(0, (6, 7))
    np.testing.assert_allclose(similarity(one, one), 1)
    np.testing.assert_allclose(similarity(one, other), similarity(other, one))
    np.testing.assert_allclose(similarity(3 * one + 2, other), similarity(one, other))
    np.testing.assert_allclose(similarity(one[:1], other[:1]), similarity(one, other)[:1])


def test_spearman_of_the_reverse_is_minus_1_and_looks_at_the_order_alone():
    one, other = pair(0, (4, 4))
    np.testing.assert_allclose(spearman(one, -one), -1)
    np.testing.assert_allclose(spearman(np.exp(one), other), spearman(one, other))


def test_maps_without_differences():
    flat, other = np.zeros((1, 4, 4)), np.random.default_rng(0).random((1, 4, 4))
    assert spearman(flat, flat + 3).tolist() == [1]
    assert spearman(flat, other).tolist() == [0]
    assert structural_similarity(flat, flat + 3).tolist() == [1]
    assert 0 < structural_similarity(flat, other)[0] < 0.1
    assert np.isfinite(structural_similarity(np.zeros((1, 1, 1)), np.ones((1, 1, 1)))).all()
